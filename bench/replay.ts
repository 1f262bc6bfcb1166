/**
 * How fast sessions are replayed: against a service that does next to nothing, so that what is measured is the replayer. Run:
 * `npx tsx bench/replay.ts [--sessions N] [--rounds N] [--only REGEX]`. Needs root and a C compiler. Rates are from the first verdict to the
 * last; variants take turns, so that what else the machine does meets all of them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ReplayOptions, RunFacts } from '../src/replay/options.ts';
import { replay } from '../src/replay/replay.ts';
import { buildService, DEPENDENCY, PORT, sessionOf } from './replay-sessions.ts';


const { values } = parseArgs({ options: { only: { type: 'string' }, sessions: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '3' } } });
const ROUNDS = Number(values.rounds);
const SESSIONS = Number(values.sessions);

interface Variant {
  readonly name: string;
  readonly sessions: number;
  /** How many of them are played; all by default. */
  readonly played?: number;
  readonly calls: number;
  readonly concurrency: number;
  /** Sessions that came in by one client connection, one after the other; 1 by default. */
  readonly kept?: number;
}

const ALL: readonly Variant[] = [
  { name: 'no calls', sessions: SESSIONS, calls: 0, concurrency: 1 },
  { name: 'no calls', sessions: SESSIONS, calls: 0, concurrency: 2 },
  { name: 'no calls', sessions: SESSIONS, calls: 0, concurrency: 8 },
  { name: 'no calls, 50 on each client connection', sessions: SESSIONS, calls: 0, concurrency: 1, kept: 50 },
  { name: 'no calls, 50 on each client connection', sessions: SESSIONS, calls: 0, concurrency: 8, kept: 50 },
  { name: '4 calls each', sessions: SESSIONS / 4, calls: 4, concurrency: 1 },
  { name: '4 calls each', sessions: SESSIONS / 4, calls: 4, concurrency: 8 },
  { name: '125 calls each, 6,000 in all', sessions: 48, calls: 125, concurrency: 8 },
  { name: '125 calls each, 200,000 in all', sessions: 1_600, played: 48, calls: 125, concurrency: 8 },
  { name: '10,000 calls in one', sessions: 2, calls: 10_000, concurrency: 1 },
];

const { only } = values;
const VARIANTS = ALL.filter(({ name }) => only === undefined || new RegExp(only).test(name));

interface Outcome {
  readonly perSecond: number;
  readonly same: number;
  readonly startMs: number;
  readonly cpuUs: number;
  readonly facts: RunFacts | undefined;
}

async function run({ sessions: count, played = count, calls, concurrency, kept = 1 }: Variant, service: string): Promise<Outcome> {
  const sessions = Array.from({ length: count }, (_, n) => ({ session: sessionOf(n, calls, kept) }));
  let facts: RunFacts | undefined;
  const options: ReplayOptions = {
    command: [service, String(PORT), '32', ...DEPENDENCY.split(':')], concurrency, match: 'sim', threshold: 0.7, onMiss: 'fail',
    answerMs: 30_000, quietMs: 100, startupMs: 10_000, allowIncomplete: false, signal: new AbortController().signal,
    note: (text) => { console.error(text); }, facts: (told) => { facts = told; },
  };
  const began = performance.now();
  let first = 0;
  let last = 0;
  let same = 0;
  let done = 0;
  let cpu = process.cpuUsage();
  for await (const { verdict } of replay(sessions, options)) {
    last = performance.now();
    if (first === 0) {
      first = last;
      cpu = process.cpuUsage();
    }
    if (verdict === 'same') same += 1;
    done += 1;
    if (done === played) break;
  }
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: ((played - 1) * 1000) / (last - first), same, startMs: first - began, cpuUs: (user + system) / (played - 1), facts };
}

const median = (some: readonly number[]): number => [...some].sort((a, b) => a - b)[some.length >> 1] ?? 0;
const spread = (some: readonly number[], scale: number): string => `${Math.round(median(some) * scale)} (${Math.round(Math.min(...some) * scale)}–${Math.round(Math.max(...some) * scale)})`;

const folder = mkdtempSync(join(tmpdir(), 'koala-bench-'));
try {
  const service = buildService(folder);
  const outcomes = VARIANTS.map((): Outcome[] => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [at, variant] of VARIANTS.entries()) {
      const outcome = await run(variant, service);
      outcomes[at]?.push(outcome);
      console.error(`${variant.name}, ${variant.concurrency} at a time: ${Math.round(outcome.perSecond)} sessions/s`);
    }
  }
  console.log('| sessions | at a time | sessions/s | answers/s | the replayer\'s CPU, µs a session | ms to the first verdict | same | tracker |');
  console.log('|---|---|---|---|---|---|---|---|');
  for (const [at, { name, sessions, played = sessions, calls, concurrency }] of VARIANTS.entries()) {
    const some = outcomes[at] ?? [];
    const rates = some.map(({ perSecond }) => perSecond);
    const same = Math.min(...some.map((one) => one.same));
    console.log(`| ${sessions}, ${name} | ${concurrency} | ${spread(rates, 1)} | ${calls === 0 ? '–' : spread(rates, calls)} | ${
      spread(some.map(({ cpuUs }) => cpuUs), 1)} | ${spread(some.map(({ startMs }) => startMs), 1)} | ${same} of ${played} | ${some[0]?.facts?.tracker ?? ''} |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
