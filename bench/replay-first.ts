/**
 * From the command to the first verdict: `koala-bpf replay FILE -- service`, as a person runs it, against a service that is there at
 * once. Needs `npm run build`, root and a C compiler. Run: `node --import tsx bench/replay-first.ts [--rounds N]`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sessionJson } from '../src/sessions/json.ts';
import { buildService, DEPENDENCY, PORT, sessionOf } from './replay-sessions.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const ROUNDS = Number(values.rounds);
const COMMAND = fileURLToPath(new URL('../bin/koala-bpf', import.meta.url));

interface Variant {
  readonly name: string;
  readonly sessions: number;
  readonly calls: number;
}

const VARIANTS: readonly Variant[] = [
  { name: '1 session of 4 calls', sessions: 1, calls: 4 },
  { name: '2,000 sessions of 4 calls, probes loaded', sessions: 2_000, calls: 4 },
  { name: '1,600 sessions of 125 calls, probes loaded', sessions: 1_600, calls: 125 },
];

const median = (some: readonly number[]): number => [...some].sort((a, b) => a - b)[some.length >> 1] ?? 0;

/** Milliseconds until the first line on stdout; then it is ended. */
async function firstLine(args: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = spawn(COMMAND, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const told = await new Promise<number>((resolve) => {
    child.stdout.once('data', () => { resolve(performance.now() - began); });
    child.once('exit', () => { resolve(NaN); });
  });
  child.stdout.resume();
  if (child.exitCode === null) {
    child.kill('SIGINT');
    await new Promise((resolve) => { child.once('exit', resolve); });
  }
  return told;
}

const folder = mkdtempSync(join(tmpdir(), 'koala-bench-'));
try {
  const service = [buildService(folder), String(PORT), '32', ...DEPENDENCY.split(':')];
  const node = Array.from({ length: ROUNDS }, () => {
    const began = performance.now();
    spawnSync(COMMAND, ['--version']);
    return performance.now() - began;
  });
  console.log(`| from the command to | ms, median of ${ROUNDS} |\n|---|---|\n| the version, and nothing else | ${Math.round(median(node))} |`);
  for (const { name, sessions, calls } of VARIANTS) {
    const file = join(folder, 'sessions.jsonl');
    writeFileSync(file, Array.from({ length: sessions }, (_, n) => `${JSON.stringify(sessionJson(sessionOf(n, calls, 1)))}\n`).join(''));
    const some: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) some.push(await firstLine(['replay', file, '--json', '--', ...service]));
    console.log(`| the first verdict: ${name} | ${Math.round(median(some))} |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
