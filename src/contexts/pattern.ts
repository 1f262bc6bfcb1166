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
import { Crowd, ENOUGH } from './crowd.ts';
import type { Guess } from './crowd.ts';
import type { Around, Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';
import { endpointsOf, shapeOf } from './shape.ts';
import type { Endpoints } from './shape.ts';
import { Template } from './template.ts';

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
/** Once this much is learnt of an endpoint, only each so-manieth session is looked at. */
const learntWell = 64;
const eachSoMany = 16;

interface Seen<J> {
  readonly first: J | undefined;
  readonly last: J | undefined;
  /** How many. */
  readonly jobs: number;
  readonly calls: number;
  readonly guesses: ReadonlyMap<OpenTalk, Guess<J>> | undefined;
}

export class Pattern<J extends Past> implements Hindsight<J> {
  readonly attribution = 'pattern';
  readonly refutes = false;
  readonly atLast = true;
  readonly #templates = new Map<string, Template>();
  readonly #endpoints = new WeakMap<OpenTalk, Endpoints>();
  /** What was found last, among which sessions and calls. */
  #seen: Seen<J> | undefined;
  /** Calls that are decided and of no session, the one decided first in front. */
  #nobodys: { readonly shape: string; readonly atUs: number }[] = [];
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
    const guess = this.#lookOnce(around)?.get(call);
    return guess === undefined ? undefined : verdictOf(guess, candidates);
  }

  decided(call: OpenTalk, job: J | undefined): void {
    if (job !== undefined || this.#templates.size === 0) return;
    if (this.#nobodys.length >= maxCalls) this.#nobodys.splice(0, maxCalls / 2);
    this.#nobodys.push({ shape: shapeOf(call), atUs: call.begunAtUs });
  }

  belies(call: OpenTalk, job: J, first: boolean): boolean {
    const template = this.#templateOf(job.talk);
    if (template === undefined || template.seen < ENOUGH_SEEN) return false;
    const shape = shapeOf(call);
    const step = template.steps.get(shape);
    if (step === undefined) return true;
    if (first) return !step.leads;
    if (job.calls.length > maxOwn) return false;
    let made = 0;
    for (const other of job.calls) if (other !== call && shapeOf(other) === shape) made += 1;
    return made + 1 >= step.counts.length;
  }

  beginsWith(call: OpenTalk, job: J): boolean {
    return this.#templateOf(job.talk)?.steps.get(shapeOf(call))?.isFirst === true;
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

  /** What is found holds for all calls that are decided together: as long as the same sessions wait, and as many calls. */
  #lookOnce(around: Around<J>): ReadonlyMap<OpenTalk, Guess<J>> | undefined {
    const { first, last, size: jobs } = around.held;
    const calls = jobs > maxSessions ? Infinity : around.countWithoutTie();
    const seen = this.#seen;
    if (seen !== undefined && seen.first === first && seen.last === last && seen.jobs === jobs && seen.calls === calls) return seen.guesses;
    const guesses = calls > maxCalls ? undefined : this.#look([...around.held], [...around.withoutTie()]);
    this.#seen = { first, last, jobs, calls, guesses };
    return guesses;
  }

  #look(jobs: readonly J[], calls: readonly OpenTalk[]): ReadonlyMap<OpenTalk, Guess<J>> {
    const crowd = new Crowd<J>(jobs, (talk) => this.#templateOf(talk), this.#nobodysSince(jobs[0]?.talk.begunAtUs ?? Infinity));
    for (const call of calls) crowd.add(call, undefined);
    crowd.solve();
    for (const [call, guess] of crowd.guesses) if (jobs.every((job) => job.gone || job.talk.over || job.talk.begunAtUs > call.begunAtUs)) this.#guesses.set(call, guess);
    return crowd.guesses;
  }

  /** How many there are of each shape; those from before are forgotten. */
  #nobodysSince(atUs: number): ReadonlyMap<string, number> {
    this.#nobodys = this.#nobodys.filter((call) => call.atUs >= atUs);
    const counts = new Map<string, number>();
    for (const { shape } of this.#nobodys) counts.set(shape, (counts.get(shape) ?? 0) + 1);
    return counts;
  }
}

function verdictOf<J extends Past>({ job, second, probability }: Guess<J>, candidates: readonly J[]): Verdict<J> | undefined {
  if (probability < ENOUGH || !candidates.includes(job)) return undefined;
  return { job, probability, alternatives: second !== undefined && 1 - probability > POSSIBLE && candidates.includes(second) ? [second] : [] };
}
