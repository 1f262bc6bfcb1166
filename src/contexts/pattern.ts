/**
 * Sessions of an endpoint do alike. What they do is learnt from those that ran alone (template.ts); then, of those that ran
 * side by side, calls of one shape are shared out so that each session makes as many as usual, each after what it waits for and
 * before what waits for it, and work is taken up in the order in which it came up (alignment.ts). What is known of one shape
 * says when the next one's could begin, or must have ended: a few rounds. A guess, with its probability.
 *
 *   learnt     request  GET  answer  PRICE PRICE  answers  SET  answer  response
 *   known      when each session asked and was answered, so: whose GET (forward), whose SET (backward), then whose PRICE
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import { align } from './alignment.ts';
import type { Aligned, Placed, Slot } from './alignment.ts';
import type { Around, Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';
import { endpointsOf, shapeOf } from './shape.ts';
import type { Endpoints } from './shape.ts';
import { answeredAtUs, askedAtUs, respondedAtUs, SELDOM, Template } from './template.ts';
import type { Step } from './template.ts';

/** Less likely than this, a call stays without a tie. */
const ENOUGH = 0.99;
/** Who else might have made it is said from here on. */
const POSSIBLE = 0.001;
/** What so many sessions never did alone, none is believed to do because its thread seems to. */
const ENOUGH_SEEN = 8;
/** Calls of a session that are counted to see whether it makes one more. */
const maxOwn = 64;
const maxEndpoints = 256;
/** Sessions and calls looked at at a time. With more nothing is said. */
const maxSessions = 512;
const maxCalls = 4_096;
const maxRounds = 4;
/** Calls of a shape that other kinds of evidence tie to sessions which did not run alone. With fewer its order is not believed. */
const minTold = 8;
/** Calls out of order. So few may be ties that are wrong. */
const FEW = 2;
/** Of so many answered sessions it must be known when their calls of a shape could begin, or had to be over: that gives the order. */
const MOST = 0.8;
/** Once this much is learnt of an endpoint, only each so-manieth session is looked at. */
const learntWell = 64;
const eachSoMany = 16;

interface Guess<J> {
  readonly job: J;
  readonly second: J | undefined;
  readonly probability: number;
}

export class Pattern<J extends Past> implements Hindsight<J> {
  readonly attribution = 'pattern';
  readonly refutes = false;
  readonly atLast = true;
  readonly #templates = new Map<string, Template>();
  readonly #endpoints = new WeakMap<OpenTalk, Endpoints>();
  /** What was found of calls that are not asked for yet. */
  readonly #guesses = new WeakMap<OpenTalk, Guess<J>>();

  proves(): boolean {
    return false;
  }

  /** `job` is over, and ran alone: every call of its process meanwhile is tied to it, or to none. */
  learn(job: J): void {
    const { wide, narrow } = endpointsOf(job.talk);
    this.#learn(wide, job);
    if (narrow !== wide) this.#learn(narrow, job);
  }

  find(call: OpenTalk, candidates: readonly J[], byItself: boolean, around: Around<J>): Verdict<J> | undefined {
    if (this.#templates.size === 0 || candidates.length === 0 || byItself) return undefined;
    const shape = shapeOf(call);
    let may = false;
    for (const { talk } of candidates) {
      const template = this.#templateOf(talk);
      // What an unknown endpoint does may be this.
      if (template === undefined) return undefined;
      may ||= template.steps.has(shape);
    }
    if (!may) return undefined;
    const known = this.#guesses.get(call);
    if (known !== undefined) return verdictOf(known, candidates);
    const guess = this.#look(around)?.get(call);
    return guess === undefined ? undefined : verdictOf(guess, candidates);
  }

  belies(call: OpenTalk, job: J, first: boolean): boolean {
    const template = this.#templateOf(job.talk);
    if (template === undefined || template.seen < ENOUGH_SEEN) return false;
    const shape = shapeOf(call);
    const step = template.steps.get(shape);
    if (step === undefined) return true;
    if (first) return step.waits;
    if (job.calls.length > maxOwn) return false;
    let made = 0;
    for (const other of job.calls) if (other !== call && shapeOf(other) === shape) made += 1;
    return made + 1 >= step.counts.length;
  }

  whyNot(_call: OpenTalk, candidates: readonly J[]): WhyNot | undefined {
    return candidates.every(({ talk }) => this.#templateOf(talk) !== undefined) ? 'pattern-unsure' : undefined;
  }

  #templateOf(talk: OpenTalk): Template | undefined {
    const { wide, narrow } = this.#endpointsOf(talk);
    const template = this.#templates.get(narrow);
    if (template?.known === true) return template;
    const wider = this.#templates.get(wide);
    return wider?.known === true ? wider : undefined;
  }

  /** Asked of a session for each call that may be its own: kept once its request can't grow. */
  #endpointsOf(talk: OpenTalk): Endpoints {
    let endpoints = this.#endpoints.get(talk);
    if (endpoints !== undefined) return endpoints;
    endpoints = endpointsOf(talk);
    if (talk.over) this.#endpoints.set(talk, endpoints);
    return endpoints;
  }

