/** Sessions of a process that ran side by side, and the calls of that time, shared out by what such sessions do alone (see pattern.ts). */
import type { OpenTalk } from '../talks/open-talk.ts';
import { align } from './alignment.ts';
import type { Aligned, Placed, Slot } from './alignment.ts';
import type { Past } from './hindsight.ts';
import { shapeOf } from './shape.ts';
import { answeredAtUs, askedAtUs, respondedAtUs, SELDOM } from './template.ts';
import type { Step, Template } from './template.ts';

/** Less likely than this, a call stays without a tie. */
export const ENOUGH = 0.99;
const maxRounds = 4;
/** Calls of a shape that other kinds of evidence tie to sessions which did not run alone. With fewer its order is not believed. */
const minTold = 8;
/** And one at least of so many. With fewer, one call that was overtaken looks like one too many of a session before, and shifts all up to the next that is told. */
const OF_SO_MANY = 2;
/** Calls out of order. So few may be ties that are wrong. */
const FEW = 2;
/** Of so many answered sessions it must be known when their calls of a shape could begin, or had to be over: that gives the order. */
const MOST = 0.8;

export interface Guess<J> {
  readonly job: J;
  readonly second: J | undefined;
  readonly probability: number;
}

/** A session of the crowd, and which calls it is taken to have made, by shape. */
interface Actor<J> {
  readonly job: J;
  readonly template: Template;
  readonly made: Map<string, OpenTalk[]>;
}

/** A call, and whose it is, where that is known. */
interface Known<J> {
  readonly call: OpenTalk;
  readonly job: J | undefined;
}

/** Sessions that ran side by side, and the calls of that time. */
export class Crowd<J extends Past> {
  readonly guesses = new Map<OpenTalk, Guess<J>>();
  readonly #actors: Actor<J>[] = [];
  readonly #byShape = new Map<string, Known<J>[]>();
  readonly #nobodys: ReadonlyMap<string, number>;

  /** `nobodys`: calls of that time, by shape, of which it is decided that nothing tells whose they are. */
  constructor(jobs: readonly J[], templateOf: (talk: OpenTalk) => Template | undefined, nobodys: ReadonlyMap<string, number>) {
    this.#nobodys = nobodys;
    for (const job of jobs) {
      const template = templateOf(job.talk);
      if (template !== undefined) this.#actors.push({ job, template, made: new Map() });
      for (const call of job.calls) if (call.over) this.add(call, job);
    }
  }

  /** `job`: whose it is, where that is known. */
  add(call: OpenTalk, job: J | undefined): void {
    const shape = shapeOf(call);
    const same = this.#byShape.get(shape);
    if (same === undefined) this.#byShape.set(shape, [{ call, job }]);
    else same.push({ call, job });
  }

  solve(): void {
    for (let round = 0; round < maxRounds; round += 1) {
      this.#believe();
      let changed = false;
      for (const [shape, calls] of this.#byShape) {
        if (calls.some(({ job }) => job === undefined) && this.#share(shape, calls)) changed = true;
      }
      if (!changed) return;
    }
  }

  /** What is known or likely enough is built upon. */
  #believe(): void {
    const actors = new Map(this.#actors.map((actor) => [actor.job, actor]));
    for (const { made } of this.#actors) made.clear();
    for (const [shape, calls] of this.#byShape) {
      for (const { call, job } of calls) {
        const guess = this.guesses.get(call);
        const maker = job ?? (guess !== undefined && guess.probability >= ENOUGH ? guess.job : undefined);
        const made = maker === undefined ? undefined : actors.get(maker)?.made;
        const same = made?.get(shape);
        if (same === undefined) made?.set(shape, [call]);
        else same.push(call);
      }
    }
  }

  /** Shares out the calls of one shape. False: nothing was found that was not known. */
  #share(shape: string, calls: readonly Known<J>[]): boolean {
    const places = this.#places(shape);
    const answered = places.filter(({ job }) => job.answered);
    const ahead = answered.filter(({ fromGapUs }) => fromGapUs !== undefined).length;
    const behind = answered.filter(({ untilGapUs }) => untilGapUs !== undefined).length;
    // Several calls of a session may be answered in any order: then only when they begin gives the order.
    const byAnswer = behind > ahead && places.every(({ counts }) => counts.length <= 2);
    if ((byAnswer ? behind : ahead) < Math.max(1, MOST * answered.length)) return this.#drop(calls);
    const inLine = places.filter((place) => (byAnswer ? place.untilGapUs : place.fromGapUs) !== undefined);
    inLine.sort(byAnswer ? (a, b) => a.untilUs - b.untilUs || a.order - b.order : (a, b) => a.fromUs - b.fromUs || a.order - b.order);
    const slotOf = new Map(inLine.map(({ job }, at) => [job, at]));
    const open = calls.filter(({ job }) => job === undefined || slotOf.has(job));
    open.sort(byAnswer ? (a, b) => answeredAtUs(a.call) - answeredAtUs(b.call) || inOrder(a.call, b.call) : (a, b) => inOrder(a.call, b.call));
    const aligned = open.map(({ call, job }): Aligned => ({ beganUs: call.begunAtUs, answeredUs: answeredAtUs(call), slot: job === undefined ? undefined : slotOf.get(job) }));
    let others = 0;
    for (const place of places) if (!slotOf.has(place.job)) others += place.counts.length - 1;
    const placed = align(inLine, aligned, others > 0);
    const nobodys = placed.filter((place) => place === undefined).length - others;
    // What other kinds of evidence say of such calls of the crowd has to be in line: else one after the other is not how it goes here.
    const told = aligned.filter((_, at) => open[at]?.job?.crowded === true);
    const all = open.length + (this.#nobodys.get(shape) ?? 0);
    const sure = (told.length >= minTold && told.length * OF_SO_MANY >= all) || (byAnswer ? places.every(({ ends }) => ends.last) : places.every(({ ends }) => ends.first) && shareConnection(open));
    if (!sure || disorder(told) || nobodys * SELDOM > placed.length) return this.#drop(calls);
    let changed = false;
    placed.forEach((place, at) => {
      const { call, job } = open[at] as Known<J>;
      if (job === undefined && this.#guess(call, place, inLine)) changed = true;
    });
    return changed;
  }

  /** Sessions that may make calls of `shape`. None: their calls of it can't be told apart by order. */
  #places(shape: string): Place<J>[] {
    const places: Place<J>[] = [];
    for (const actor of this.#actors) {
      const step = actor.template.steps.get(shape);
      if (step === undefined) continue;
      if (step.oneByOne) return [];
      places.push(placeOf(actor, step));
    }
    return places;
  }

  #guess(call: OpenTalk, placed: Placed | undefined, places: readonly Place<J>[]): boolean {
    const before = this.guesses.get(call);
    if (placed === undefined) return this.guesses.delete(call);
    const job = (places[placed.slot] as Place<J>).job;
    const second = placed.second === undefined ? undefined : places[placed.second]?.job;
    this.guesses.set(call, { job, second, probability: placed.probability });
    return before?.job !== job || (before.probability >= ENOUGH) !== (placed.probability >= ENOUGH);
  }

  /** Nothing is to be believed of them. */
  #drop(calls: readonly Known<J>[]): boolean {
    let had = false;
    for (const { call } of calls) had = this.guesses.delete(call) || had;
    return had;
  }
}

