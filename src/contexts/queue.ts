/**
 * What requests put into a queue is taken out in turn, by threads that take no requests themselves: an executor's, a reactor's. Who put it in
 * is not seen, but in which order that was: sessions of one endpoint put in the same (routine.ts), each as soon as its request is
 * read, or its last handful answered. So all ways to share the calls out are weighed (turns.ts), those that other evidence ties held fast.
 *
 *   A reads, B reads     A B wait          pool's threads   PRICE PRICE SET   PRICE SET
 *                                                           └── of A ─────┘   └─ of B ┘
 *
 * Whether a process' queue keeps to the turn is found out: some of the calls that are known otherwise are looked at as though they were not.
 * Only while what is said of these is right is anything said of the rest.
 */
import type { Context, Job } from './context.ts';
import type { HandedOver } from './handed-over.ts';
import type { Around, Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';
import { Routines } from './routine.ts';
import type { Chore, Routine } from './routine.ts';
import { endpointsOf, shapeOf } from './shape.ts';
import type { Endpoints } from './shape.ts';
import { answeredAtUs, askedAtUs, respondedAtUs } from './template.ts';
import { turns } from './turns.ts';
import type { Errand, Served, Turn } from './turns.ts';
import type { OpenTalk } from '../talks/open-talk.ts';

/** Less likely than this, a call stays without a tie. */
const ENOUGH = 0.999;
/** Who else might have made it is said from here on. */
const POSSIBLE = 0.001;
/** So many calls that are known must have been looked at as though they were not, and at most one in so many may have been told wrongly. */
const ENOUGH_TRIED = 32;
const ONE_IN = 64;
/** Of one shape. */
const ENOUGH_ALIKE = 4;
const ONE_ALIKE_IN = 32;
/** One in so many of those that are known is at a time. */
const TRIED = 4;
/** Once so many were, some are only each so-manieth time that calls are shared out. */
const wellTried = 256;
const eachSoMany = 4;
/** Who came so much later is hardly ever served before. */
const longUs = 10_000;
/** Calls that began after the oldest session that is not over are looked at for what they say of those before: so many. */
const maxAhead = 48;
const maxCalls = 512;
const maxEndpoints = 256;
/** Calls that are remembered for the sake of a session that ran alone. */
const maxRecent = 512;
/** A connection that was opened so long before its first call was opened for that. */
const maxOpeningUs = 20_000;

/** A call of the queue, and whose it is, where that is known. */
interface Taken<J> {
  readonly call: OpenTalk;
  readonly job: J | undefined;
  readonly beganUs: number;
}

const NONE: readonly never[] = [];

const choreOf = (call: OpenTalk): Chore => ({ shape: shapeOf(call), beganUs: beganAtUs(call), answeredUs: answeredAtUs(call) });

export class Queue<J extends Past> implements Hindsight<J> {
  readonly attribution = 'queue';
  readonly refutes = false;
  readonly atLast = true;
  readonly #handedOver: HandedOver<J>;
  /** Who began a call, of those that were begun by threads that had read no request. */
  #makers: WeakMap<OpenTalk, Context<Job>> | undefined;
  readonly #routines = new Map<string, Routines>();
  /** The same of whatever numbers a request has: `/orders/7` is one of few requests, and does what `/orders/12` does. */
  readonly #wider = new Map<string, Routines>();
  readonly #endpoints = new WeakMap<J, Endpoints>();
  /** What sessions did that ran alone, and have been learnt from: the shapes. */
  readonly #alone = new WeakMap<J, readonly string[]>();
  /** Calls that were over, and not tied for sure, the one that was over first in front; and which those were. */
  #recent: Chore[] = [];
  readonly #seen = new WeakSet<OpenTalk>();
  /** What was found of calls, once all sessions that may have made them were over. */
  readonly #found = new WeakMap<OpenTalk, { readonly job: J; readonly second: J | undefined; readonly probability: number } | 'nothing'>();
  /** Decided, and of no session, the one that was decided first in front. */
  #nobodys: OpenTalk[] = [];
  #shared = 0;
  #told = 0;
  #belied = 0;
  readonly #alike = new Map<string, { told: number; belied: number }>();

  constructor(handedOver: HandedOver<J>) {
    this.#handedOver = handedOver;
  }

  proves(): boolean {
    return false;
  }

  /** `context` begins `call`. Whoever reads requests does what it does for these. */
  begins(call: OpenTalk, context: Context<Job>): void {
    if (context.requests > 0 || context.virtual || context.goroutine !== undefined) return;
    (this.#makers ??= new WeakMap()).set(call, context);
  }

  /** `job` is answered; no other of its process was without an answer while it was, and none has begun since. */
  ranAlone(job: J): void {
    if (this.#makers === undefined || this.#alone.has(job)) return;
    const fromUs = askedAtUs(job.talk);
    const untilUs = respondedAtUs(job.talk);
    // All that was done meanwhile is its own, whosever it seems to be.
    const own = [...this.#recent, ...job.calls.filter((call) => this.#isTaken(call) && !this.#seen.has(call)).map(choreOf)]
      .filter(({ beganUs, answeredUs }) => beganUs >= fromUs && answeredUs <= untilUs).sort((a, b) => a.beganUs - b.beganUs);
    this.#recent = [];
    this.#alone.set(job, own.map(({ shape }) => shape).sort());
    const { narrow, wide } = this.#endpointsOf(job);
    routinesOf(this.#routines, narrow)?.learn(own);
    routinesOf(this.#wider, wide)?.learn(own);
  }

  find(call: OpenTalk, candidates: readonly J[], byItself: boolean, around: Around<J>): Verdict<J> | undefined {
    if (byItself || !this.#isTaken(call)) return undefined;
    const beganUs = beganAtUs(call);
    const waiting = candidates.filter(({ talk }) => respondedAtUs(talk) > beganUs);
    const [only] = waiting;
    if (only === undefined || !waiting.every(isOver)) return undefined;
    if (!only.crowded) return this.#isAllThatOne(call, only) ? { job: only, alternatives: NONE } : undefined;
    if (!waiting.every((job) => this.#routineOf(job) !== undefined)) return undefined;
    while (!this.#found.has(call) && this.#share(around));
    const found = this.#found.get(call);
    if (found === undefined || found === 'nothing' || found.probability < ENOUGH || !this.#holds(call) || !candidates.includes(found.job)) return undefined;
    const { job, second, probability } = found;
    return { job, probability, alternatives: second !== undefined && 1 - probability > POSSIBLE && candidates.includes(second) ? [second] : [] };
  }

  see(call: OpenTalk): void {
    if (!this.#isTaken(call)) return;
    this.#seen.add(call);
    if (this.#recent.length >= maxRecent) this.#recent = this.#recent.slice(maxRecent / 2);
    this.#recent.push(choreOf(call));
  }

  decided(call: OpenTalk, job: J | undefined): void {
    if (job !== undefined || this.#routines.size === 0 || !this.#isTaken(call)) return;
    if (this.#nobodys.length >= maxCalls) this.#nobodys.splice(0, maxCalls / 2);
    this.#nobodys.push(call);
  }

  whyNot(call: OpenTalk, candidates: readonly J[]): WhyNot | undefined {
    return this.#isTaken(call) && candidates.every((job) => this.#routineOf(job) !== undefined) ? 'turn-unsure' : undefined;
  }

  /** As far as was tried. */
  get #keepsToTurn(): boolean {
    return this.#told >= ENOUGH_TRIED && this.#belied * ONE_IN <= this.#told;
  }

  /** What is said of calls like `call` is right, as far as was tried. */
  #holds(call: OpenTalk): boolean {
    if (!this.#keepsToTurn) return false;
    const alike = this.#alike.get(shapeOf(call));
    return alike !== undefined && alike.told >= ENOUGH_ALIKE && alike.belied * ONE_ALIKE_IN <= alike.told;
  }

  /** A thread that takes no requests has begun it. */
  #isTaken(call: OpenTalk): boolean {
    return this.#makers?.get(call)?.requests === 0;
  }

  /** `call` is among what was done while `only` ran alone, which is just what its like do. */
  #isAllThatOne(call: OpenTalk, only: J): boolean {
    const { shapes } = this.#routineOf(only) ?? this.#wider.get(this.#endpointsOf(only).wide)?.usual ?? {};
    const own = this.#alone.get(only);
    return shapes !== undefined && own !== undefined && answeredAtUs(call) <= respondedAtUs(only.talk) && own.length === shapes.length && own.every((shape, at) => shape === shapes[at]);
  }

  #endpointsOf(job: J): Endpoints {
    let endpoints = this.#endpoints.get(job);
    if (endpoints === undefined) this.#endpoints.set(job, (endpoints = endpointsOf(job.talk)));
    return endpoints;
  }

  #routineOf(job: J): Routine | undefined {
    return this.#routines.get(this.#endpointsOf(job).narrow)?.usual;
  }

  /** Shares out the next calls that began before the oldest session did that is not over. False: there are none. */
  #share(around: Around<J>): boolean {
    const jobs = [...around.held];
    const until = Math.min(...[jobs.find((job) => !isOver(job)), around.oldest].map((job) => job?.talk.begunAtUs ?? Infinity));
    const taken = this.#allTaken(jobs, around);
    const firstUs = taken.reduce((firstUs, { call, beganUs }) => (beganUs < firstUs && !this.#found.has(call) ? beganUs : firstUs), Infinity);
    if (firstUs >= until) return false;
    const then = jobs.filter((job) => !isOver(job) || respondedAtUs(job.talk) >= firstUs);
    const sinceUs = then.reduce((sinceUs, { talk }) => Math.min(sinceUs, askedAtUs(talk)), firstUs);
    const calls = taken.filter(({ beganUs }) => beganUs >= sinceUs).sort((a, b) => a.beganUs - b.beganUs);
    const { end, untilUs } = windowOf(calls, calls.findIndex(({ call }) => !this.#found.has(call)), until);
    const window = calls.slice(0, end);
    const fresh = window.filter(({ call, beganUs }) => beganUs < untilUs && !this.#found.has(call));
    this.#try(then, window, fresh);
    const placed = this.#keepsToTurn ? place(then, window, (job) => this.#routineOf(job)) : undefined;
    const isFresh = new Set(fresh);
    window.forEach((one, at) => {
      if (isFresh.has(one)) this.#found.set(one.call, placed?.[at] ?? 'nothing');
    });
    return fresh.length > 0;
  }

  /** Those of sessions that are not given out, and those of nobody that began since the first of these. */
  #allTaken(jobs: readonly J[], around: Around<J>): Taken<J>[] {
    const sinceUs = jobs[0]?.talk.begunAtUs ?? Infinity;
    this.#nobodys = this.#nobodys.filter((call) => beganAtUs(call) >= sinceUs);
    const all: Taken<J>[] = [];
    for (const job of jobs) for (const call of job.calls) if (this.#isTaken(call)) all.push({ call, job, beganUs: beganAtUs(call) });
    const add = (call: OpenTalk): void => {
      if (this.#isTaken(call)) all.push({ call, job: this.#handedOver.find(call, jobs)?.job, beganUs: beganAtUs(call) });
    };
    const nobodys = new Set(this.#nobodys);
    for (const call of nobodys) add(call);
    for (const call of around.withoutTie()) if (!nobodys.has(call)) add(call);
    return all;
  }

  /** Of those that put in at once what they do first, who came long before the other was served later. */
  #compare(known: readonly Taken<J>[]): void {
    const last = new Map<string, J>();
    for (const { call, job } of known) {
      if (job === undefined) continue;
      const shape = shapeOf(call);
      const routine = this.#routineOf(job);
      if (routine?.shapes.some((each, step) => each === shape && routine.after[step] !== 0) !== false) continue;
      const before = last.get(shape);
      last.set(shape, job);
      if (before !== undefined && askedAtUs(job.talk) < askedAtUs(before.talk) - longUs) this.#tell(call, false);
    }
  }

  #tell(call: OpenTalk, rightly: boolean): void {
    const shape = shapeOf(call);
    let alike = this.#alike.get(shape);
    if (alike === undefined) {
      if (this.#alike.size >= maxEndpoints) return;
      this.#alike.set(shape, (alike = { told: 0, belied: 0 }));
    }
    this.#told += 1;
    alike.told += 1;
    if (rightly) return;
    this.#belied += 1;
    alike.belied += 1;
  }

  /** What would be said of those of `fresh` whose session is known, if it were not? */
  #try(jobs: readonly J[], window: readonly Taken<J>[], fresh: readonly Taken<J>[]): void {
    this.#shared += 1;
    const well = this.#told >= wellTried;
    if (well && this.#shared % eachSoMany !== 0) return;
    const known = fresh.filter(({ job }) => job?.crowded === true);
    this.#compare(known);
    for (let turn = 0; turn < (well ? 1 : TRIED); turn += 1) {
      const tried = new Set(known.filter((_, at) => (at + this.#shared + turn) % TRIED === 0));
      if (tried.size === 0) continue;
      const placed = place(jobs, window.map((one) => (tried.has(one) ? { ...one, job: undefined } : one)), (job) => this.#routineOf(job));
      placed?.forEach((found, at) => {
        const one = window[at] as Taken<J>;
        if (found === undefined || found.probability < ENOUGH || !tried.has(one)) return;
        this.#tell(one.call, found.job === one.job);
      });
    }
  }
}

/** Undefined: there are too many. */
function routinesOf(all: Map<string, Routines>, endpoint: string): Routines | undefined {
  let routines = all.get(endpoint);
  if (routines === undefined && all.size < maxEndpoints) all.set(endpoint, (routines = new Routines()));
  return routines;
}

/**
 * Of `calls`, the first of which nothing was found is at `first`: up to where they are looked at together, and before when those began
 * that are decided. A few more are looked at, for what they say of those before. `until`: µs at which the oldest session began that is not over.
 */
function windowOf(calls: readonly Taken<unknown>[], first: number, until: number): { readonly end: number; readonly untilUs: number } {
  const past = calls.findIndex(({ beganUs }) => beganUs >= until);
  const end = Math.min(calls.length, (past < 0 ? calls.length : past) + maxAhead, first + maxCalls);
  return { end, untilUs: end < calls.length ? Math.min(until, (calls[end - maxAhead] as Taken<unknown>).beganUs) : until };
}

interface Placed<J> extends Pick<Turn, 'probability'> {
  readonly job: J;
  readonly second: J | undefined;
}

function place<J extends Past>(jobs: readonly J[], taken: readonly Taken<J>[], routineOf: (job: J) => Routine | undefined): (Placed<J> | undefined)[] | undefined {
  const errands: (Errand & { readonly job: J })[] = [];
  const strangers: Errand[] = [];
  // Who asked after all these began has no part in it.
  const untilUs = taken.at(-1)?.beganUs ?? -Infinity;
  const known = new Set(taken.map(({ job }) => job));
  for (const job of jobs) {
    if (askedAtUs(job.talk) > untilUs && !known.has(job)) continue;
    const routine = routineOf(job);
    const span = { askedUs: askedAtUs(job.talk), respondedUs: isOver(job) ? respondedAtUs(job.talk) : Infinity };
    if (routine === undefined) strangers.push({ ...span, routine: EMPTY });
    else if (routine.shapes.length > 0) errands.push({ ...span, routine, job });
  }
  errands.sort((a, b) => a.askedUs - b.askedUs);
  const index = new Map(errands.map(({ job }, at) => [job, at]));
  const placeable = taken.map((one): Taken<J> | undefined => (one.job === undefined || index.has(one.job) ? one : undefined));
  const calls = placeable.filter((one) => one !== undefined).map(({ call, job, beganUs }): Served => ({
    beganUs, answeredUs: answeredAtUs(call), shape: shapeOf(call), of: job === undefined ? undefined : index.get(job),
    strangers: strangers.some(({ askedUs, respondedUs }) => askedUs <= beganUs && beganUs <= respondedUs),
  }));
  const found = turns(errands, calls);
  if (found === undefined) return undefined;
  let at = 0;
  return placeable.map((one) => {
    if (one === undefined) return undefined;
    const turn = found[at++];
    if (turn === undefined) return undefined;
    const { job } = errands[turn.errand] as (typeof errands)[number];
    return { job, probability: turn.probability, second: turn.second === undefined ? undefined : errands[turn.second]?.job };
  });
}

const EMPTY: Routine = { shapes: [], after: [] };

function isOver(job: Past): boolean {
  return job.done || job.gone;
}

/** Where its connection was opened for it, that is when it was taken out of the queue. */
function beganAtUs(call: OpenTalk): number {
  const { begunAtUs, connection: { open } } = call;
  return call.request.from === 0 && open.learnt === 'connect' && open.atUs < begunAtUs && begunAtUs - open.atUs < maxOpeningUs ? open.atUs : begunAtUs;
}
