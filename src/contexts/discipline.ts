/**
 * How the threads behind one listener take requests: one at a time each, or whatever comes. A single request tells nothing: an
 * event loop with one client looks like a worker. So `proven` waits for requests that overlap. Each time a thread takes a
 * connection while others are busy, threads that take whatever comes would have hit a busy one with some chance; that they
 * never did is the more telling the more of them were busy.
 *
 *   two event loops, two connections   each may get one, for a while: 1/2 at each turn, 1/10,000 after 14
 *   eight workers, sixteen clients     seven are busy whenever the eighth takes one: 1/10,000 after 5
 */
import { Starts } from './born.ts';
import type { Context, Job } from './context.ts';

/** −ln of the chance that is small enough: 1 in 10,000. */
const ENOUGH = Math.log(10_000);
/** −ln of the chance that a thread which serves many ends after a single connection, and another one comes in its place. */
const BRIEF = Math.log(25);
/** Threads looked at when one takes a connection. Past that the listener's discipline is not found out. */
const maxReaders = 1_024;

export class Discipline<J extends Job> {
  /** A thread of it was seen to be an event loop. */
  loop = false;
  /** Requests of one connection were read by different threads: a pool, in which holding several open says nothing. */
  handsOver = false;
  /** What its sessions start. */
  readonly starts = new Starts();
  readonly #readers = new Map<number, Context<J>>();
  #brief = 0;
  #evidence = 0;

  /** Threads here are seen to work for one request at a time. */
  get blocking(): boolean {
    return this.#evidence >= ENOUGH && !this.loop;
  }

  /** More requests won't change what is known of it, unless it turns out to be an event loop after all. */
  get decided(): boolean {
    return this.loop || this.#evidence >= ENOUGH;
  }

  /** `context` begins with a request. `fresh`: of a connection that it does not know, so that it might as well have been another's. */
  take(context: Context<J>, fresh: boolean): void {
    if (!this.#readers.has(context.tid)) {
      if (this.#readers.size >= maxReaders) return;
      this.#readers.set(context.tid, context);
      this.#evidence += this.#brief * BRIEF;
      this.#brief = 0;
      return;
    }
    if (!fresh || this.loop || this.#evidence >= ENOUGH) return;
    let busy = 0;
    for (const reader of this.#readers.values()) if (reader.busy) busy += 1;
    this.#evidence -= Math.log(1 - busy / this.#readers.size);
  }

  /** `context` is gone. */
  left(context: Context<J>): void {
    if (!this.#readers.delete(context.tid)) return;
    if (context.connections === 1 && !context.busy) this.#brief += 1;
  }
}
