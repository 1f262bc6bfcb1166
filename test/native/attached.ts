/** `attach` as a user starts it, with every word, variable and stream in the test's hands. */
import { spawn, type SpawnOptions } from 'node:child_process';
import { lineReader, type JsonLine, type LineReader } from './lines.ts';
import { command, patience, within } from './recorder.ts';

export interface Attached {
  readonly pid: number;
  readonly lines: LineReader;
  /** What it has said so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Its exit status, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** The same, when both streams are at their end: not before a CMD that lives on has ended too. */
  readonly ended: Promise<number | string>;
  /** The line that says so (`--json`). */
  readonly recording: () => Promise<JsonLine>;
  readonly summary: () => Promise<JsonLine>;
  kill(signal: NodeJS.Signals): void;
}

/** Runs `attach WORDS`. `before`: what to run it by (`setpriv …`). KOALA_TEST_PROBE is minded. */
export function attach(words: readonly string[], options: SpawnOptions = {}, before: readonly string[] = []): Attached {
  const probe = process.env['KOALA_TEST_PROBE'];
  const [program = '', ...rest] = [...before, command, 'attach', ...(probe === undefined ? [] : ['--probe', probe]), ...words];
  const child = spawn(program, rest, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  if (child.stdout === null || child.stderr === null) throw new Error('attach without pipes');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  const lines = lineReader(child.stdout);
  const end = (event: 'exit' | 'close') => within(new Promise<number | string>((resolve) => {
    child.once(event, (code: number | null, signal: string | null) => resolve(code ?? signal ?? 'unknown'));
  }), 120_000 * patience, 'attach did not end');
  const [exited, ended] = [end('exit'), end('close')];
  for (const one of [exited, ended]) one.catch(() => undefined);
  const said = (event: string) => (): Promise<JsonLine> => lines.find((line) => line['event'] === event, 60_000 * patience)
    .catch((error: unknown) => { throw new Error(`no ${event}: ${String(error)}; stderr: ${stderr}`); });
  return {
    pid: child.pid ?? 0, lines, stdout: () => stdout, stderr: () => stderr,
    exited, ended,
    recording: said('recording'), summary: said('summary'),
    kill: (signal) => void child.kill(signal),
  };
}
