/**
 * Runs the real command: `bin/koala-bpf attach`, and reads what it recorded by `bin/koala-bpf connections --json`.
 * KOALA_TEST_PROBE chooses the backend, so that the same tests run with each of them.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { lineReader, type JsonLine } from './lines.ts';
import { project } from './compiled.ts';

/** KOALA_TEST_COMMAND names another one, for instance an installed package's. */
export const command = process.env['KOALA_TEST_COMMAND'] ?? join(project, 'bin/koala-bpf');
export const small = process.env['KOALA_TEST_SIZE'] === 'small';
/** Emulated guests are slow: every limit is stretched there. */
export const patience = small ? 6 : 1;

export interface AccountHalf {
  readonly from: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly gaps: readonly { readonly from: number; readonly bytes: number; readonly cause: string }[];
}

/** A line of `connections --json`. */
export interface Account {
  readonly id: string;
  readonly role: string;
  readonly tgid: number;
  readonly local: string;
  readonly remote: string;
  readonly learnt: string;
  /** RFC 3339. */
  readonly openedAt: string;
  readonly ingress: AccountHalf;
  readonly egress: AccountHalf;
  readonly end: string;
}

export interface Summary {
  readonly connections: number;
  readonly bytes: number;
  readonly lost: { readonly bytes: number; readonly byCause: Readonly<Record<string, number>> };
  readonly lostEvents?: Readonly<Record<string, number>>;
}

export interface Recorder {
  readonly pid: number;
  readonly dir: string;
  readonly probe: string;
  /** What it has said on standard error so far. */
  readonly errors: () => string;
  /** SIGINT, unless it has ended by itself; resolves with its exit status and summary. */
  stop(): Promise<{ readonly code: number | string; readonly summary: Summary | undefined }>;
  readonly ended: Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
}

/** Why nothing can be recorded here, or undefined. */
export function whyNoRecorder(): string | undefined {
  if (!existsSync(command)) return 'bin/koala-bpf is not there';
  if (process.getuid?.() !== 0) return 'not root';
  if (process.env['KOALA_TEST_PROBE'] !== undefined) return undefined; // asked for by name: must work
  const doctor = spawnSync(command, ['doctor'], { encoding: 'utf8' });
  return doctor.status === 3 ? `no backend works here: ${doctor.stdout.trim().split('\n')[0] ?? ''}` : undefined;
}

/**
 * Whether the kernel may skip a program of this probe while other threads' runs of it, or somebody's system call on a map, are preempted
 * (docs/limits.md): then what many threads do at once is recorded, or declared where the kernel says that it skipped one.
 */
export function skipsPreempted(probe: string): boolean {
  if (probe === 'fentry' || Number(release().split('.')[0]) < 7) return false;
  const chosen = '/sys/kernel/debug/sched/preempt';
  return existsSync(chosen) && /\((full|lazy)\)/.test(readFileSync(chosen, 'utf8'));
}

/** Starts `attach` with the given targets (`['--pid', '1']`) and resolves when it says that it records. */
export async function startRecorder(dir: string, targets: readonly string[], flags: readonly string[] = []): Promise<Recorder> {
  const probe = process.env['KOALA_TEST_PROBE'];
  const words = ['attach', '--json', ...targets, '--out', dir, ...(probe === undefined ? [] : ['--probe', probe]), ...flags];
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors += text; });
  const lines = lineReader(child.stdout as Readable);
  let started: JsonLine;
  try {
    started = await lines.find((line) => line['event'] === 'recording', 60_000 * patience);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`koala-bpf attach did not begin: ${String(error)}; stderr: ${errors}`);
  }
  const said = typeof started['probe'] === 'string' ? started['probe'] : 'unknown';
  return {
    pid: child.pid ?? 0,
    dir,
    probe: said,
    errors: () => errors,
    ended,
    kill: (signal) => void child.kill(signal),
    async stop() {
      if (child.exitCode === null) child.kill('SIGINT');
      const code = await within(ended, 60_000 * patience, 'koala-bpf attach did not stop');
      await lines.ended;
      return { code, summary: lines.all.find((line) => line['event'] === 'summary') as Summary | undefined };
    },
  };
}

export async function within<T>(promise: Promise<T>, limitMs: number, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${otherwise} within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const run = promisify(execFile);

/** A command of ours that prints JSON lines. Throws with what it said on stderr if it fails. */
export async function jsonLines(words: readonly string[]): Promise<JsonLine[]> {
  const { stdout } = await run(command, [...words], { maxBuffer: 1 << 30, timeout: 300_000 * patience });
  return stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as JsonLine);
}

export async function connections(dir: string): Promise<Account[]> {
  return (await jsonLines(['connections', dir, '--json'])) as unknown as Account[];
}
