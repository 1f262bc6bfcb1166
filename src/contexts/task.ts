/**
 * Python's contexts (contextvars): code runs in one, and the kernel side reads which (bpf/python.h). An asyncio task has one of its own, a copy
 * of its maker's, and takes it along whatever it waits for: so whose work a call is does not hang on what the thread read last. So it is
 * with Java's virtual threads (bpf/java.h), of which it is known which waits for which (waited.ts): that one has begun it, mostly.
 *
 *   context 7   reads A …………………………………… answers A      reads B
 *   context 8   (made in 7)  call 1   call 2
 *   context 9   (made in 8)      call 3
 *
 * A context works for the request that it answers next; what was made in it, for the one that it was at by then. Which that is comes out only with the answer.
 * Where that is written in a context that was made in one which is younger than the request (as Starlette's streams are), that one works for it too.
 * What a ThreadPoolExecutor is given to do counts as a context too (bpf/python-queue.bpf.c), made by who gives it, for as long as a thread is at
 * it. One that was made in no context, by a thread that was at work for a request, is at work for that one.
 * Other queues, and workers that live on, are not seen through: their contexts answer nobody.
 */
import { FIRST_NODE_ANSWERED, FIRST_NODE_REQUEST, FIRST_TASK, FIRST_VIRTUAL_THREAD, isNodeAnswered, isNodeShared, NODE_NOBODY } from '../events/event.ts';
import type { GoroutineEvent } from '../events/event.ts';
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Run } from '../talks/run.ts';
import { born } from './born.ts';
import type { Ground } from './evidence.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';
import { Shares } from './shares.ts';
import { respondedAtUs } from './template.ts';
import { thread } from './thread.ts';
import { evidenceOf, type Tie } from './tie.ts';
import { Waited, type Made } from './waited.ts';

/** Contexts remembered, of one process. Past that the one made first is forgotten. */
const maxContexts = 65_536;
/** So many makers are looked at, one of the other. */
const maxDepth = 32;
/** Made by the thread of one session. */
const maxMadeBy = 4_096;
/** What tells what a thread is at that serves one request at a time, and not what it has read in passing. */
const OF_ITSELF: ReadonlySet<Ground> = new Set([thread, born]);

export class Task<J extends Past> implements Hindsight<J> {
  readonly attribution = 'runtime';
  readonly support = 'in-its-context';
  readonly refutes = true;
  readonly knows = true;
  readonly #made = new Map<number, Made>();
  /** What was made in no context, by a thread that was at work for a session: by that, and with what tells so. */
  readonly #madeBy = new WeakMap<J, Map<Made, Tie<J>>>();
  readonly #waited = new Waited();
  readonly #shares = new Shares();
  #last = 0;

  /**
   * They are numbered in the order in which they are made; of one that is only met its maker is not known. `by`: what a call of the thread
   * that makes it would be tied by now.
   */
  made({ context, parent, began, atUs }: GoroutineEvent, by: Tie<J> | undefined): void {
    if (isNodeShared(context)) return this.#shares.told(context, parent, began);
    if (context >= FIRST_VIRTUAL_THREAD) this.#waited.told(context, { parent, atUs });
    if (!began) return;
    // The process runs another program, or the recorder was begun anew.
    if (context <= this.#last) this.#made.clear();
    this.#last = context;
    const made = { parent, atUs };
    this.#made.set(context, made);
    this.#made.delete(context - maxContexts);
    if (by === undefined || !OF_ITSELF.has(by.evidence) || by.job.answered) return;
    const ofJob = this.#madeBy.get(by.job);
    if (ofJob === undefined) this.#madeBy.set(by.job, new Map([[made, by]]));
    else if (ofJob.size < maxMadeBy) ofJob.set(made, by);
  }

  /** The process runs another program. */
  executed(): void {
    this.#waited.executed();
  }

  /** `call` is known to be one. */
  called(call: OpenTalk): void {
    const task = taskOf(call.request);
    if (isNodeShared(task)) this.#shares.called(call, task);
  }

  /**
   * Node's memory leads from `call` to a response that its connection was not at any more, or to none. The latter is no sign where it was written just
   * after the request was read (`atRequest`): who is to wait for it may not have come to that.
   */
  isOfNoneThatWaits(call: OpenTalk, atRequest: boolean): boolean {
    const task = this.#taskOf(call);
    return isNodeAnswered(task) || (task === NODE_NOBODY && !atRequest);
  }

  #taskOf(call: OpenTalk): number {
    const task = taskOf(call.request);
    return isNodeShared(task) ? this.#shares.of(call) : task;
  }

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    let task = this.#taskOf(call);
    let atUs = call.begunAtUs;
    if (isNodeAnswered(task)) return answeredBefore(task - FIRST_NODE_ANSWERED + FIRST_NODE_REQUEST, atUs, candidates);
    for (let depth = 0; task !== 0 && depth < maxDepth; depth += 1) {
      const begun = candidates.filter(({ talk }) => talk.begunAtUs <= atUs);
      const jobs = begun.filter(({ talk }) => isServedBy(task, talk) || this.#hasServed(task, talk, atUs));
      if (jobs.length > 0) return servedBy(jobs, atUs, task < FIRST_VIRTUAL_THREAD ? NOBODY : begun);
      const made = this.#made.get(task) ?? this.#waited.by(task);
      if (made === undefined) return undefined;
      if (made.parent === 0) return this.#byThread(made, candidates);
      task = made.parent;
      atUs = made.atUs;
    }
    return undefined;
  }

