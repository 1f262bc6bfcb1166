/**
 * Java's virtual threads are numbered as they are made. Between two that one request has begun stands another's only where another thread
 * begins one at that very moment: mostly, what stands there was begun for the same request.
 *
 *   virtual thread 41   reads A    begins 42, 43, 44    waits for 44 ………    answers A
 *   virtual thread 43              call: 42's or 41's calls are A's, and so are 44's
 *
 * How often that fails hangs on how many threads carry them: it is believed where it is seen to hold for those of which something else tells.
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import { SEVERAL, VirtualCalls, virtualThreadOf } from './virtual-calls.ts';

/** So many stood between two of one session and were known, and at most one of so many was another's. */
const ENOUGH = 64;
const ONE_IN = 200;

export class Siblings<J extends Past> implements Hindsight<J> {
  readonly attribution = 'runtime';
  readonly support = 'numbered-between';
  readonly refutes = false;
  readonly atLast = true;
  readonly #calls = new VirtualCalls<J>();
  /** Calls that this tied: they bear no witness. */
  readonly #tied = new WeakSet<OpenTalk>();
  #told = 0;
  #belied = 0;

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const own = virtualThreadOf(call.request);
    if (own === 0 || this.#told < ENOUGH || this.#belied * ONE_IN > this.#told) return undefined;
    const job = beside(own + 1, candidates);
    if (job === undefined || (beside(own - 1, candidates) ?? serves(own - 1, candidates)) !== job) return undefined;
    for (const each of [own - 1, own, own + 1]) if (!this.#calls.mayBeOf(each, job)) return undefined;
    this.#tied.add(call);
    return { job, alternatives: [] };
  }

  decided(call: OpenTalk, job: J | undefined): void {
    const own = virtualThreadOf(call.request);
    if (own === 0 || job === undefined || this.#tied.has(call) || !this.#calls.decided(own, job)) return;
    for (const middle of [own - 1, own, own + 1]) this.#learn(middle);
  }

  whyNot(): undefined {
    return undefined;
  }

  #learn(middle: number): void {
    const [before, between, after] = [middle - 1, middle, middle + 1].map((each) => this.#calls.of(each) ?? SEVERAL);
    if (before === SEVERAL || between === SEVERAL || before !== after) return;
    this.#told += 1;
    if (between !== before) this.#belied += 1;
  }
}

/** Whose alone the calls of virtual thread `number` are, as far as that is sure. */
function beside<J extends Past>(number: number, candidates: readonly J[]): J | undefined {
  const jobs = candidates.filter(({ sure }) => sure.some(({ request }) => virtualThreadOf(request) === number));
  return jobs.length === 1 ? jobs[0] : undefined;
}

/** Whom alone it answers. */
function serves<J extends Past>(number: number, candidates: readonly J[]): J | undefined {
  const jobs = candidates.filter(({ talk }) => virtualThreadOf(talk.response) === number);
  return jobs.length === 1 ? jobs[0] : undefined;
}
