/**
 * The clock as it was: the service is started with libfaketime, which tells it another time of day by answering the C library's
 * calls for it. What asks the kernel itself (static programs, Go) is not reached. The monotonic clock, and so time-outs and
 * sleeps, stay as they are.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentError } from '../errors.ts';
import { withDescendants } from '../kernel/processes.ts';

/** Where distributions put it: Debian's multiarch folders, others' lib64. */
const FOLDERS = ['/usr/lib', '/usr/lib64', '/usr/local/lib'];
const LIBRARY = 'libfaketimeMT.so.1';
/** Go's linker leaves this in every program (internal/buildinfo). */
const GO_MARK = '\xff Go buildinf:';
const MAX_MAPS = 1_000;
const TRY_MS = 10_000;
/** Enough of a program for Go's mark, which its linker puts near the beginning of the data. */
const LOOK_BYTES = 64 << 20;

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Throws EnvironmentError where there is none. */
export function findLibrary(): string {
  const folders = FOLDERS.flatMap((folder) => [join(folder, 'faketime'), ...names(folder).filter((name) => name.includes('-linux-')).map((name) => join(folder, name, 'faketime'))]);
  const found = folders.find((folder) => names(folder).includes(LIBRARY));
  if (found === undefined) throw new EnvironmentError('--clock recorded: there is no libfaketime here', 'install it (the package faketime or libfaketime), or leave the flag out');
  return join(found, LIBRARY);
}

/** Seconds, signed, that libfaketime adds to the real time. Replaced whole, as it is read at any moment. */
function write(file: string, offsetMs: number): void {
  writeFileSync(`${file}.new`, `${offsetMs < 0 ? '-' : '+'}${(Math.abs(offsetMs) / 1000).toFixed(3)}\n`);
  chmodSync(`${file}.new`, 0o644);
  renameSync(`${file}.new`, file);
}

/** Sets the clock of a service that was started with `RecordedClock`, from whichever thread. */
export class ClockHand {
  readonly #file: string;
  readonly #canGoBack: boolean;
  #offsetMs = Number.NEGATIVE_INFINITY;

  /** `canGoBack`: one session is played at a time. Others share the clock, and it only goes forward. */
  constructor(file: string, canGoBack: boolean) {
    this.#file = file;
    this.#canGoBack = canGoBack;
  }

  /** From now on it is `unixMs`, and goes on from there. */
  set(unixMs: number, nowMs = Date.now()): void {
    const offsetMs = Math.round(unixMs - nowMs);
    if (offsetMs === this.#offsetMs || (offsetMs < this.#offsetMs && !this.#canGoBack)) return;
    this.#offsetMs = offsetMs;
    write(this.#file, offsetMs);
  }

  /** What time it is to the service, Unix ms: today's until it is set. */
  now(nowMs = Date.now()): number {
    return Number.isFinite(this.#offsetMs) ? nowMs + this.#offsetMs : nowMs;
  }
}

export class RecordedClock {
  /** The file that says what time it is. */
  readonly file: string;
  readonly #library: string;
  readonly #folder: string;

  /** It is `unixMs` when this is made. Throws EnvironmentError where there is no libfaketime. */
  constructor(unixMs: number) {
    this.#library = findLibrary();
    this.#folder = mkdtempSync(join(tmpdir(), 'koala-clock-'));
    // The service may be another user's.
    chmodSync(this.#folder, 0o755);
    this.file = join(this.#folder, 'now');
    write(this.file, unixMs - Date.now());
  }

  /** `command`, so that it goes by this clock, with all that it starts. */
  wrapped(command: readonly string[]): string[] {
    const others = process.env['LD_PRELOAD'];
    return ['env', `LD_PRELOAD=${this.#library}${others === undefined || others === '' ? '' : `:${others}`}`,
      `FAKETIME_TIMESTAMP_FILE=${this.file}`, 'FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1', ...command];
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Processes below `pid` that the clock does not reach, or harms, and how, a line each. */
export function unreached(pid: number): string[] {
  const lines = new Set<string>();
  for (const { tgid, parent, command } of withDescendants(new Set([pid])).slice(0, MAX_MAPS)) {
    // unshare, and the first process of its pid namespace, are ours.
    if (tgid === pid || parent === pid || text(`/proc/${tgid}/maps`) === '') continue;
    const loaded = text(`/proc/${tgid}/maps`).includes('libfaketime');
    if (isGo(`/proc/${tgid}/exe`)) lines.add(`the clock of ${command} is today's: Go programs ask the kernel for the time, not the C library`);
    else if (loaded && breaksSleep(tgid, pid)) lines.add(`${command}: this libfaketime makes time.sleep of Python 3.11 and later fail (its issue 426); a newer one does not`);
    else if (!loaded) lines.add(`the clock of ${command} is today's: it did not load libfaketime (a static program, or one whose environment was emptied)`);
  }
  return [...lines];
}

/** Tries it, with the service's own libraries and interpreter. Debian 12's libfaketime 0.9.10 does. */
function breaksSleep(tgid: number, pid: number): boolean {
  const environment = text(`/proc/${tgid}/environ`).split('\0').map((line) => line.split(/=(.*)/s));
  const executable = text(`/proc/${tgid}/cmdline`).split('\0')[0] ?? '';
  if (!/(^|\/)python[\d.]*$/.test(executable)) return false;
  const tried = spawnSync('nsenter', [`--mount=/proc/${pid}/ns/mnt`, '--', executable, '-c', 'import time; time.sleep(0.001)'], {
    env: Object.fromEntries(environment.map(([name, value]) => [name ?? '', value ?? ''])), encoding: 'utf8', timeout: TRY_MS,
  });
  return tried.status !== 0 && tried.stderr.includes('Invalid argument');
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Whether it is a Go program, by what its linker leaves in every one. */
export function isGo(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    const piece = Buffer.alloc(1 << 20);
    for (let at = 0; at < LOOK_BYTES; at += piece.length - GO_MARK.length) {
      const length = readSync(fd, piece, 0, piece.length, at);
      if (piece.subarray(0, length).includes(GO_MARK, 0, 'latin1')) return true;
      if (length < piece.length) return false;
    }
    return false;
  } finally {
    closeSync(fd);
  }
}
