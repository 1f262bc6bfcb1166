/** `koala-bpf replay`, or `mock`, as a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sessionJson } from '../../../src/sessions/json.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { KOALA } from '../recorder.ts';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningReplay {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
}

/** Plays `sessions`, written as files, with these arguments after them. */
export const startReplay = (sessions: readonly Session[], args: readonly string[]): RunningReplay => start([KOALA, 'replay'], sessions, args);

/** Runs a command with `sessions`, written as files, in the place of what it calls. */
export const startMock = (sessions: readonly Session[], args: readonly string[]): RunningReplay => start([KOALA, 'mock'], sessions, args);

/** Either, by the user that `as` becomes. */
export const startAs = (as: readonly [string, ...string[]], command: 'replay' | 'mock', sessions: readonly Session[], args: readonly string[]): RunningReplay =>
  start([...as, KOALA, command], sessions, args);

function start([program, ...before]: readonly [string, ...string[]], sessions: readonly Session[], args: readonly string[]): RunningReplay {
  const folder = mkdtempSync(join(tmpdir(), 'koala-replay-'));
  chmodSync(folder, 0o755);
  const file = join(folder, 'sessions.ndjson');
  writeFileSync(file, sessions.map((one) => `${JSON.stringify(sessionJson(one))}\n`).join(''));
  const child = spawn(program, [...before, file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => { stdout += text.toString(); });
  child.stderr.on('data', (text: Buffer) => { stderr += text.toString(); });
  const outcome = new Promise<Outcome>((resolve) => child.on('close', (status) => {
    rmSync(folder, { recursive: true });
    resolve({ status, stdout, stderr });
  }));
  return { child, outcome };
}
