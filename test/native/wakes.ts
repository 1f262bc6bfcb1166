/** Runs programs/wakes.py, under a recorder, and holds which wake-ups were recorded against what its threads did. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { project } from './compiled.ts';
import { startRecorder } from './recorder.ts';
import { startTold } from './told-program.ts';

export const wakesTitle = 'wake-ups of a thread are recorded that waits since before its waker read an answer, once each, and no others of it';

/** Its own type: this is compiled for guests, where the project's sources are not. */
interface Recorded {
  readonly kind: string;
  readonly tid: number;
  readonly woken?: number;
  readonly waitedUs?: number;
}

/** How long the waiter in `result` has waited at least; the program's PAUSE, and a little less. */
const WAITED_US = 150_000;

/** The program, waiting to be told. */
export interface WakesProgram {
  readonly pid: number;
  /** All that its threads do. */
  run(): Promise<void>;
  /** What is wrong with the recording of it. */
  judge(events: readonly object[]): string[];
  end(): void;
}

export async function startWakes(): Promise<WakesProgram> {
  const { pid, go, end } = await startTold('python3', [join(project, 'test/native/programs/wakes.py')], (line) => typeof line['pid'] === 'number');
  let told: Readonly<Record<string, { readonly worker: number; readonly waiter: number }>> = {};
  return {
    pid,
    async run() {
      told = await go((line) => line['result'] !== undefined, 60_000) as unknown as typeof told;
    },
    judge(events) {
      const wakes = (events as readonly Recorded[]).filter(({ kind }) => kind === 'wake');
      const problems = Object.keys(told).length > 0 ? [] : ['its threads did nothing'];
      for (const [name, { worker, waiter }] of Object.entries(told)) {
        const found = wakes.filter(({ tid, woken }) => tid === worker && woken === waiter);
        const wanted = name === 'result' ? 1 : 0;
        if (found.length !== wanted) problems.push(`${name}: ${found.length} recorded, not ${wanted}`);
        for (const { waitedUs = 0 } of found) if (waitedUs < WAITED_US) problems.push(`${name}: it is said to have waited ${waitedUs} µs`);
      }
      return problems;
    },
    end,
  };
}

/** What is wrong with the recording. `eventsOf`: reads one. */
export async function runWakes(eventsOf: (dir: string) => readonly object[], flags: readonly string[] = ['--wakeups', 'on']): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'koala-wakes-'));
  const program = await startWakes();
  try {
    const recorder = await startRecorder(join(folder, 'rec'), ['--pid', String(program.pid), ...flags]);
    await program.run();
    const { code } = await recorder.stop();
    return [...code === 0 ? [] : [`attach ended with ${code}: ${recorder.errors()}`], ...program.judge(eventsOf(recorder.dir))];
  } finally {
    program.end();
    rmSync(folder, { recursive: true, force: true });
  }
}
