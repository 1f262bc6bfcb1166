/**
 * A virtual thread of Java's that answers nobody was begun for one request, mostly: whose one of its calls is, all of them are. That is said
 * only while no other call of it was of another session: else it is a worker, which goes from one to the next.
 *
 *   virtual thread 7   reads A    begins 8    waits ……………………    answers A
 *   virtual thread 8                    call 1 (names A)   call 2 (names nobody)
 */
import { FIRST_VIRTUAL_THREAD } from '../events/event.ts';
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';

/** Virtual threads remembered, of one process. Past that the one first told of is forgotten. */
const maxThreads = 16_384;
const SEVERAL = 0;

export class Together<J extends Past> implements Hindsight<J> {
  readonly attribution = 'runtime';
  readonly refutes = false;
  readonly atLast = true;
  /** Sessions by number: they are not to be kept for this. */
  readonly #numbers = new WeakMap<J, number>();
  #sessions = 0;
  /** Whose the decided calls of each are; SEVERAL: of more than one. */
  readonly #of = new Map<number, number>();

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const own = threadOf(call);
    if (own === 0 || this.#of.get(own) === SEVERAL) return undefined;
    const jobs = candidates.filter(({ sure }) => sure.some((other) => other !== call && threadOf(other) === own));
    const [job] = jobs;
    if (job === undefined || jobs.length > 1) return undefined;
    const number = this.#number(job);
    return (this.#of.get(own) ?? number) === number ? { job, alternatives: [] } : undefined;
  }

  decided(call: OpenTalk, job: J | undefined): void {
    const own = threadOf(call);
    if (own === 0 || job === undefined) return;
    const number = this.#number(job);
    this.#of.set(own, (this.#of.get(own) ?? number) === number ? number : SEVERAL);
    if (this.#of.size > maxThreads) for (const oldest of this.#of.keys()) { this.#of.delete(oldest); break; }
  }

  #number(job: J): number {
    const number = this.#numbers.get(job) ?? ++this.#sessions;
    this.#numbers.set(job, number);
    return number;
  }

  whyNot(): undefined {
    return undefined;
  }
}

/** The number of the virtual thread of Java's on which `call` was written; 0: on none that is known. */
function threadOf({ request: { pieces: [first] } }: OpenTalk): number {
  return first === undefined || first.goroutine < FIRST_VIRTUAL_THREAD ? 0 : first.goroutine;
}
