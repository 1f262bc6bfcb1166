/**
 * Why a position jumped. The kernel counts what it could not put in the ring, but not always for which connection; the jump
 * tells where. A loss is reported shortly after it happened (the recorder reads its counters several times a second), so a
 * jump may be seen first: it is `unknown` until the next report, which renames it, if it comes soon: a loss an hour later is another's.
 */
import type { Cause } from '../events/event.ts';
import type { MutableGap } from './account.ts';

/** Jumps that wait for a report. Past that the oldest stay `unknown`. */
const maxUnexplained = 10_000;
/** A report explains what was seen so long before it: counters are read several times a second, by a thread that may be held up. */
const MAX_REPORT_DELAY_US = 5_000_000;

export class LossLedger {
  /** Reports so far. A stream that remembers the count at its last event knows whether one came in between. */
  reports = 0;
  /** Samples lost so far, as reported. */
  events = 0;
  #cause: Cause = 'unknown';
  #unexplained: { readonly gap: MutableGap; readonly atUs: number }[] = [];

  report(cause: Cause, events: number, atUs: number): void {
    this.reports += 1;
    this.events += events;
    this.#cause = cause;
    for (const one of this.#unexplained) if (atUs - one.atUs <= MAX_REPORT_DELAY_US) one.gap.cause = cause;
    this.#unexplained = [];
  }

  /** The cause of a jump on a stream whose last event came when `reports` was `since`. */
  causeSince(since: number): Cause {
    return this.reports > since ? this.#cause : 'unknown';
  }

  /** A gap that nothing explains yet, seen at `atUs`. */
  unexplained(gap: MutableGap, atUs: number): void {
    if (this.#unexplained.length < maxUnexplained) this.#unexplained.push({ gap, atUs });
  }
}
