/** Noise rules out of two replays of the build that was recorded: what differs there differs by itself. Pure. */
import { generalPath, isTimeText, isValue, type Difference, type NoiseRule } from '../compare/index.ts';
import { endpointOf } from './endpoint.ts';
import type { Replayed } from './replayed.ts';
import { twice } from './second-run.ts';

export interface Learnt {
  /** By endpoint and path. */
  readonly rules: readonly NoiseRule[];
  /** What differs and is no value: no rule is made of it. `GET /orders/*: response.status`, with how often. */
  readonly left: ReadonlyMap<string, number>;
}

interface Seen {
  readonly of: string;
  readonly path: string;
  count: number;
  times: boolean;
  /** The two live runs agreed, each time. */
  steady: boolean;
}

export class NoiseLearner {
  readonly #seen = new Map<string, Seen>();
  readonly #left = new Map<string, number>();

  /** Two runs of one session against the build that was recorded. */
  add(first: Replayed, second: Replayed): void {
    const of = endpointOf(first.summary);
    if (second.verdict === 'error') {
      this.failed(second);
      return;
    }
    this.#compare(of, first.response.differences, second.response.differences);
    const others = new Map(second.calls.flatMap((call) => (call.recorded === undefined ? [] : [[call.recorded, call.differences] as const])));
    for (const { verdict, recorded, differences, summary } of first.calls) {
      if (verdict === 'different') this.#compare(of, differences, others.get(recorded ?? -1) ?? []);
      else if (verdict !== 'same' && verdict !== 'state' && verdict !== 'cached') this.#leave(`${of}: ${verdict} call ${summary}`);
    }
  }

  /** A session without an answer: nothing is learnt from it, and it is not passed over. */
  failed({ summary, reason }: Replayed): void {
    this.#leave(`${endpointOf(summary)}: ${reason ?? 'error'}`);
  }

  get learnt(): Learnt {
    const rules = [...this.#seen.values()].sort((a, b) => (a.of + a.path < b.of + b.path ? -1 : 1)).map(({ of, path, count, times, steady }): NoiseRule => ({
      path, of, ...(times ? { time: true } : { values: true }), seen: count,
      why: steady ? 'another value than recorded, the same in both runs' : 'another value each time',
    }));
    return { rules, left: this.#left };
  }

  #compare(of: string, differences: readonly Difference[], others: readonly Difference[]): void {
    for (const { difference, other } of twice(differences, others)) {
      if (isValue(difference)) this.#see(of, difference, other);
      else this.#leave(`${of}: ${generalPath(difference.path)}`);
    }
    // What only the second run has differs by itself just as well.
    for (const { difference, other } of twice(others, differences)) {
      const known = differences.some(({ path }) => path === difference.path);
      if (!known && isValue(difference)) this.#see(of, difference, other);
    }
  }

  #see(of: string, { path, recorded, live }: Difference, other: unknown): void {
    const general = generalPath(path);
    const times = [recorded, live, other].every((value) => (typeof value === 'string' || typeof value === 'number') && isTimeText(String(value)));
    const steady = JSON.stringify(live) === JSON.stringify(other);
    const key = `${of} ${general}`;
    const seen = this.#seen.get(key);
    if (seen === undefined) this.#seen.set(key, { of, path: general, count: 1, times, steady });
    else {
      seen.count += 1;
      seen.times &&= times;
      seen.steady &&= steady;
    }
  }

  #leave(what: string): void {
    this.#left.set(what, (this.#left.get(what) ?? 0) + 1);
  }
}
