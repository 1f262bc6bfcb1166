/**
 * What recording costs an nginx at saturation: no recorder, `tcpdump -s0 -w`, koala-bpf to disk, interleaved in one run, as
 * ratios with their spread. Needs root, nginx, wrk, tcpdump (scripts/setup bench). `node --import tsx bench/nginx.ts
 * [--rounds N] [--seconds S] [--json]`
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { COMMAND, cpuUs, ended, load, PAGES, record, startNginx } from './nginx-under-load.ts';
import type { Load, Mode, Nginx, Page } from './nginx-under-load.ts';

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' }, json: { type: 'boolean', default: false } },
});
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);
const MODES: readonly Mode[] = ['none', 'tcpdump', 'koala-bpf'];

interface Sample extends Load {
  /** The recorder's own user and system time. */
  readonly cpuUs: number;
  /** nginx's own: what its neighbours on the machine do touches this less than the requests a second. */
  readonly nginxUs: number;
  readonly lostBytes: number;
}

async function sample(nginx: Nginx, mode: Mode, page: Page, delayMs = 0): Promise<Sample> {
  const recorder = await record(nginx, mode);
  const before = recorder.cpuUs();
  const nginxBefore = cpuUs(nginx.worker);
  const result = load(nginx, page, seconds, delayMs);
  const nginxUs = cpuUs(nginx.worker) - nginxBefore;
  await sleep(50);
  const used = recorder.cpuUs() - before;
  const lostBytes = await recorder.stop();
  return { ...result, cpuUs: used, nginxUs, lostBytes };
}

/** Stopped in the middle of full load: what happened before must be there. Sessions of the recording against answers sent. */
async function stoppedUnderLoad(nginx: Nginx): Promise<{ lostBytes: number; incomplete: number; sessions: number }> {
  const recorder = await record(nginx, 'koala-bpf');
  const client = spawn('wrk', ['-t1', '-c16', `-d${seconds}s`, `http://127.0.0.1:${nginx.port}/ok`], { stdio: 'ignore' });
  await sleep((seconds * 1000) / 2);
  const lostBytes = await recorder.stop();
  await ended(client);
  const listed = spawnSync(COMMAND, ['ls', join(nginx.folder, 'recording'), '--json'], { encoding: 'utf8', maxBuffer: 1 << 30 }).stdout;
  const states = listed.split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { certificate: { state: string } }).certificate.state);
  return { lostBytes, sessions: states.length, incomplete: states.filter((state) => state === 'incomplete').length };
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? NaN;
const spread = (values: readonly number[], digits = 2): string =>
  `${median(values).toFixed(digits)} (${(sorted(values)[0] ?? NaN).toFixed(digits)}–${(sorted(values).at(-1) ?? NaN).toFixed(digits)})`;

/** wrk at about half of what nginx does at full: a pause between requests of each of the 16 connections. */
const halfLoadDelayMs = (full: number): number => Math.max(1, Math.round((16 / (full / 2)) * 1000));

const nginx = await startNginx();
try {
  const rows: string[] = [];
  const result: Record<string, unknown> = { kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(), rounds, seconds };
  rows.push('| nginx serves | recorder | requests/s | of no recorder | nginx\'s CPU, µs a request | the recorder\'s | lost | p99 at half load, of no recorder |', '|---|---|---|---|---|---|---|---|');
  for (const page of Object.keys(PAGES) as Page[]) {
    load(nginx, page, seconds); // warm
    const full: Record<Mode, Sample[]> = { none: [], tcpdump: [], 'koala-bpf': [] };
    const half: Record<Mode, Sample[]> = { none: [], tcpdump: [], 'koala-bpf': [] };
    for (let round = 0; round < rounds; round++) for (const mode of MODES) full[mode].push(await sample(nginx, mode, page));
    const delayMs = halfLoadDelayMs(median(full.none.map((one) => one.requestsPerSecond)));
    for (let round = 0; round < Math.max(3, rounds - 2); round++) for (const mode of MODES) half[mode].push(await sample(nginx, mode, page, delayMs));
    for (const mode of MODES) {
      // each round's own base: what the machine's other tenants do cancels out
      const ratios = full[mode].map((one, index) => one.requestsPerSecond / (full.none[index]?.requestsPerSecond ?? NaN));
      const p99 = half[mode].map((one, index) => one.p99Us / (half.none[index]?.p99Us ?? NaN));
      const cpu = full[mode].map((one) => one.cpuUs / one.requests);
      const nginxCpu = full[mode].map((one) => one.nginxUs / one.requests);
      const lost = full[mode].reduce((sum, one) => sum + one.lostBytes, 0);
      const lostText = mode === 'none' ? '–' : mode === 'tcpdump' ? `${lost} packets` : `${lost} bytes`;
      rows.push(`| ${page} | ${mode} | ${Math.round(median(full[mode].map((one) => one.requestsPerSecond)))} | ${spread(ratios)} | ${spread(nginxCpu)} | ${mode === 'none' ? '–' : spread(cpu)} | ${lostText} | ${spread(p99)} |`);
    }
    result[page] = { full, half };
  }
  const stopped = await stoppedUnderLoad(nginx);
  rows.push('', `Stopped at once under full load: ${stopped.sessions} sessions, ${stopped.lostBytes} bytes lost, ${stopped.incomplete} sessions incomplete.`);
  result['stopped'] = stopped;
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${rows.join('\n')}\n`);
} finally {
  await nginx.stop();
}
