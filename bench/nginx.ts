/**
 * What recording costs an nginx at saturation: no recorder, `tcpdump -s0 -w`, koala-bpf to disk, interleaved in one run, as
 * ratios with their spread. Needs root, nginx, wrk, tcpdump (scripts/setup bench). `node --import tsx bench/nginx.ts
 * [--rounds N] [--seconds S] [--json]`
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' }, json: { type: 'boolean', default: false } },
});
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);
const port = 20_000 + (process.pid % 20_000);
const folder = mkdtempSync(join(tmpdir(), 'koala-bench-'));
const command = resolve(import.meta.dirname, '../bin/koala-bpf');
const hertz = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

type Mode = 'none' | 'tcpdump' | 'koala-bpf';
const MODES: readonly Mode[] = ['none', 'tcpdump', 'koala-bpf'];
const PAGES = { 'return 200': '/ok', '1.4 KB file': '/file' } as const;
type Page = keyof typeof PAGES;

interface Sample {
  readonly requestsPerSecond: number;
  readonly requests: number;
  readonly p99Us: number;
  /** The recorder's own user and system time. */
  readonly cpuUs: number;
  readonly lostBytes: number;
}

function startNginx(): ChildProcess {
  mkdirSync(join(folder, 'www'));
  writeFileSync(join(folder, 'www/file'), 'x'.repeat(1400));
  writeFileSync(join(folder, 'nginx.conf'), `
    worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; daemon off; user root;
    events { worker_connections 1024; }
    http {
      access_log off; keepalive_requests 100000000; sendfile on;
      client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
      uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
      server { listen 127.0.0.1:${port}; location = /ok { return 200 "ok"; } location / { root ${folder}/www; } }
    }`);
  return spawn('nginx', ['-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
}

/** `delayMs`: each connection waits that long between requests. */
function load(page: Page, delayMs = 0): { requests: number; requestsPerSecond: number; p99Us: number } {
  const script = join(folder, `delay-${delayMs}.lua`);
  writeFileSync(script, delayMs === 0 ? '' : `function delay() return ${delayMs} end\n`);
  const url = `http://127.0.0.1:${port}${PAGES[page]}`;
  const run = spawnSync('wrk', ['-t1', '-c16', `-d${seconds}s`, '--latency', ...(delayMs === 0 ? [] : ['-s', script]), url], { encoding: 'utf8' });
  const requests = Number(/(\d+) requests in/.exec(run.stdout)?.[1]);
  const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(run.stdout) ?? [];
  if (!(requests > 0)) throw new Error(`wrk: ${run.stdout}${run.stderr}`);
  return {
    requests, requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(run.stdout)?.[1]),
    p99Us: Number(p99) * ({ us: 1, ms: 1e3, s: 1e6 }[unit ?? 'us'] ?? 1),
  };
}

const cpuUs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / hertz) * 1e6;
};

interface Running {
  readonly cpuUs: () => number;
  /** Ends it at once, and says what it lost. */
  readonly stop: () => Promise<number>;
}

const ended = (child: ChildProcess): Promise<void> => new Promise((done) => {
  if (child.exitCode !== null) done();
  else child.once('exit', () => { done(); });
});

