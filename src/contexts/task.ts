/**
 * Python's contexts (contextvars): code runs in one, and the kernel side reads which (bpf/python.h). An asyncio task has one of its own, a copy
 * of its maker's, and takes it along whatever it waits for: so whose work a call is does not hang on what the thread read last. So it is
 * with Java's virtual threads (bpf/java.h), of which it is not known which began which.
 *
 *   context 7   reads A …………………………………… answers A      reads B
 *   context 8   (made in 7)  call 1   call 2
 *   context 9   (made in 8)      call 3
 *
 * A context works for the request that it answers next; what was made in it, for the one that it was at by then. Which that is comes out only with the answer.
 * Queues between tasks, and workers that live on, are not seen through: their contexts answer nobody.
 */
import { FIRST_TASK, FIRST_VIRTUAL_THREAD } from '../events/event.ts';
import type { GoroutineEvent } from '../events/event.ts';
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Run } from '../talks/run.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';

/** Contexts remembered, of one process. Past that the one made first is forgotten. */
const maxContexts = 65_536;
/** So many makers are looked at, one of the other. */
const maxDepth = 32;

interface Made {
  /** The context in which it was made; 0: none that is known. */
  readonly parent: number;
  readonly atUs: number;
}

export class Task<J extends Past> implements Hindsight<J> {
  readonly attribution = 'runtime';
  readonly refutes = true;
  readonly knows = true;
  readonly #made = new Map<number, Made>();
  #last = 0;

  /** They are numbered in the order in which they are made; of one that is only met its maker is not known. */
  made({ context, parent, began, atUs }: GoroutineEvent): void {
    if (!began) return;
    // The process runs another program, or the recorder was begun anew.
    if (context <= this.#last) this.#made.clear();
    this.#last = context;
    this.#made.set(context, { parent, atUs });
    this.#made.delete(context - maxContexts);
  }

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    let task = taskOf(call.request);
    let atUs = call.begunAtUs;
    for (let depth = 0; task !== 0 && depth < maxDepth; depth += 1) {
      const begun = candidates.filter(({ talk }) => talk.begunAtUs <= atUs);
      const jobs = begun.filter(({ talk }) => isServedBy(task, talk));
      if (jobs.length > 0) return servedBy(jobs, atUs, task < FIRST_VIRTUAL_THREAD ? NOBODY : begun);
      const made = this.#made.get(task);
      if (made === undefined) return undefined;
      task = made.parent;
      atUs = made.atUs;
    }
    return undefined;
  }

  whyNot(call: OpenTalk): WhyNot | undefined {
    return isOfTask(call) ? 'task-answers-none' : undefined;
  }
}

/** It is known in which of Python's contexts `call` was written. */
export const isOfTask = (call: OpenTalk): boolean => taskOf(call.request) !== 0;

function taskOf({ pieces: [first] }: Run): number {
  return first === undefined || first.goroutine < FIRST_TASK ? 0 : first.goroutine;
}

const NOBODY: readonly never[] = [];

/** A virtual thread reads what it answers, and at times nothing is said of what it does: one of the two is enough. */
function isServedBy(task: number, { request, response }: OpenTalk): boolean {
  const answered = taskOf(response);
  return answered === task || (task >= FIRST_VIRTUAL_THREAD && answered === 0 && taskOf(request) === task);
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
