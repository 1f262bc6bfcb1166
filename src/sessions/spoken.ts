/** A talk with what is known of who made it: one class for both sides of a service. */
import type { Tie } from '../contexts/tie.ts';
import type { WhyNot } from '../contexts/reasons.ts';
import { OpenTalk } from '../talks/open-talk.ts';
import type { InDoubt } from './in-doubt.ts';
import type { OpenSession } from './open-session.ts';
import type { Seat, Seated } from './roster.ts';

const NONE: readonly string[] = [];
const NO_SESSIONS: readonly OpenSession[] = [];

/** Whose seats are which. */
export const SEATS = { untied: 0, unripe: 1, over: 2, patient: 3 } as const;

export class Spoken extends OpenTalk implements Seated<Spoken> {
  /** Inbound: the session that it is. */
  session: OpenSession | undefined;
  /** Outbound: whose call it is. */
  tie: Tie<OpenSession> | undefined;
  /** Outbound, not tied: ids of the sessions that were open when it began. */
  candidates: readonly string[] = NONE;
  /** Outbound, not tied: why, where that was asked for. */
  whyNot: readonly WhyNot[] | undefined;
  /** Outbound: it has no tie, and may still turn out to be no call. */
  undecided = false;
  /** Outbound: a call that was seen in packets before anyone said whose it was. */
  nameless = false;
  /** Outbound: no request of its process waited for an answer when it began. */
  idle = false;
  /** Outbound: it is not decided whose it is. */
  doubt: InDoubt | undefined;
  /** Outbound, of a thread that may be a pool's: sessions that lack it should it be. */
  missing: readonly OpenSession[] = NO_SESSIONS;
  /** Outbound: who made it said that it is of no session. */
  excluded = false;
  /** Outbound: another session that went on with it. */
  disputant: OpenSession | undefined;
  /** Outbound: it is in its session's list, or was given out. */
  placed = false;
  /** The first thread that wrote (read) on it, and whether another did too. */
  writerTid = 0;
  readerTid = 0;
  mixed = false;
  /** Numbers of the events at which it began and at which its answer was last read or written. */
  beganSeq = 0;
  answerSeq = 0;
  lastAtUs = 0;
  #seats: (Seat<Spoken> | undefined)[] | undefined;

  /** In the rosters of those of which it is not decided whose they are: most talks are in none. */
  get seats(): (Seat<Spoken> | undefined)[] {
    return (this.#seats ??= [undefined, undefined, undefined, undefined]);
  }

  wroteBy(tid: number): void {
    if (tid === 0) return;
    if (this.writerTid === 0) this.writerTid = tid;
    else if (this.writerTid !== tid) this.mixed = true;
  }

  readBy(tid: number): void {
    if (tid === 0) return;
    if (this.readerTid === 0) this.readerTid = tid;
    else if (this.readerTid !== tid) this.mixed = true;
  }

  /** One thread wrote all that was written, and it read all that was read. */
  get byOneThread(): boolean {
    return !this.mixed && (this.writerTid === 0 || this.readerTid === 0 || this.writerTid === this.readerTid);
  }
}
