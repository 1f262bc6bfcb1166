/** JSON objects that a child prints, one a line, for whoever waits for one of them. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export type JsonLine = Readonly<Record<string, unknown>>;

export interface LineReader {
  /** All lines so far. */
  readonly all: readonly JsonLine[];
  /** Resolves with the first line, past or to come, that fits; rejects after `limitMs` or when the stream ends without it. */
  find(fits: (line: JsonLine) => boolean, limitMs: number): Promise<JsonLine>;
  /** Resolves when the stream has ended. */
  readonly ended: Promise<void>;
}

interface Waiter {
  readonly fits: (line: JsonLine) => boolean;
  readonly resolve: (line: JsonLine) => void;
  readonly reject: (error: Error) => void;
}

export function lineReader(stream: Readable): LineReader {
  const all: JsonLine[] = [];
  const waiters = new Set<Waiter>();
  let over = false;
  const reader = createInterface({ input: stream });
  reader.on('line', (text) => {
    let line: JsonLine;
    try {
      line = JSON.parse(text) as JsonLine;
    } catch {
      line = { notJson: text };
    }
    all.push(line);
    for (const waiter of waiters) if (waiter.fits(line)) waiter.resolve(line);
  });
  const ended = new Promise<void>((resolve) => {
    reader.once('close', () => {
      over = true;
      for (const waiter of waiters) waiter.reject(new Error(`it ended first; it had said ${JSON.stringify(all)}`));
      resolve();
    });
  });
  return {
    all,
    ended,
    find(fits, limitMs) {
      const known = all.find(fits);
      if (known !== undefined) return Promise.resolve(known);
      if (over) return Promise.reject(new Error(`it had ended; it had said ${JSON.stringify(all)}`));
      return new Promise((resolve, reject) => {
        const done = (): void => {
          clearTimeout(timer);
          waiters.delete(waiter);
        };
        const waiter: Waiter = {
          fits,
          resolve: (line) => { done(); resolve(line); },
          reject: (error) => { done(); reject(error); },
        };
        const timer = setTimeout(() => waiter.reject(new Error(`not said within ${limitMs} ms; it had said ${JSON.stringify(all)}`)), limitMs);
        waiters.add(waiter);
      });
    },
  };
}
