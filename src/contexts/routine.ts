/**
 * What a session puts into a queue, learnt from those that ran alone: which calls, how many of each, and which of them are put in only
 * when others are answered. Two calls of one shape are two steps: `insert` and `select` of prepared statements may look alike.
 *
 *   PRICE SET INSERT | GET SELECT TOTAL     the last three come after the first three, in any order: two handfuls
 */
import { SELDOM } from './template.ts';

/** Steps are bits of a number. */
const maxSteps = 30;
const minSeen = 4;
/** Of the sessions seen lately, so many did it so. */
const MOST = 0.4;
/** Weight of what was seen before, at each session. */
const FADE = 0.8;
/** Ways to do it that are remembered of one endpoint. */
const maxWays = 16;

/** A call that a session made: its shape, and when it was taken out of the queue and answered, Unix µs. */
export interface Chore {
  readonly shape: string;
  readonly beganUs: number;
  readonly answeredUs: number;
}

export interface Routine {
  readonly shapes: readonly string[];
  /** Of each step, the bits of those that are answered before it is put in. */
  readonly after: readonly number[];
}

/** One way in which sessions of an endpoint do it. */
class Way implements Routine {
  readonly shapes: readonly string[];
  seen = 0;
  weight = 0;
  after: number[];
  /** [step][other]: how often the other had no answer when the step began. */
  readonly #not: number[][];

  constructor(shapes: readonly string[]) {
    this.shapes = shapes;
    this.after = shapes.map(() => 0);
    this.#not = shapes.map(() => shapes.map(() => 0));
  }

  /** `calls` in the order of `shapes`. */
  learn(calls: readonly Chore[]): void {
    this.seen += 1;
    this.weight += 1;
    this.after = calls.map((call, step) => {
      let after = 0;
      calls.forEach((other, at) => {
        const not = this.#not[step] as number[];
        if (at === step || other.answeredUs > call.beganUs) not[at] = (not[at] as number) + 1;
        if ((not[at] as number) * SELDOM < this.seen) after |= 1 << at;
      });
      return after;
    });
  }
}

export class Routines {
  readonly #ways = new Map<string, Way>();

  /** `calls`: all that one session put in, in the order in which they began. */
  learn(calls: readonly Chore[]): void {
    if (calls.length > maxSteps) return;
    for (const way of this.#ways.values()) way.weight *= FADE;
    // Steps of one shape are told apart by their order: a stable sort keeps it.
    const steps = [...calls].sort((a, b) => (a.shape < b.shape ? -1 : a.shape > b.shape ? 1 : 0));
    const shapes = steps.map(({ shape }) => shape);
    const key = shapes.join('\n');
    let way = this.#ways.get(key);
    if (way === undefined) {
      if (this.#ways.size >= maxWays) this.#ways.clear();
      this.#ways.set(key, (way = new Way(shapes)));
    }
    way.learn(steps);
  }

  /** What such sessions do, where nearly all lately did the same. */
  get usual(): Routine | undefined {
    let all = 0;
    let most: Way | undefined;
    for (const way of this.#ways.values()) {
      all += way.weight;
      if (most === undefined || way.weight > most.weight) most = way;
    }
    return most !== undefined && most.seen >= minSeen && most.weight >= MOST * all ? most : undefined;
  }
}
