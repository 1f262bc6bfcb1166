/** stdout for data, stderr for people. Both are written synchronously by Node on Linux where they are files or pipes. */
import pc from 'picocolors';

const BATCH = 1 << 16;

/** Collects lines and writes them in large pieces; `end` writes the rest. */
export class Lines {
  #waiting: string[] = [];
  #size = 0;

  print(line: string): void {
    this.#waiting.push(line, '\n');
    this.#size += line.length + 1;
    if (this.#size >= BATCH) this.end();
  }

  end(): void {
    if (this.#size === 0) return;
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#size = 0;
    process.stdout.write(text);
  }
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Colours for stdout: only on a terminal and without NO_COLOR (no-color.org: set to anything but the empty string). */
export function stdoutColours() {
  const noColour = (process.env['NO_COLOR'] ?? '') !== '';
  return pc.createColors(process.stdout.isTTY === true && !noColour);
}

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
    process.stderr.write(`\r\x1b[2K${text}`);
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
    this.#shown = false;
  }
}
