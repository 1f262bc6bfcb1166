/**
 * Sessions of a process that are not given out, in the order in which they began. In blocks: whoever looks for those that were open at some
 * time passes over a block of which all were over by then, and so does not look at each that waits for a report of losses. No
 * `Roster`: they wait here, and a seat for each took a tenth of the speed of loops (bench/derive.ts).
 */
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

const ofBlock = 64;

export class Block {
  readonly sessions: OpenSession[] = [];
  before: Block | undefined;
  after: Block | undefined;
  /** Nobody enters any more. */
  full = false;
  /** Number of the event at which the last of them was over; 0: one is not, or may still enter. */
  #overSeq = 0;

  /** All of them were over at the event `seq`. */
  overBy(seq: number): boolean {
    if (this.#overSeq === 0 && this.full && this.sessions.every(({ overSeq }) => overSeq > 0)) this.#overSeq = Math.max(...this.sessions.map(({ overSeq }) => overSeq));
    return this.#overSeq > 0 && this.#overSeq < seq;
  }
}

export class Held {
  size = 0;
  #first: Block | undefined;
  #last: Block | undefined;

  get first(): OpenSession | undefined {
    return this.#first?.sessions[0];
  }

  /** The one that began last. */
  get last(): OpenSession | undefined {
    return this.#last?.sessions.at(-1);
  }

  get empty(): boolean {
    return this.#first === undefined;
  }

  add(session: OpenSession): void {
    if (this.#last === undefined || this.#last.full) this.#append(new Block());
    const block = this.#last as Block;
    block.sessions.push(session);
    block.full = block.sessions.length >= ofBlock;
    session.block = block;
    this.size += 1;
  }

  /** Nothing happens where it isn't in. */
  remove(session: OpenSession): void {
    const { block } = session;
    if (block === undefined) return;
    session.block = undefined;
    block.sessions.splice(block.sessions.indexOf(session), 1);
    this.size -= 1;
    if (block.sessions.length > 0) return;
    const { before, after } = block;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    // Gone, and maybe old by now: it must not keep others.
    block.before = block.after = undefined;
  }

  /** Nobody may enter or leave meanwhile. */
  *[Symbol.iterator](): Generator<OpenSession> {
    for (let block = this.#first; block !== undefined; block = block.after) yield* block.sessions;
  }

  /** Those that were open when `call` began. */
  openAt(call: Spoken): OpenSession[] {
    const found: OpenSession[] = [];
    for (const session of this.begunBefore(call.beganSeq, call.beganSeq)) if (session.wasOpenAt(call)) found.push(session);
    return found;
  }

  /** Those that began before the event `seq`, but not all of those that were over before `openSeq`. */
  *begunBefore(seq: number, openSeq: number): Generator<OpenSession> {
    for (let block = this.#first; block !== undefined; block = block.after) {
      if (block.overBy(openSeq)) continue;
      for (const session of block.sessions) {
        if (session.talk.beganSeq >= seq) return;
        yield session;
      }
    }
  }

  /** Those that began after the event `seq`, the latest one first. */
  *begunAfter(seq: number): Generator<OpenSession> {
    for (let block = this.#last; block !== undefined; block = block.before) {
      for (let at = block.sessions.length - 1; at >= 0; at -= 1) {
        const session = block.sessions[at] as OpenSession;
        if (session.talk.beganSeq <= seq) return;
        yield session;
      }
    }
  }

  #append(block: Block): void {
    block.before = this.#last;
    if (this.#last === undefined) this.#first = block;
    else this.#last.after = block;
    this.#last = block;
  }
}
