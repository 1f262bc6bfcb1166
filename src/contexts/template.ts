/**
 * What an endpoint's sessions do, learnt from those that ran alone: which calls, how often, and which always comes after
 * which. Of numbers, ids and the like the shapes of calls say nothing.
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import { maxTurnUs } from './context.ts';
import { shapeOf } from './shape.ts';

/** Fewer sessions say too little. */
const minSeen = 4;
const maxShapes = 64;
/** Calls of one shape in a session. A session with more is not learnt from. */
const maxCount = 32;
/** What happens less often than once in so many times is put down to a call that was tied wrongly. */
export const SELDOM = 20;
/** On a busy machine one wake-up in so many may come late. */
const OFTEN = 4;
/** Of what it does first: a timer would put off nearly all. */
const OFTEN_FIRST = 2;
/** Weight of the newest gap in the mean. */
const NEWEST = 0.1;

export class Step {
  readonly shape: string;
  /** In how many of the sessions it was made 0, 1, 2, … times. */
  readonly counts: number[];
  /** How often each other shape was all answered before it was made, and how often not. */
  readonly before = new Map<string, { times: number; not: number }>();
  /** How often it was made again, and how often only after the one before was answered. */
  again = 0;
  inTurn = 0;
  /** How often it was made after the response. */
  after = 0;
  /** How often it was made before any answer had come. */
  unprompted = 0;
  /** How often it was what the session did first of all. */
  led = 0;
  /** How often nothing was begun between its answer and the response. */
  concluding = 0;
  /** How often it did not begin at once when what it waits for was there; how often what comes next did not, after its answer. */
  thoughtBefore = 0;
  thoughtAfter = 0;
  /** Usual µs between what it waits for and it, and between its answer and what comes next. */
  fromGapUs = 0;
  untilGapUs = 0;

  constructor(shape: string, seenWithout: number) {
    this.shape = shape;
    this.counts = [seenWithout];
  }

  /** Its calls are made one when the one before is answered: sessions' calls of it need not come in runs. */
  get oneByOne(): boolean {
    return this.inTurn * SELDOM > this.again;
  }

  get afterResponse(): boolean {
    return this.after * SELDOM > this.sessions;
  }

  /** It is the first thing that a session does, maybe with others; the last one before its response. */
  get isFirst(): boolean {
    return (this.sessions - this.unprompted) * SELDOM <= this.sessions;
  }

  get isLast(): boolean {
    return this.concluding * SELDOM >= this.sessions * (SELDOM - 1);
  }

  /** It may be what a session does first of all. */
  get leads(): boolean {
    return this.led * SELDOM >= this.sessions;
  }

  /** It begins at once when what it waits for is there: if not, a timer or the like comes between, and there is no telling whose is first. */
  get startsAtOnce(): boolean {
    return this.thoughtBefore * (this.isFirst ? OFTEN_FIRST : OFTEN) <= this.sessions;
  }

  /** What comes next begins at once when it is answered. */
  get endsAtOnce(): boolean {
    return this.thoughtAfter * OFTEN <= this.sessions;
  }

  /** In how many it was made at all. */
  get sessions(): number {
    return this.counts.reduce((sum, count, times) => sum + (times > 0 ? count : 0), 0);
  }

  get least(): number {
    return this.counts.findIndex((count) => count > 0);
  }
}

export class Template {
  readonly steps = new Map<string, Step>();
  seen = 0;
  /** Sessions that were not looked at, since enough was known. */
  skipped = 0;

  get known(): boolean {
    return this.seen >= minSeen;
  }

