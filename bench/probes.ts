/**
 * Where the cost of recording lies: for each probe its runs a request and nanoseconds a run (kernel.bpf_stats_enabled, which
 * itself adds some 20 ns to each run), the samples a request makes, and the processor time of the recorded nginx a request with
 * and without the recorder. Needs root, nginx, wrk, bpftool. `node --import tsx bench/probes.ts [--seconds S] [--rounds N] [--log]`:
 * --log has nginx append a line a request to its log
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuUs, load, PAGES, record, startNginx } from './nginx-under-load.ts';
import type { Page } from './nginx-under-load.ts';

const { values: flags } = parseArgs({ options: { log: { type: 'boolean', default: false }, rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '2' } } });
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);
const STATS = '/proc/sys/kernel/bpf_stats_enabled';

interface Run {
  readonly runs: number;
  readonly ns: number;
}

/** Since the programs were loaded, of those that this process holds (bpftool's own list of holders needs an iterator of its own). */
function programs(pid: number): Map<string, Run> {
  const folder = `/proc/${pid}/fdinfo`;
  const held = new Set(readdirSync(folder).map((fd) => Number(/^prog_id:\s+(\d+)/m.exec(readFileSync(join(folder, fd), 'utf8'))?.[1])));
  const all = JSON.parse(execFileSync('bpftool', ['prog', 'show', '-j'], { encoding: 'utf8' })) as
    { id: number; name?: string; run_cnt?: number; run_time_ns?: number }[];
  return new Map(all.filter(({ id }) => held.has(id)).map((one) =>
    [one.name ?? '', { runs: one.run_cnt ?? 0, ns: one.run_time_ns ?? 0 }]));
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const nginx = await startNginx(flags.log);
const before = readFileSync(STATS, 'utf8');
try {
  for (const page of Object.keys(PAGES) as Page[]) {
    load(nginx, page, 1); // warm
    const own: Record<'without' | 'with', number[]> = { without: [], with: [] };
    for (let round = 0; round < rounds; round++) {
      for (const mode of ['without', 'with'] as const) {
        const recorder = await record(nginx, mode === 'with' ? 'koala-bpf' : 'none');
        const spent = cpuUs(nginx.worker);
        const { requests } = load(nginx, page, seconds);
        own[mode].push((cpuUs(nginx.worker) - spent) / requests);
        await recorder.stop();
      }
    }
    const recorder = await record(nginx, 'koala-bpf');
    writeFileSync(STATS, '1');
    const first = programs(recorder.pid);
    const { requests } = load(nginx, page, seconds);
    const last = programs(recorder.pid);
    writeFileSync(STATS, before);
    await sleep(50);
    await recorder.stop();
    const rows = ['| program | runs a request | ns a run | ns a request |', '|---|---|---|---|'];
    let total = 0;
    for (const [name, run] of last) {
      const runs = run.runs - (first.get(name)?.runs ?? 0);
      const ns = run.ns - (first.get(name)?.ns ?? 0);
      if (runs / requests < 0.005) continue;
      total += ns / requests;
      rows.push(`| ${name} | ${(runs / requests).toFixed(2)} | ${(ns / runs).toFixed(0)} | ${(ns / requests).toFixed(0)} |`);
    }
    rows.push(`| together | | | ${total.toFixed(0)} |`);
    process.stdout.write(`${page}: nginx takes ${median(own.without).toFixed(2)} µs of processor a request, ` +
      `${median(own.with).toFixed(2)} recorded (medians of ${rounds}; without: ${own.without.map((us) => us.toFixed(2)).join(' ')}; ` +
      `with: ${own.with.map((us) => us.toFixed(2)).join(' ')})\n\n${rows.join('\n')}\n\n`);
  }
} finally {
  writeFileSync(STATS, before);
  await nginx.stop();
}