/**
 * Whoever waits for a connection of a pool may be overtaken; on one that all share, where calls are sent before those ahead are
 * answered, nobody waits.
 */
function shareConnection<J>(calls: readonly Known<J>[]): boolean {
  let overlap = 0;
  let answeredUs = -Infinity;
  for (const { call } of calls) {
    if (call.connection !== calls[0]?.call.connection) return false;
    if (call.begunAtUs < answeredUs) overlap += 1;
    answeredUs = answeredAtUs(call);
  }
  return overlap > FEW;
}

/** Calls that one write carries begin at the same time, one behind the other. */
function inOrder(a: OpenTalk, b: OpenTalk): number {
  return a.begunAtUs - b.begunAtUs || (a.connection === b.connection ? a.request.from - b.request.from : 0);
}

/** Those whose slots are known come in another order than these: work is not taken up in turn. */
function disorder(calls: readonly Aligned[]): boolean {
  let pairs = 0;
  let crossed = 0;
  let last: number | undefined;
  for (const { slot } of calls) {
    if (slot === undefined) continue;
    if (last !== undefined) {
      pairs += 1;
      if (slot < last) crossed += 1;
    }
    last = slot;
  }
  return crossed > FEW && crossed * SELDOM > pairs;
}

interface Place<J> extends Slot {
  readonly job: J;
  /** Among equals. */
  readonly order: number;
  /** Its calls are the first thing that such sessions do, the last one. */
  readonly ends: { readonly first: boolean; readonly last: boolean };
}

/** From when and until when an actor's calls of a step can be, by what is known of its other calls. */
function placeOf<J extends Past>({ job, template, made }: Actor<J>, step: Step): Place<J> {
  let fromUs = askedAtUs(job.talk);
  let order = job.talk.begunAtUs;
  let fromKnown = true;
  for (const other of template.before(step)) {
    const calls = made.get(other.shape) ?? [];
    if (calls.length < other.least) fromKnown = false;
    for (const call of calls) {
      if (answeredAtUs(call) < fromUs) continue;
      fromUs = answeredAtUs(call);
      order = call.begunAtUs;
    }
  }
  let untilUs = respondedAtUs(job.talk);
  let untilKnown = true;
  for (const other of template.after(step)) {
    const calls = made.get(other.shape) ?? [];
    if (calls.length < other.least) untilKnown = false;
    for (const call of calls) if (call.begunAtUs < untilUs) untilUs = call.begunAtUs;
  }
  if (step.afterResponse) untilUs = Infinity;
  const ends = { first: step.isFirst, last: step.isLast };
  return { job, ends, fromUs, order, untilUs, counts: step.counts, open: !job.answered, fromGapUs: fromKnown && step.startsAtOnce ? step.fromGapUs : undefined, untilGapUs: untilKnown && untilUs !== Infinity && step.endsAtOnce ? step.untilGapUs : undefined };
}
