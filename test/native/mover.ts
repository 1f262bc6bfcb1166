/** Builds and runs programs/mover, and reads its books. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compiled, project } from './compiled.ts';
import { lineReader, type LineReader } from './lines.ts';

const sources = join(project, 'test/native/programs/mover');

/** One direction as mover counted it. */
export interface BookHalf {
  readonly bytes: number;
  readonly sha256: string;
  /** Consumed without being seen (MSG_TRUNC); in `bytes`, not in `sha256`. */
  readonly discarded: number;
  readonly calls: number;
  /** `send: ECONNRESET`; empty if nothing failed. */
  readonly failed: string;
  readonly unsupported: boolean;
}

/** One connection as one of its ends wrote it down. */
export interface BookLine {
  readonly index: number;
  /** Of the bytes this end sent. */
  readonly seed: number;
  readonly tgid: number;
  readonly local: string;
  readonly remote: string;
  readonly ingress: BookHalf;
  readonly egress: BookHalf;
}

/** Compiles mover into build/ unless that is newer than the sources. Returns its path. */
export function buildMover(): string {
  const files = readdirSync(sources).map((name) => join(sources, name));
  return compiled('mover', files, files.filter((file) => file.endsWith('.c')), '-pthread');
}

/** A running mover. */
export interface Mover {
  readonly pid: number;
  /** The port it listens on; 0 if none. */
  readonly port: number;
  /** Set if this kernel has no such socket: why. */
  readonly unsupported: string | undefined;
  readonly lines: LineReader;
  /** Lets one waiter go on. */
  go(): void;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  kill(): void;
}

export interface MoverOptions {
  readonly book: string;
  readonly folder: string;
  readonly plan?: string;
  readonly seed?: number;
  readonly connections?: number;
  readonly parallel?: number;
  readonly model?: string;
  readonly hold?: boolean;
  readonly linger?: boolean;
  readonly syncnt?: number;
  /** Seconds after which it ends itself. */
  readonly deadline?: number;
}

/** Starts mover; resolves when it is ready (a listener listens, a held connector waits). */
export async function startMover(role: string, address: string, options: MoverOptions): Promise<Mover> {
  const { hold, linger, ...valued } = options;
  const words = Object.entries(valued).flatMap(([name, value]) => [`--${name}`, String(value)]);
  if (hold === true) words.push('--hold');
  if (linger === true) words.push('--linger');
  const child: ChildProcess = spawn(buildMover(), [role, address, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  child.stdin?.on('error', () => undefined);
  if (child.stdout === null) throw new Error('mover without stdout');
  const lines = lineReader(child.stdout);
  let port = 0;
  let unsupported: string | undefined;
  if (role !== 'connect' || hold === true) {
    const first = await lines.find((line) => 'ready' in line || 'unsupported' in line, 20_000);
    port = typeof first['ready'] === 'number' ? first['ready'] : 0;
    unsupported = typeof first['unsupported'] === 'string' ? first['unsupported'] : undefined;
  }
  return {
    pid: child.pid ?? 0,
    port,
    unsupported,
    lines,
    go: () => void child.stdin?.write('\n'),
    ended,
    kill: () => void child.kill('SIGKILL'),
  };
}

/** What mover wrote down, a line per connection; empty if it wrote nothing. */
export function readBook(path: string): BookLine[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as BookLine);
}
