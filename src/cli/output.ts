/** stdout for data, stderr for people. */
import { writeSync } from 'node:fs';
import pc from 'picocolors';
import { EnvironmentError } from '../errors.ts';
import { clip } from '../report/text.ts';

/** Of a terminal that doesn't say. */
const DEFAULT_COLUMNS = 80;
const BATCH_CHARACTERS = 1 << 16;
/** A pipe that somebody else made non-blocking is tried again after this. */
const RETRY_MS = 2;

/** Nobody reads stdout any more: the command has nothing left to do, and that is no failure. */
export class StdoutClosed extends Error {
  override readonly name = 'StdoutClosed';
}

/** stdout is there and can't take what is written (a full disk, a device that fails). */
export const stdoutRefused = (error: Error): EnvironmentError =>
  new EnvironmentError(`Cannot write to stdout: ${error.message}`, 'send it to a disk with room, or to a pipe');

/** Collects lines and writes them in large pieces; `end` writes the rest. Both throw StdoutClosed, EnvironmentError. */
export class Lines {
  #waiting: string[] = [];
  #size = 0;

  print(line: string): void {
    this.#waiting.push(line, '\n');
    this.#size += line.length + 1;
    if (this.#size >= BATCH_CHARACTERS) this.end();
  }

  end(): void {
    if (this.#size === 0) return;
    const bytes = Buffer.from(this.#waiting.join(''));
    this.#waiting = [];
    this.#size = 0;
    writeAll(bytes);
  }
}

/** At once and not through the stream, which tells of a closed pipe only when the command is through. */
function writeAll(bytes: Buffer): void {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(process.stdout.fd, bytes, done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') throw new StdoutClosed();
      if (code !== 'EAGAIN') throw stdoutRefused(error as Error);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Colours for stdout: only on a terminal and without NO_COLOR (no-color.org: set to anything but the empty string). */
export const stdoutColours = () => coloursOf(process.stdout);
/** The same for stderr. */
export const stderrColours = () => coloursOf(process.stderr);

function coloursOf({ isTTY }: NodeJS.WriteStream) {
  const noColour = (process.env['NO_COLOR'] ?? '') !== '';
  return pc.createColors(isTTY === true && !noColour);
}

/** Characters in a line of the terminal that stdout is; undefined: it is none, and lines may be of any length. */
export const stdoutWidth = (): number | undefined => process.stdout.isTTY && process.stdout.columns > 0 ? process.stdout.columns : undefined;

export type Colours = ReturnType<typeof stdoutColours>;

/** A line on stderr that is written over, on a terminal only. */
export class ProgressLine {
  #shown = false;
  #lastMs = 0;

  update(text: string): void {
    const nowMs = performance.now();
    if (!process.stderr.isTTY || nowMs - this.#lastMs < 100) return;
    this.#lastMs = nowMs;
    this.#shown = true;
    // A line that wraps could not be written over.
    process.stderr.write(`\r\x1b[2K${clip(text, Math.max(1, (process.stderr.columns || DEFAULT_COLUMNS) - 1))}`);
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
    this.#shown = false;
  }
}
