/**
 * Sessions of a process that are not given out, in the order in which they began. A list through them: entering and leaving are O(1). No
 * `Roster`: they wait here, and a seat for each took a tenth of the speed of loops (bench/derive.ts). So many in a row are a block: whoever
 * looks for those that were open at some time passes over a block of which all were over by then, without a look at each that waits for
 * a report of losses.
 */
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

const ofBlock = 64;

export class Block {
  /** The first of them that is left, and how many are. */
  first: OpenSession;
  left = 0;
  entered = 0;
  before: Block | undefined;
  after: Block | undefined;
  /** Number of the event at which the last of them was over; 0: one is not, or may still enter. */
  #overSeq = 0;

  constructor(first: OpenSession) {
    this.first = first;
  }

  /** All of them were over before the event `seq`. */
  overBy(seq: number): boolean {
    if (this.#overSeq === 0) this.#overSeq = this.#lastOverSeq();
    return this.#overSeq > 0 && this.#overSeq < seq;
  }

  #lastOverSeq(): number {
    let last = 0;
    if (this.entered < ofBlock) return 0;
    let session: OpenSession | undefined = this.first;
    for (let at = 0; at < this.left && session !== undefined; at += 1, session = session.behind) {
      if (session.overSeq === 0) return 0;
      last = Math.max(last, session.overSeq);
    }
    return last;
  }
}

export class Held {
  size = 0;
  #firstBlock: Block | undefined;
  #lastBlock: Block | undefined;
  #last: OpenSession | undefined;

  get first(): OpenSession | undefined {
    return this.#firstBlock?.first;
  }

  /** The one that began last. */
  get last(): OpenSession | undefined {
    return this.#last;
  }

  get empty(): boolean {
    return this.#last === undefined;
  }

  add(session: OpenSession): void {
    session.ahead = this.#last;
    if (this.#last !== undefined) this.#last.behind = session;
    this.#last = session;
    const block = this.#lastBlock === undefined || this.#lastBlock.entered >= ofBlock ? this.#append(new Block(session)) : this.#lastBlock;
    block.entered += 1;
    block.left += 1;
    session.block = block;
    this.size += 1;
  }

  /** Nothing happens where it isn't in. */
  remove(session: OpenSession): void {
    const { block, ahead, behind } = session;
    if (block === undefined) return;
    if (ahead !== undefined) ahead.behind = behind;
    if (behind === undefined) this.#last = ahead;
    else behind.ahead = ahead;
    session.block = session.ahead = session.behind = undefined;
    this.size -= 1;
    block.left -= 1;
    if (block.left === 0) this.#drop(block);
    else if (block.first === session) block.first = behind as OpenSession;
  }

  *[Symbol.iterator](): Generator<OpenSession> {
    for (let session = this.first; session !== undefined; session = session.behind) yield session;
  }

  /** Those that were open when `call` began. */
  openAt(call: Spoken): OpenSession[] {
    const found: OpenSession[] = [];
    for (const session of this.begunBefore(call.beganSeq, call.beganSeq)) if (session.wasOpenAt(call)) found.push(session);
    return found;
  }

  /** Those that began before the event `seq`, but not all of those that were over before `openSeq`. */
  *begunBefore(seq: number, openSeq: number): Generator<OpenSession> {
    for (let block = this.#firstBlock; block !== undefined; block = block.after) {
      if (block.overBy(openSeq)) continue;
      let session: OpenSession | undefined = block.first;
      for (let at = 0; at < block.left && session !== undefined; at += 1, session = session.behind) {
        if (session.talk.beganSeq >= seq) return;
        yield session;
      }
    }
  }

  /** Those that began after the event `seq`, the latest one first. */
  *begunAfter(seq: number): Generator<OpenSession> {
    for (let session = this.#last; session !== undefined && session.talk.beganSeq > seq; session = session.ahead) yield session;
  }

  #append(block: Block): Block {
    block.before = this.#lastBlock;
    if (this.#lastBlock === undefined) this.#firstBlock = block;
    else this.#lastBlock.after = block;
    return (this.#lastBlock = block);
  }

  #drop(block: Block): void {
    const { before, after } = block;
    if (before === undefined) this.#firstBlock = after;
    else before.after = after;
    if (after === undefined) this.#lastBlock = before;
    else after.before = before;
    // Gone, and maybe old by now: it must not keep others.
    block.before = block.after = undefined;
  }
}
