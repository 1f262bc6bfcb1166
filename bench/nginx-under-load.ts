/** An nginx of our own, wrk against it, and a recorder beside it: what the benchmarks of the recorded service share. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const COMMAND = resolve(import.meta.dirname, '../bin/koala-bpf');
const hertz = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export type Mode = 'none' | 'tcpdump' | 'koala-bpf';
export const PAGES = { 'return 200': '/ok', '1.4 KB file': '/file' } as const;
export type Page = keyof typeof PAGES;

export interface Nginx {
  readonly folder: string;
  readonly port: number;
  /** Its main process: what is recorded. */
  readonly pid: number;
  /** Its one worker process. */
  readonly worker: number;
  readonly stop: () => Promise<void>;
}

export const ended = (child: ChildProcess): Promise<void> => new Promise((done) => {
  if (child.exitCode !== null) done();
  else child.once('exit', () => { done(); });
});

/** User and system time of a process so far. */
export function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / hertz) * 1e6;
}

/** `log`: a line a request, as most run it. */
export async function startNginx(log = false): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'koala-bench-'));
  const port = 20_000 + (process.pid % 20_000);
  mkdirSync(join(folder, 'www'));
  writeFileSync(join(folder, 'www/file'), 'x'.repeat(1400));
  writeFileSync(join(folder, 'nginx.conf'), `
    worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; daemon off; user root;
    events { worker_connections 1024; }
    http {
      access_log ${log ? `${folder}/access.log` : 'off'}; keepalive_requests 100000000; sendfile on;
      client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
      uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
      server { listen 127.0.0.1:${port}; location = /ok { return 200 "ok"; } location / { root ${folder}/www; } }
    }`);
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
  await sleep(500);
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  return {
    folder, port, pid, worker: Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()),
    stop: async () => {
      child.kill('SIGTERM');
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface Load {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p99Us: number;
}

/** wrk on 16 connections. `delayMs`: each connection waits that long between requests. */
export function load(nginx: Nginx, page: Page, seconds: number, delayMs = 0): Load {
  const script = join(nginx.folder, `delay-${delayMs}.lua`);
  writeFileSync(script, delayMs === 0 ? '' : `function delay() return ${delayMs} end\n`);
  const url = `http://127.0.0.1:${nginx.port}${PAGES[page]}`;
  const run = spawnSync('wrk', ['-t1', '-c16', `-d${seconds}s`, '--latency', ...(delayMs === 0 ? [] : ['-s', script]), url], { encoding: 'utf8' });
  const requests = Number(/(\d+) requests in/.exec(run.stdout)?.[1]);
  const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(run.stdout) ?? [];
  if (!(requests > 0)) throw new Error(`wrk: ${run.stdout}${run.stderr}`);
  return {
    requests, requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(run.stdout)?.[1]),
    p99Us: Number(p99) * ({ us: 1, ms: 1e3, s: 1e6 }[unit ?? 'us'] ?? 1),
  };
}

export interface Running {
  /** 0: nobody records. */
  readonly pid: number;
  readonly cpuUs: () => number;
  /** Ends it at once, and says what it lost: tcpdump packets, koala-bpf bytes. */
  readonly stop: () => Promise<number>;
}

/** A recorder of that nginx, into `recording` of its folder. */
export async function record(nginx: Nginx, mode: Mode, flags: readonly string[] = []): Promise<Running> {
  if (mode === 'none') return { pid: 0, cpuUs: () => 0, stop: () => Promise.resolve(0) };
  const out = join(nginx.folder, 'recording');
  rmSync(out, { recursive: true, force: true });
  if (mode === 'tcpdump') {
    const child = spawn('tcpdump', ['-i', 'lo', '-s0', '-w', out, 'tcp', 'port', String(nginx.port)], { stdio: ['ignore', 'ignore', 'pipe'] });
    const pid = child.pid ?? 0;
    let text = '';
    child.stderr.on('data', (chunk) => { text += String(chunk); });
    while (!text.includes('listening')) await sleep(20);
    return {
      pid, cpuUs: () => cpuUs(pid),
      stop: async () => { child.kill('SIGINT'); await ended(child); return Number(/(\d+) packets dropped by kernel/.exec(text)?.[1]); },
    };
  }
  return recordProcess(nginx.pid, out, COMMAND, flags);
}

/** koala-bpf of a process; `out` is made anew. `flags`: more of `attach`. */
export async function recordProcess(target: number, out: string, command: string, flags: readonly string[] = []): Promise<Running> {
  rmSync(out, { recursive: true, force: true });
  const child = spawn(command, ['attach', '--pid', String(target), '--out', out, '--json', '--min-free', '0', ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
  const pid = child.pid ?? 0;
  let text = '';
  child.stdout.on('data', (chunk) => { text += String(chunk); });
  while (!text.includes('"recording"')) {
    if (child.exitCode !== null) throw new Error('koala-bpf ended');
    await sleep(20);
  }
  return {
    pid, cpuUs: () => cpuUs(pid),
    stop: async () => {
      if (child.exitCode === null) child.kill('SIGINT'); // it ends by itself when its target has
      await ended(child);
      const summary = JSON.parse(text.trim().split('\n').at(-1) ?? '') as { lost: { bytes: number } };
      return summary.lost.bytes;
    },
  };
}
