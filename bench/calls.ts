/**
 * What recording adds to the calls themselves, where the machine has other work: the processor time that one thread needs to answer itself
 * over loopback, least of many short runs, with and without the recorder, interleaved. Needs root, cc.
 * `node --import tsx bench/calls.ts [--rounds N] [--seconds S] [--command OTHER/bin/koala-bpf]`
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { COMMAND, ended, recordProcess } from './nginx-under-load.ts';

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '4' }, seconds: { type: 'string', default: '2' }, command: { type: 'string', default: COMMAND } },
});
const ANSWERS = ['writev of 152 B', 'send of 150 B, sendfile of 1,400'] as const;
const folder = mkdtempSync(join(tmpdir(), 'koala-bench-'));

/** Least ns of processor time an answer. */
async function leastNs(program: string, mode: number, recorded: boolean): Promise<number> {
  const child = spawn(program, [String(mode), flags.seconds], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const recorder = recorded ? await recordProcess(child.pid ?? 0, join(folder, 'recording'), flags.command) : undefined;
  child.stdin.write('\n');
  const { value } = await lines.next() as { value: string };
  await ended(child);
  await recorder?.stop();
  return Number(value.split(' ')[0]);
}

try {
  const program = join(folder, 'calls');
  execFileSync('cc', ['-O2', '-o', program, join(import.meta.dirname, 'calls.c')]);
  console.log('| answered by | ns of processor, not recorded | recorded | recording adds |\n|---|---|---|---|');
  for (const [mode, name] of ANSWERS.entries()) {
    const without: number[] = [];
    const having: number[] = [];
    for (let round = 0; round < Number(flags.rounds); round++) {
      without.push(await leastNs(program, mode, false));
      having.push(await leastNs(program, mode, true));
    }
    const [least, recorded] = [Math.min(...without), Math.min(...having)];
    console.log(`| ${name} | ${least} | ${recorded} | ${recorded - least} |`);
  }
  console.log(`\nLoad of the machine: ${loadavg().map((load) => load.toFixed(0)).join(', ')}.`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
