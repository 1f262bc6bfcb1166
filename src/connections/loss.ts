/**
 * Why a position jumped. The kernel counts what it could not put in the ring, but not always for which connection; the jump
 * tells where. A loss is reported shortly after it happened (the recorder reads its counters several times a second), so a
 * jump may be seen first: it is `unknown` until the next report, which renames it.
 */
import type { Cause } from '../events/event.ts';
import type { MutableGap } from './account.ts';

/** Jumps that wait for a report. Past that the oldest stay `unknown`. */
const maxUnexplained = 10_000;

export class LossLedger {
  /** Reports so far. A stream that remembers the count at its last event knows whether one came in between. */
  reports = 0;
  /** Samples lost so far, as reported. */
  events = 0;
  #cause: Cause = 'unknown';
  #unexplained: MutableGap[] = [];

  report(cause: Cause, events: number): void {
    this.reports += 1;
    this.events += events;
    this.#cause = cause;
    for (const gap of this.#unexplained) gap.cause = cause;
    this.#unexplained = [];
  }

  /** The cause of a jump on a stream whose last event came when `reports` was `since`. */
  causeSince(since: number): Cause {
    return this.reports > since ? this.#cause : 'unknown';
  }

  /** A gap that nothing explains yet. */
  unexplained(gap: MutableGap): void {
    if (this.#unexplained.length < maxUnexplained) this.#unexplained.push(gap);
  }
}