  /** Whom the thread worked for that made it in no context. */
  #byThread(made: Made, candidates: readonly J[]): Verdict<J> | undefined {
    for (const job of candidates) {
      const by = this.#madeBy.get(job)?.get(made);
      if (by === undefined || by.context.loops) continue;
      const evidence = evidenceOf(by);
      if (evidence !== undefined && OF_ITSELF.has(evidence)) return { job, alternatives: [] };
    }
    return undefined;
  }

  /** It was made for the request, which is answered from `atUs` on, in a context that was made in it. */
  #hasServed(task: number, talk: OpenTalk, atUs: number): boolean {
    const made = this.#made.get(task);
    if (made === undefined || made.atUs < talk.begunAtUs || (talk.response.pieces[0]?.atUs ?? 0) < atUs) return false;
    let answered: number | undefined = taskOf(talk.response);
    for (let depth = 0; answered !== undefined && depth < maxDepth; depth += 1) {
      answered = this.#made.get(answered)?.parent;
      if (answered === task) return true;
    }
    return false;
  }

  whyNot(call: OpenTalk): WhyNot | undefined {
    return isOfTask(call) ? 'task-answers-none' : undefined;
  }
}

/** It is known in which of Python's contexts, or on which virtual thread of Java's, `call` was written. */
export const isOfTask = (call: OpenTalk): boolean => taskOf(call.request) !== 0;

/** In which of Python's contexts. */
export const isOfContext = (call: OpenTalk): boolean => isOfTask(call) && taskOf(call.request) < FIRST_VIRTUAL_THREAD;

function taskOf({ pieces: [first] }: Run): number {
  return first === undefined || first.goroutine < FIRST_TASK ? 0 : first.goroutine;
}

const NOBODY: readonly never[] = [];

/** A virtual thread reads what it answers, and at times nothing is said of what it does: one of the two is enough. */
function isServedBy(task: number, { request, response }: OpenTalk): boolean {
  const answered = taskOf(response);
  return answered === task || (task >= FIRST_VIRTUAL_THREAD && answered === 0 && taskOf(request) === task);
}

/** Of `candidates` the one that was answered before `atUs` over the connection that `task` stands for; with several it may be any, and with pipelined requests also one that comes. */
function answeredBefore<J extends Past>(task: number, atUs: number, candidates: readonly J[]): Verdict<J> | undefined {
  const ofIt = candidates.filter(({ talk }) => isServedBy(task, talk));
  const answered = ofIt.filter(({ talk }) => respondedAtUs(talk) < atUs);
  const [job] = answered;
  return job === undefined || answered.length > 1 || ofIt.length > 2 ? undefined : { job, alternatives: [] };
}

/**
 * Of `jobs`, which one context answered in turn, the one that it was at. Requests of several connections at a time: then it is no task of theirs.
 * `begun`: of these none was begun since over the same connection, or what it did afterwards may be that one's.
 */
function servedBy<J extends Past>(jobs: readonly J[], atUs: number, begun: readonly J[]): Verdict<J> | undefined {
  const [first] = jobs;
  if (first === undefined || jobs.some(({ talk }) => talk.connection !== first.talk.connection)) return undefined;
  const answering = jobs.find(({ talk }) => (talk.response.pieces[0]?.atUs ?? 0) >= atUs);
  if (answering !== undefined) return { job: answering, alternatives: [] };
  const last = jobs.at(-1) as J;
  if (begun.some(({ talk }) => talk.connection === last.talk.connection && talk.begunAtUs > last.talk.begunAtUs)) return undefined;
  return { job: last, alternatives: [] };
}
