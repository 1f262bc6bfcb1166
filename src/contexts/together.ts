/**
 * A virtual thread of Java's that answers nobody was begun for one request, mostly: whose one of its calls is, all of them are. That is said
 * only while no other call of it was of another session: else it is a worker, which goes from one to the next.
 *
 *   virtual thread 7   reads A    begins 8    waits ……………………    answers A
 *   virtual thread 8                    call 1 (names A)   call 2 (names nobody)
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import { SEVERAL, VirtualCalls, virtualThreadOf } from './virtual-calls.ts';

export class Together<J extends Past> implements Hindsight<J> {
  readonly attribution = 'runtime';
  readonly support = 'same-virtual-thread';
  readonly refutes = false;
  readonly atLast = true;
  readonly #calls = new VirtualCalls<J>();

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const own = virtualThreadOf(call.request);
    if (own === 0 || this.#calls.of(own) === SEVERAL) return undefined;
    const jobs = candidates.filter(({ sure }) => sure.some((other) => other !== call && virtualThreadOf(other.request) === own));
    const [job] = jobs;
    if (job === undefined || jobs.length > 1) return undefined;
    return this.#calls.mayBeOf(own, job) ? { job, alternatives: [] } : undefined;
  }

  decided(call: OpenTalk, job: J | undefined): void {
    const own = virtualThreadOf(call.request);
    if (own !== 0 && job !== undefined) this.#calls.decided(own, job);
  }

  whyNot(): undefined {
    return undefined;
  }
}
