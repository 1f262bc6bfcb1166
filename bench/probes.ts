/**
 * Where the cost of recording lies: for each probe its runs a request and nanoseconds a run (kernel.bpf_stats_enabled, which
 * itself adds some 20 ns to each run), the samples a request makes, and the processor time of the recorded nginx a request with
 * and without the recorder. Needs root, nginx, wrk, bpftool. `node --import tsx bench/probes.ts [--seconds S] [--rounds N] [--log] [--wakeups]`:
 * --log has nginx append a line a request to its log; --wakeups also measures it where the kernel tells who wakes whom, which nginx has no need of
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuUs, load, PAGES, record, startNginx } from './nginx-under-load.ts';
import type { Page } from './nginx-under-load.ts';
import { countRuns } from './program-runs.ts';

const { values: flags } = parseArgs({ options: { log: { type: 'boolean', default: false }, wakeups: { type: 'boolean', default: false }, rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '2' } } });
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const nginx = await startNginx(flags.log);
try {
  for (const page of Object.keys(PAGES) as Page[]) {
    load(nginx, page, 1); // warm
    const own: Record<'without' | 'with' | 'told', number[]> = { without: [], with: [], told: [] };
    for (let round = 0; round < rounds; round++) {
      for (const mode of ['without', 'with', ...(flags.wakeups ? ['told' as const] : [])] as const) {
        const recorder = await record(nginx, mode === 'without' ? 'none' : 'koala-bpf', mode === 'told' ? ['--wakeups', 'on'] : []);
        const spent = cpuUs(nginx.worker);
        const { requests } = load(nginx, page, seconds);
        own[mode].push((cpuUs(nginx.worker) - spent) / requests);
        await recorder.stop();
      }
    }
    const recorder = await record(nginx, 'koala-bpf');
    let requests = 0;
    const counted = await countRuns(recorder.pid, () => { ({ requests } = load(nginx, page, seconds)); return Promise.resolve(); });
    await sleep(50);
    await recorder.stop();
    const rows = ['| program | runs a request | ns a run | ns a request |', '|---|---|---|---|'];
    let total = 0;
    for (const [name, { runs, ns }] of counted) {
      if (runs / requests < 0.005) continue;
      total += ns / requests;
      rows.push(`| ${name} | ${(runs / requests).toFixed(2)} | ${(ns / runs).toFixed(0)} | ${(ns / requests).toFixed(0)} |`);
    }
    rows.push(`| together | | | ${total.toFixed(0)} |`);
    process.stdout.write(`${page}: nginx takes ${median(own.without).toFixed(2)} µs of processor a request, ` +
      `${median(own.with).toFixed(2)} recorded (medians of ${rounds}; without: ${own.without.map((us) => us.toFixed(2)).join(' ')}; ` +
      `with: ${own.with.map((us) => us.toFixed(2)).join(' ')}${flags.wakeups ? `; told of wake-ups: ${median(own.told).toFixed(2)}: ${own.told.map((us) => us.toFixed(2)).join(' ')}` : ''})\n\n${rows.join('\n')}\n\n`);
  }
} finally {
  await nginx.stop();
}