  #learn(endpoint: string, job: J): void {
    let template = this.#templates.get(endpoint);
    if (template === undefined) {
      if (this.#templates.size >= maxEndpoints) return;
      this.#templates.set(endpoint, (template = new Template()));
    }
    if (template.seen >= learntWell && (template.skipped += 1) % eachSoMany !== 0) return;
    template.learn(job.talk, job.calls);
  }

  #look(around: Around<J>): ReadonlyMap<OpenTalk, Guess<J>> | undefined {
    const jobs = [...around.held];
    if (jobs.length > maxSessions) return undefined;
    const scene = new Scene<J>(jobs, (talk) => this.#templateOf(talk));
    let count = 0;
    for (const call of around.withoutTie()) {
      if (++count > maxCalls) return undefined;
      scene.add(call, undefined);
    }
    scene.solve();
    for (const [call, guess] of scene.guesses) if (jobs.every((job) => job.gone || job.talk.over || job.talk.begunAtUs > call.begunAtUs)) this.#guesses.set(call, guess);
    return scene.guesses;
  }
}

function verdictOf<J extends Past>({ job, second, probability }: Guess<J>, candidates: readonly J[]): Verdict<J> | undefined {
  if (probability < ENOUGH || !candidates.includes(job)) return undefined;
  return { job, alternatives: second !== undefined && 1 - probability > POSSIBLE && candidates.includes(second) ? [second] : [] };
}

/** A session in a scene, and which calls it is taken to have made, by shape. */
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
class Scene<J extends Past> {
  readonly guesses = new Map<OpenTalk, Guess<J>>();
  readonly #actors: Actor<J>[] = [];
  readonly #byShape = new Map<string, Known<J>[]>();

  constructor(jobs: readonly J[], templateOf: (talk: OpenTalk) => Template | undefined) {
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
    open.sort(byAnswer ? (a, b) => answeredAtUs(a.call) - answeredAtUs(b.call) || a.call.begunAtUs - b.call.begunAtUs : (a, b) => a.call.begunAtUs - b.call.begunAtUs);
    const aligned = open.map(({ call, job }): Aligned => ({ beganUs: call.begunAtUs, answeredUs: answeredAtUs(call), slot: job === undefined ? undefined : slotOf.get(job) }));
    let others = 0;
    for (const place of places) if (!slotOf.has(place.job)) others += place.counts.length - 1;
    const placed = align(inLine, aligned, others > 0);
    const nobodys = placed.filter((place) => place === undefined).length - others;
    // What other kinds of evidence say of such calls of the crowd has to be in line: else one after the other is not how it goes here.
    const told = aligned.filter((_, at) => open[at]?.job?.crowded === true);
    if (told.length < minTold || disorder(told) || nobodys * SELDOM > placed.length) return this.#drop(calls);
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
  return { job, fromUs, order, untilUs, counts: step.counts, open: !job.answered, fromGapUs: fromKnown && step.startsAtOnce ? step.fromGapUs : undefined, untilGapUs: untilKnown && untilUs !== Infinity && step.endsAtOnce ? step.untilGapUs : undefined };
}
