/** What speaks against a tie when its call is known to be one, or is whole. */
import { continuation } from '../contexts/continuation.ts';
import { elimination } from '../contexts/elimination.ts';
import type { Ground } from '../contexts/evidence.ts';
import type { WhyNot } from '../contexts/reasons.ts';
import { isOfContext, isOfTask } from '../contexts/task.ts';
import { respondedAtUs } from '../contexts/template.ts';
import { thread } from '../contexts/thread.ts';
import type { Tie } from '../contexts/tie.ts';
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

/** What a loop is guessed to do by what it read last, or by who waits. */
const RULES_OF_THUMB: ReadonlySet<Ground> = new Set([thread, continuation, elimination]);

/** It names a request, and not that of the session that it is tied to; its thread, started for that session, may be a pool's; or a loop made it, where others are without a tie: these were queued, so it may have been. */
export function isContested(call: Spoken, { context, evidence, job, birth }: Tie<OpenSession>): boolean {
  if (birth !== undefined && !birth.executed && !birth.ended) return true;
  const { ids } = call.marks;
  if (ids.length > 0 && !ids.some((id) => job.talk.marks.ids.includes(id))) return true;
  // The runtime knows better than a guess, once the session has its answer.
  if (RULES_OF_THUMB.has(evidence) && isOfTask(call)) return true;
  return context.loops && job.process.untied.size > 0;
}

/** Why a loop's wake, which says that it is this session's, is not believed; undefined: it is. */
export function whyBelied(call: Spoken, { context, evidence, inLoop, job }: Tie<OpenSession>): WhyNot | undefined {
  if (!context.loops || !RULES_OF_THUMB.has(evidence)) return undefined;
  // Where threads take up whatever task comes next, the first one need not be that of the request which was read.
  if (evidence === thread && job.crowded && job.process.moves) return 'tasks-shared';
  // Those that ran alone did otherwise: it was queued in another's wake, or a timer's. Of one that holds several connections and was not seen
  // to work for two at once, `evidence` is what its thread read last, whatever it has done since: what it would be of a loop tells which act it is.
  return job.process.hindsights.some((kind) => kind.belies?.(call, job, inLoop === thread) === true) ? 'unlike-alone' : undefined;
}

/** It is tied by what was read last, or by who waits, to a session without an answer; and Node's memory, all of it that was to be looked at, leads from it to no response that such a one waits for. */
export function isOfNoneThatWaits(call: Spoken, { evidence, job, atRequest }: Tie<OpenSession>): boolean {
  return RULES_OF_THUMB.has(evidence) && job.process.task.isOfNoneThatWaits(call, atRequest === true) && respondedAtUs(job.talk) >= call.begunAtUs;
}

/** It is tied by what a loop read last, while others were at work; and in which context of Python's it was written is known, which should have told. */
export function isGuess(call: Spoken, { context, evidence, job }: Tie<OpenSession>): boolean {
  return evidence === thread && context.loops && job.crowded && isOfContext(call);
}