  /** `calls` of a session that ran alone, in their order. */
  learn(request: OpenTalk, calls: readonly OpenTalk[]): void {
    const byShape = new Map<string, OpenTalk[]>();
    for (const call of calls) {
      const shape = shapeOf(call);
      const same = byShape.get(shape);
      if (same === undefined) byShape.set(shape, [call]);
      else same.push(call);
    }
    for (const [shape, same] of byShape) if (same.length > maxCount || (!this.steps.has(shape) && this.steps.size >= maxShapes)) return;
    for (const shape of byShape.keys()) if (!this.steps.has(shape)) this.steps.set(shape, new Step(shape, this.seen));
    this.seen += 1;
    for (const step of this.steps.values()) this.#count(step, byShape.get(step.shape)?.length ?? 0);
    const firstUs = Math.min(...calls.map(({ begunAtUs }) => begunAtUs));
    const promptedUs = Math.min(...calls.map(answeredAtUs));
    for (const [shape, same] of byShape) {
      const step = this.steps.get(shape) as Step;
      const answeredUs = Math.max(...same.map(answeredAtUs));
      if (calls.every((call) => call.begunAtUs < answeredUs || call.begunAtUs > respondedAtUs(request))) step.concluding += 1;
      if (same.some(({ begunAtUs }) => begunAtUs === firstUs)) step.led += 1;
      if ((same[0] as OpenTalk).begunAtUs < promptedUs) step.unprompted += 1;
      this.#place(step, same, byShape, request);
    }
  }

  /** Those that always come before `step`, and those that always come after it. */
  before(step: Step): Step[] {
    return [...this.steps.values()].filter((other) => this.#precedes(other, step));
  }

  after(step: Step): Step[] {
    return [...this.steps.values()].filter((other) => this.#precedes(step, other));
  }

  #precedes(first: Step, second: Step): boolean {
    const order = second.before.get(first.shape);
    return order !== undefined && order.not * SELDOM < order.times;
  }

  #count(step: Step, made: number): void {
    while (step.counts.length <= made) step.counts.push(0);
    step.counts[made] = (step.counts[made] as number) + 1;
  }

  #place(step: Step, same: readonly OpenTalk[], byShape: ReadonlyMap<string, readonly OpenTalk[]>, request: OpenTalk): void {
    const first = same[0] as OpenTalk;
    const beganUs = first.begunAtUs;
    let fromUs = askedAtUs(request);
    let untilUs = respondedAtUs(request);
    const answeredUs = Math.max(...same.map(answeredAtUs));
    for (const [shape, others] of byShape) {
      if (shape === step.shape) continue;
      const othersAnsweredUs = Math.max(...others.map(answeredAtUs));
      const order = step.before.get(shape) ?? { times: 0, not: 0 };
      step.before.set(shape, order);
      if (othersAnsweredUs <= beganUs) {
        order.times += 1;
        fromUs = Math.max(fromUs, othersAnsweredUs);
      } else order.not += 1;
      const othersBeganUs = (others[0] as OpenTalk).begunAtUs;
      if (othersBeganUs >= answeredUs) untilUs = Math.min(untilUs, othersBeganUs);
    }
    same.forEach((call, at) => {
      if (at === 0) return;
      step.again += 1;
      if (call.begunAtUs >= answeredAtUs(same[at - 1] as OpenTalk)) step.inTurn += 1;
    });
    if (beganUs > respondedAtUs(request)) step.after += 1;
    if (beganUs - fromUs > maxTurnUs) step.thoughtBefore += 1;
    if (untilUs - answeredUs > maxTurnUs) step.thoughtAfter += 1;
    step.fromGapUs = mean(step.fromGapUs, beganUs - fromUs);
    step.untilGapUs = mean(step.untilGapUs, untilUs - answeredUs);
  }
}

function mean(soFar: number, newest: number): number {
  const value = Math.max(1, newest);
  return soFar === 0 ? value : Math.exp(Math.log(soFar) * (1 - NEWEST) + Math.log(value) * NEWEST);
}

/** Unix µs of the last byte of its request that was read (inbound), or of its answer (outbound). */
export function askedAtUs(talk: OpenTalk): number {
  return talk.request.last?.atUs ?? talk.begunAtUs;
}

export function answeredAtUs(talk: OpenTalk): number {
  return talk.response.last?.atUs ?? Infinity;
}

/** Unix µs of the first byte of its response. */
export function respondedAtUs(talk: OpenTalk): number {
  return talk.response.pieces[0]?.atUs ?? Infinity;
}
