/** Whose the calls of Java's virtual threads were found to be, of one process, by the threads' numbers. */
import { dropFirst } from '../bounded.ts';
import { FIRST_VIRTUAL_THREAD } from '../events/event.ts';
import type { Run } from '../talks/run.ts';

/** Virtual threads remembered. Past that the one first told of is forgotten. */
const maxThreads = 16_384;
/** In place of a session's number: calls of more than one. */
export const SEVERAL = 0;

export class VirtualCalls<J extends object> {
  /** Sessions by number: they are not to be kept for this. */
  readonly #numbers = new WeakMap<J, number>();
  #sessions = 0;
  readonly #of = new Map<number, number>();

  /** The number of the session whose the calls of that thread are, or SEVERAL; undefined: none of its is known. */
  of(thread: number): number | undefined {
    return this.#of.get(thread);
  }

  /** Nothing that is known of that thread's calls speaks against `job`. */
  mayBeOf(thread: number, job: J): boolean {
    const number = this.#number(job);
    return (this.#of.get(thread) ?? number) === number;
  }

  /** A call of that thread is `job`'s. True: the first of its that is known. */
  decided(thread: number, job: J): boolean {
    const isFirst = !this.#of.has(thread);
    this.#of.set(thread, this.mayBeOf(thread, job) ? this.#number(job) : SEVERAL);
    dropFirst(this.#of, maxThreads);
    return isFirst;
  }

  #number(job: J): number {
    const number = this.#numbers.get(job) ?? ++this.#sessions;
    this.#numbers.set(job, number);
    return number;
  }
}

/** The number of the virtual thread of Java's that wrote this; 0: of none that is known. */
export function virtualThreadOf({ pieces: [first] }: Run): number {
  return first === undefined || first.goroutine < FIRST_VIRTUAL_THREAD ? 0 : first.goroutine;
}
