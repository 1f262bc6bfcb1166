/**
 * Sessions that are over in every respect, in the order in which they came to be. They wait to be given out, for
 *
 *   the recorder's next report of losses
 *   the end of those whom they started
 *   what tells workers from an event loop, where that matters for what they did
 *   calls of their process that may be theirs, and the sessions that may have made these too
 *
 * the last three bounded in time, in number, and in the bytes that came since (what waits keeps them in memory).
 */
import type { Late } from './late.ts';
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

/** Whom a session started may have to wait so long for a processor until it can end. */
const maxEndingUs = 1_000_000;
const maxDoubtUs = 2_000_000;
const maxInDoubt = 4_096;
const maxInDoubtKiB = 64 << 10;

export class Leaving {
  readonly #late: Late;
  readonly #lossReportUs: number;
  readonly #onGive: (session: OpenSession) => void;
  readonly #mayLeave: (atUs: number) => boolean;
  /** From `#from` on. What was given out is not kept, for every collection would copy it. */
  #waiting: (OpenSession | undefined)[] = [];
  #from = 0;
  /** Over, but a call that was tied to them since isn't settled. */
  readonly aside = new Set<OpenSession>();
  /** Those of which it was not known, when they were over, whether the ties of their calls hold. */
  readonly #inDoubt = new Set<OpenSession>();
  /** What the first one was found to wait for. */
  #blocker: Spoken | OpenSession | undefined;

  /** `mayLeave`: whether it is known by now that nothing is reported up to `atUs`, and nobody can be tied to what is over. */
  constructor(late: Late, lossReportUs: number, onGive: (session: OpenSession) => void, mayLeave: (atUs: number) => boolean) {
    this.#late = late;
    this.#lossReportUs = lossReportUs;
    this.#onGive = onGive;
    this.#mayLeave = mayLeave;
  }

  /** `bytes`: what the derivation has been given so far. */
  add(session: OpenSession, nowUs: number, bytes: number): void {
    session.lastAtUs = nowUs;
    session.overKiB = Math.floor(bytes / 1024);
    this.aside.delete(session);
    session.aside = false;
    if (session.leaves) return; // what was tied to it since is settled before its turn came
    session.leaves = true;
    if (session.calls.length > 0) {
      if (session.discipline.decided) this.#late.fell(session, true);
      else this.#inDoubt.add(session);
    }
    this.#waiting.push(session);
  }

  get empty(): boolean {
    return this.#waiting.length === this.#from;
  }

  /** Over and not given out. */
  *all(): Generator<OpenSession> {
    for (let at = this.#from; at < this.#waiting.length; at += 1) yield this.#waiting[at] as OpenSession;
    yield* this.aside;
  }

  /** Gives out what need not wait any longer. */
  giveOut(nowUs: number, bytes: number): void {
    const until = nowUs - this.#lossReportUs;
    while (this.#from < this.#waiting.length) {
      const first = this.#waiting[this.#from] as OpenSession;
      if (first.lastAtUs > until && !this.#mayLeave(first.lastAtUs + this.#lossReportUs)) break;
      const mayWait = first.lastAtUs > nowUs - maxDoubtUs && this.#waiting.length - this.#from <= maxInDoubt && first.overKiB > bytes / 1024 - maxInDoubtKiB;
      if (mayWait && this.#waits(first, nowUs)) break;
      this.#waiting[this.#from] = undefined;
      first.leaves = false;
      this.#from += 1;
      this.#blocker = undefined;
      for (const { starts, ended, cutShort } of first.births ?? []) if (!cutShort) starts?.saw(ended);
      this.#late.fell(first);
      this.#late.settle(first);
      if (first.aside) this.aside.add(first);
      else this.#give(first);
    }
    if (this.#from > 4_096 && this.#from * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#from);
      this.#from = 0;
    }
  }

  /** The recording ends: gives out all. */
  finish(): void {
    const all = [...this.all()];
    for (const session of all) this.#late.fell(session);
    for (const session of all) this.#late.settle(session);
    for (const session of all) this.#give(session);
    this.#waiting = [];
    this.#from = 0;
  }

  #waits(first: OpenSession, nowUs: number): boolean {
    if (first.lastAtUs > nowUs - maxEndingUs && first.births?.some(({ child }) => !child.ended) === true) return true;
    if (first.acted && !first.discipline.decided) return true;
    const known = this.#blocker;
    if (known !== undefined && ('gone' in known ? !known.gone : !known.over)) return true;
    this.#judge();
    this.#late.fell(first);
    this.#blocker = this.#late.blocker(first);
    return this.#blocker !== undefined;
  }

  /** What shows of how threads take requests shows for all that wait. */
  #judge(): void {
    for (const session of this.#inDoubt) {
      if (!session.discipline.decided) continue;
      this.#inDoubt.delete(session);
      this.#late.fell(session, true);
    }
  }

  #give(session: OpenSession): void {
    session.process.given(session);
    if (session.calls.length > 0) this.#inDoubt.delete(session);
    if (!session.crowded && session.calls.length > 0 && !session.discipline.blocking) for (const kind of session.process.hindsights) kind.learn?.(session);
    this.#onGive(session);
  }
}
