/** One session while it is played: the recorded calls that are left, the live ones so far, its clock. */
import { CallBook, type Judge } from './calls.ts';
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

  constructor(session: Session, judge: Judge, now: number) {
    this.session = session;
    this.book = new CallBook(session, judge);
    this.beganAt = now;
  }

  /** Recorded calls that nobody made yet. */
  get awaited(): ReturnType<typeof unusedOf> {
    return unusedOf(this.book);
  }

  add(call: LiveCall): void {
    this.calls.push(call);
    this.onCall?.();
  }
}

const unusedOf = (book: CallBook) => [...book.unused];
