/**
 * Decides when a session is over:
 *
 *   its inbound talk is over (framing, turn, close)
 *   and its thread has read another request, is gone, or has been quiet for `quietMs` with no call on its way
 *   and every talk in it is settled: over, and a later position on its connection proves that all that was sent was taken
 *
 * The last condition waits for the next use of each connection, or for the recorder's next mark of time, so at most one session a connection waits for it. Then it
 * waits for the recorder's next report of losses (`lossReportMs`), and is given out.
 */
import type { Contexts } from '../contexts/contexts.ts';
import { Lingering } from './lingering.ts';
import type { Moment } from './moment.ts';
import { SEATS, type OpenSession } from './open-session.ts';
import { Roster } from './roster.ts';

/** Sessions that wait for quiet. Past that the one that did least lately is given out as it is. */
const maxLingering = 200_000;

export class Endings {
  /** Sessions that are not given out. */
  readonly open = new Roster<OpenSession>(SEATS.open);
  readonly #quietMs: number;
  readonly #moment: Moment;
  readonly #contexts: () => Contexts<OpenSession>;
  readonly #onOver: (session: OpenSession) => void;
  readonly #lingering = new Lingering();
  #lingers = 0;

  /** `contexts`: asked for later only, since they tell of releases here. */
  constructor(quietMs: number, moment: Moment, contexts: () => Contexts<OpenSession>, onOver: (session: OpenSession) => void) {
    this.#quietMs = quietMs;
    this.#moment = moment;
    this.#contexts = contexts;
    this.#onOver = onOver;
  }

  /** Time has come to the moment: sessions that were quiet long enough have ended. */
  tick(): void {
    const quietUs = this.#quietMs * 1000;
    for (;;) {
      const session = this.#lingering.first;
      if (session === undefined) return;
      const crowded = this.#lingers > maxLingering;
      if (session.lastAtUs + quietUs > this.#moment.nowUs && !crowded) return;
      if (session.calling && !crowded) this.answers(session);
      else this.#quiet(session, crowded);
    }
  }

  /** Its answer is on its way, or over: from now on quiet ends it. */
  answers(session: OpenSession): void {
    this.#linger(session, this.#moment.nowUs);
  }

  /** It does something. */
  acts(session: OpenSession, atUs: number): void {
    if (session.lingers) this.#linger(session, atUs);
  }

  inboundOver(session: OpenSession): void {
    session.process.unanswered.delete(session);
    session.process.answering.delete(session);
    if (session.after === undefined) session.look(this.#moment.seq);
    if (!session.talk.over) return;
    const behind = session.followedBy;
    if (behind !== undefined && !behind.gone) {
      session.followedBy = undefined;
      const contexts = this.#contexts();
      const context = contexts.known(session.talk.readerTid);
      if (context?.reading === session) contexts.readRequest(context, behind, behind.discipline, false, false);
    }
    if (!session.gone) this.answers(session);
    this.check(session);
  }

  /** `tid`: the thread that read its request and does something else by now, so that what it had sent was taken; else 0. */
  release(session: OpenSession, tid: number): void {
    session.talk.connection.egress.passed(tid);
    for (let at = session.calls.length - 1; at >= 0; at -= 1) session.calls[at]?.connection.egress.passed(tid);
    // Where the runtime says whose each call is, also what it left to be done later is known to be its own.
    if (tid !== 0 && session.process.asked) return;
    session.released = true;
    this.check(session);
  }

  /** Something of it has come to its end: perhaps all has. */
  check(session: OpenSession): void {
    if (session.gone || !session.released || !session.settled) return;
    this.#give(session);
  }

  /** Takes a session out: it is given out, or never was one. */
  leave(session: OpenSession): void {
    session.gone = true;
    this.#unlinger(session);
    this.open.delete(session);
    session.process.sessions.delete(session);
    session.process.unanswered.delete(session);
    session.process.answering.delete(session);
    for (const { child } of session.births ?? []) if (child.birth?.job === session) child.birth = undefined;
  }

  /** A response that has gone on for so long without a word may go on; where only the turn of direction could end it, its thread is free. */
  #quiet(session: OpenSession, crowded: boolean): void {
    const { talk } = session;
    talk.connection.egress.flush();
    if (!talk.over && talk.framed && !crowded) return this.answers(session);
    this.#unlinger(session);
    const context = this.#contexts().known(talk.readerTid);
    if (context?.reading === session) context.reading = undefined;
    this.release(session, 0);
    if (crowded && talk.over && !session.gone) this.#force(session);
  }

  #force(session: OpenSession): void {
    session.forced = true;
    this.#give(session);
  }

  #give(session: OpenSession): void {
    this.leave(session);
    session.overSeq = session.process.lastOverSeq = this.#moment.seq;
    this.#onOver(session);
  }

  #linger(session: OpenSession, atUs: number): void {
    if (!session.lingers) this.#lingers += 1;
    this.#lingering.touch(session, atUs);
  }

  #unlinger(session: OpenSession): void {
    if (!session.lingers) return;
    this.#lingers -= 1;
    this.#lingering.remove(session);
  }
}