async function record(mode: Mode, nginx: number): Promise<Running> {
  if (mode === 'none') return { cpuUs: () => 0, stop: () => Promise.resolve(0) };
  const out = join(folder, 'recording');
  rmSync(out, { recursive: true, force: true });
  if (mode === 'tcpdump') {
    const child = spawn('tcpdump', ['-i', 'lo', '-s0', '-w', out, 'tcp', 'port', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (chunk) => { text += String(chunk); });
    while (!text.includes('listening')) await sleep(20);
    return {
      cpuUs: () => cpuUs(child.pid ?? 0),
      stop: async () => { child.kill('SIGINT'); await ended(child); return Number(/(\d+) packets dropped by kernel/.exec(text)?.[1]); },
    };
  }
  const child = spawn(command, ['attach', '--pid', String(nginx), '--out', out, '--json', '--min-free', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => { text += String(chunk); });
  while (!text.includes('"recording"')) {
    if (child.exitCode !== null) throw new Error('koala-bpf ended');
    await sleep(20);
  }
  return {
    cpuUs: () => cpuUs(child.pid ?? 0),
    stop: async () => {
      child.kill('SIGINT');
      await ended(child);
      const summary = JSON.parse(text.trim().split('\n').at(-1) ?? '') as { lost: { bytes: number } };
      return summary.lost.bytes;
    },
  };
}

async function sample(mode: Mode, page: Page, nginx: number, delayMs = 0): Promise<Sample> {
  const recorder = await record(mode, nginx);
  const before = recorder.cpuUs();
  const result = load(page, delayMs);
  await sleep(50);
  const used = recorder.cpuUs() - before;
  const lostBytes = await recorder.stop();
  return { ...result, cpuUs: used, lostBytes };
}

/** Stopped in the middle of full load: what happened before must be there. Sessions of the recording against answers sent. */
async function stoppedUnderLoad(nginx: number): Promise<{ lostBytes: number; incomplete: number; sessions: number }> {
  const recorder = await record('koala-bpf', nginx);
  const client = spawn('wrk', ['-t1', '-c16', `-d${seconds}s`, `http://127.0.0.1:${port}/ok`], { stdio: 'ignore' });
  await sleep((seconds * 1000) / 2);
  const lostBytes = await recorder.stop();
  await ended(client);
  const listed = spawnSync(command, ['ls', join(folder, 'recording'), '--json'], { encoding: 'utf8', maxBuffer: 1 << 30 }).stdout;
  const states = listed.split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { certificate: { state: string } }).certificate.state);
  return { lostBytes, sessions: states.length, incomplete: states.filter((state) => state === 'incomplete').length };
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? NaN;
const spread = (values: readonly number[], digits = 2): string =>
  `${median(values).toFixed(digits)} (${(sorted(values)[0] ?? NaN).toFixed(digits)}–${(sorted(values).at(-1) ?? NaN).toFixed(digits)})`;

/** wrk at about half of what nginx does at full: a pause between requests of each of the 16 connections. */
const halfLoadDelayMs = (full: number): number => Math.max(1, Math.round((16 / (full / 2)) * 1000));

const nginx = startNginx();
try {
  await sleep(500);
  const master = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  const rows: string[] = [];
  const result: Record<string, unknown> = { kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(), rounds, seconds };
  rows.push('| nginx serves | recorder | requests/s | of no recorder | its CPU, µs a request | lost | p99 at half load, of no recorder |', '|---|---|---|---|---|---|---|');
  for (const page of Object.keys(PAGES) as Page[]) {
    load(page); // warm
    const full: Record<Mode, Sample[]> = { none: [], tcpdump: [], 'koala-bpf': [] };
    const half: Record<Mode, Sample[]> = { none: [], tcpdump: [], 'koala-bpf': [] };
    for (let round = 0; round < rounds; round++) for (const mode of MODES) full[mode].push(await sample(mode, page, master));
    const delayMs = halfLoadDelayMs(median(full.none.map((one) => one.requestsPerSecond)));
    for (let round = 0; round < Math.max(3, rounds - 2); round++) for (const mode of MODES) half[mode].push(await sample(mode, page, master, delayMs));
    for (const mode of MODES) {
      // each round's own base: what the machine's other tenants do cancels out
      const ratios = full[mode].map((one, index) => one.requestsPerSecond / (full.none[index]?.requestsPerSecond ?? NaN));
      const p99 = half[mode].map((one, index) => one.p99Us / (half.none[index]?.p99Us ?? NaN));
      const cpu = full[mode].map((one) => one.cpuUs / one.requests);
      const lost = full[mode].reduce((sum, one) => sum + one.lostBytes, 0);
      const lostText = mode === 'none' ? '–' : mode === 'tcpdump' ? `${lost} packets` : `${lost} bytes`;
      rows.push(`| ${page} | ${mode} | ${Math.round(median(full[mode].map((one) => one.requestsPerSecond)))} | ${spread(ratios)} | ${mode === 'none' ? '–' : spread(cpu)} | ${lostText} | ${spread(p99)} |`);
    }
    result[page] = { full, half };
  }
  const stopped = await stoppedUnderLoad(master);
  rows.push('', `Stopped at once under full load: ${stopped.sessions} sessions, ${stopped.lostBytes} bytes lost, ${stopped.incomplete} sessions incomplete.`);
  result['stopped'] = stopped;
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${rows.join('\n')}\n`);
} finally {
  nginx.kill('SIGTERM');
  await ended(nginx);
  rmSync(folder, { recursive: true, force: true });
}
