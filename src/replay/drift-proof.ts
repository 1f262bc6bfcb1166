/** Whether values that look made by the service are: what is found by drift is answered, and noise only where that is proven. */
import { isOfClock, isTimeText, isWritten, type Pair } from '../compare/index.ts';
import type { Session } from '../sessions/session.ts';
import type { RecordedCall } from './calls.ts';
import type { Play } from './play.ts';
import { SharedValues } from './shared-values.ts';

export class DriftProof {
  readonly #shared = new SharedValues();

  /** A recorded session, whose values may be another's too. As `SharedValues.learn`. */
  learn(session: Session, bytes?: number): void {
    this.#shared.learn(session, bytes);
  }

  /** Of the values in which a call differs from the recorded one, those (as recorded) that are not proven to be made. The call is made at `wallMs`, `sinceMs` after its session began. */
  unproven(made: readonly Pair[], { session, book }: Play, { talk }: RecordedCall, wallMs: number, sinceMs: number): string[] {
    const startedMs = session.startedAtUs / 1000;
    const recordedAt = { fromMs: startedMs, toMs: Math.max(startedMs, (talk.request[0]?.atUs ?? session.startedAtUs) / 1000) };
    const liveAt = { fromMs: wallMs - sinceMs, toMs: wallMs };
    return made.flatMap((pair) => {
      const { kind, recorded, live } = pair;
      if (kind === 'time' || (kind === 'hex token' && isTimeText(recorded))) return book.isAsked(recorded) || !isOfClock(recorded, live, recordedAt, liveAt) ? recorded : [];
      // The claims of a JWT were looked at one by one.
      return kind !== 'jwt' && (isWritten(pair) || this.#shared.isShared(recorded)) ? recorded : [];
    });
  }
}
