/** One session while it is played: the recorded calls that are left, the live ones so far, its clock. */
import { CallBook, type BookOf, type Judge } from './calls.ts';
import type { LiveCall } from './played.ts';
import type { Session } from '../sessions/session.ts';

export class Play {
  readonly session: Session;
  readonly book: CallBook;
  /** Milliseconds, of the engine's clock. */
  readonly beganAt: number;
  readonly calls: LiveCall[] = [];
  /** Its client has its answer and its calls were waited for: no call is its own any more but one that is known to be. */
  over = false;
  /** It is over, and calls that are made yet are still told of. */
  late = false;
  /** Told after each call. */
  onCall: (() => void) | undefined;

  /** Index of the recorded call that answered the latest one, by destination. */
  readonly #latest = new Map<string, number>();

  constructor(session: Session, judge: Judge, now: number, of?: BookOf) {
    this.session = session;
    this.book = new CallBook(session, judge, of);
    this.beganAt = now;
  }

  /** Recorded calls that nobody made yet. */
  get awaited(): ReturnType<typeof unusedOf> {
    return unusedOf(this.book);
  }

  /** The recorded call that the latest answer from this destination was of. */
  latest(destination: string): number | undefined {
    return this.#latest.get(destination);
  }

  add(call: LiveCall): void {
    this.calls.push(call);
    if (call.recorded !== undefined) this.#latest.set(call.destination, call.recorded);
    this.onCall?.();
  }
}

const unusedOf = (book: CallBook) => [...book.unused];
