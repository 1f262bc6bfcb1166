/**
 * What speaks for a tie and what against it, by name, from the facts that decide it. Made only for who asks (`koala-bpf
 * explain`): `proves` answers the same question without a list. Words for the names: src/report/reason-words.ts.
 */
import { born } from './born.ts';
import type { Birth } from './born.ts';
import { evidenceOf } from './tie.ts';
import type { Tie } from './tie.ts';
import type { Context, Job } from './context.ts';
import { goroutine } from './goroutine.ts';
import { goroutineReasons } from './goroutine-reasons.ts';
import type { Discipline } from './discipline.ts';
import type { CallFacts, Ground, JobFacts } from './evidence.ts';
import { isRuntime, runtimeWrite } from './runtime.ts';

export type Support =
  | 'reads-request' | 'first-after-request' | 'first-after-answer' | 'only-one-to-act' | 'only-unanswered' | 'not-by-itself'
  | 'begun-for-it' | 'begun-to-serve' | 'serves-connection' | 'kind-ends' | 'same-trace' | 'as-alone' | 'in-turn' | 'rare-words' | 'woke-waiter' | 'virtual-thread' | 'named-late' | 'delegated' | 'started-for-it' | 'ended-by-then' | 'another-program' | 'starts-end' | 'opened-for-it' | 'asked-at-call' | 'in-its-context' | 'allocated-for-it' | 'same-virtual-thread' | 'numbered-between' | 'holds-the-same' | 'asked-at-write' | 'call-by-one-thread' | 'session-by-one-thread' | 'one-at-a-time';

export type Doubt =
  | 'never-proven' | 'queue-may-write' | 'event-loop' | 'holds-several' | 'listener-loops' | 'not-seen-enough' | 'work-moves' | 'events-lost' | 'recorder-away'
  | 'may-serve-several' | 'begun-unseen' | 'kind-unknown' | 'name-shared' | 'starter-unsure' | 'starts-unknown' | 'pipelined' | 'request-by-several' | 'call-by-several' | 'open-lost' | 'after-response' | 'multiplexed' | 'alternatives';

/** Why a call has no tie. */
export type WhyNot =
  | 'no-thread' | 'role-unknown' | 'session-over' | 'no-request' | 'request-over' | 'read-nothing' | 'slept' | 'acted-before' | 'several-read' | 'written-together'
  | 'read-unknown' | 'named-by-several' | 'no-rare-words' | 'woke-nobody' | 'woke-several' | 'wakes-unsure' | 'pattern-unsure' | 'turn-unsure' | 'unlike-alone' | 'tasks-shared' | 'others-may-act' | 'several-unanswered' | 'none-unanswered' | 'turned-out-loop' | 'by-itself' | 'outlived' | 'cut-short' | 'starter-fell' | 'excluded' | 'name-unread' | 'asked-none'
  | 'task-answers-none' | 'waited-for-by-none' | 'goroutine-unknown' | 'virtual-thread-unknown' | 'writer-unknown' | 'kind-outlives';

export interface TieReasons {
  readonly for: readonly Support[];
  /** Empty where it is proven. */
  readonly against: readonly Doubt[];
  /** How likely the tie is, 0 to 1, where that was reckoned. */
  readonly probability?: number;
}

/** What `proves` does not ask, but a person does. */
export interface MoreFacts<J extends Job> {
  /** Of the session's listener. */
  readonly discipline: Discipline<J>;
  /** The recorder was away while the session was open. */
  readonly paused: boolean;
  /** The call's connection: its open was lost. */
  readonly openLost: boolean;
  /** The call's connection was opened for the session. */
  readonly opened: boolean;
}

/** Of a tie that holds. */
export function reasonsOf<J extends Job>(tie: Tie<J>, call: CallFacts, job: JobFacts, more: MoreFacts<J>): TieReasons {
  if ((evidenceOf(tie) ?? tie.evidence) === goroutine) return goroutineReasons(tie, call, job, more);
  const { probability } = tie;
  return { for: supportOf(tie, call, job, more), against: doubtsOf(tie, call, job, more), ...(probability === undefined ? {} : { probability }) };
}

function supportOf<J extends Job>(tie: Tie<J>, call: CallFacts, job: JobFacts, more: MoreFacts<J>): Support[] {
  const evidence = evidenceOf(tie) ?? tie.evidence;
  const { attribution } = evidence;
  const found: Support[] = [];
  if (evidence.support !== undefined) found.push(evidence.support);
  if (attribution === 'thread') found.push(tie.context.loops ? 'first-after-request' : 'reads-request');
  if (attribution === 'virtual-thread') found.push('virtual-thread');
  if (attribution === 'helper') found.push('named-late');
  if (attribution === 'delegation') found.push('delegated');
  if (attribution === 'born') found.push('started-for-it', 'ended-by-then', ...(tie.birth?.executed === true ? ['another-program' as const] : tie.birth?.isOneShot === true ? ['starts-end' as const] : []));
  if (attribution === 'continuation') found.push('first-after-answer', 'only-one-to-act');
  if (attribution === 'elimination') found.push('only-unanswered', 'not-by-itself');
  if (attribution === 'trace') found.push('same-trace');
  if (attribution === 'pattern') found.push('as-alone');
  if (attribution === 'queue') found.push('in-turn');
  if (attribution === 'content') found.push('rare-words');
  if (attribution === 'handed-over') found.push('woke-waiter');
  if (more.opened) found.push('opened-for-it');
  if (call.byOneThread) found.push('call-by-one-thread');
  if (attribution !== 'thread') return found;
  if (job.byOneThread) found.push('session-by-one-thread');
  if (job.blocking) found.push('one-at-a-time');
  return found;
}

function doubtsOf<J extends Job>(tie: Tie<J>, call: CallFacts, job: JobFacts, more: MoreFacts<J>): Doubt[] {
  const { context } = tie;
  const found: Doubt[] = [];
  const evidence = evidenceOf(tie) ?? tie.evidence;
  if (isRuntime(evidence)) return runtimeDoubts(tie, evidence, job, more.paused);
  if (evidence === born && tie.birth !== undefined) return bornDoubts(tie, tie.birth, call, job, more);
  const byThread = evidence.attribution === 'thread' || evidence.attribution === 'delegation';
  const byName = evidence.attribution === 'virtual-thread';
  if (!byThread && !byName) found.push('never-proven');
  if (context.virtual && context.loop) found.push('name-shared');
  else if (context.loops) found.push(context.loop ? 'event-loop' : 'holds-several');
  // Only where its thread is what ties it does it matter how threads take requests.
  if (byThread && !job.blocking) {
    if (!more.discipline.loop) found.push('not-seen-enough');
    else if (!context.loop) found.push('listener-loops');
  }
  if (byThread && job.moves) found.push('work-moves');
  if (byThread && !job.byOneThread) found.push('request-by-several');
  if (more.openLost) found.push('open-lost');
  else if ((byThread || byName) && !call.byOneThread) found.push('call-by-several');
  if (job.pipelined) found.push('pipelined');
  if (call.afterResponse) found.push('after-response');
  if (call.multiplexed === true) found.push('multiplexed');
  if (job.lossy) found.push(more.paused ? 'recorder-away' : 'events-lost');
  if (tie.alternatives.length > 0) found.push('alternatives');
  return found;
}

/** Who reads and writes does not matter where the runtime says whose it is. */
function runtimeDoubts<J extends Job>(tie: Tie<J>, evidence: Ground, job: JobFacts, paused: boolean): Doubt[] {
  const found: Doubt[] = [];
  if (evidence === runtimeWrite) found.push('queue-may-write');
  if (job.pipelined) found.push('pipelined');
  if (job.lossy) found.push(paused ? 'recorder-away' : 'events-lost');
  if (tie.alternatives.length > 0) found.push('alternatives');
  return found;
}

/** The tie of its starter is what it rests on. */
function bornDoubts<J extends Job>(tie: Tie<J>, birth: Birth<J>, call: CallFacts, job: JobFacts, more: MoreFacts<J>): Doubt[] {
  const { creator } = birth;
  const sure = creator.alternatives.length === 0 && evidenceOf(creator)?.proves(creator.context, { byOneThread: true, afterResponse: false }, job, creator) === true;
  return [
    ...(sure ? [] : ['starter-unsure' as const]),
    ...(birth.isOneShot ? [] : ['starts-unknown' as const]),
    ...(tie.context.loops ? [tie.context.loop ? 'event-loop' as const : 'holds-several' as const] : []),
    ...(more.openLost ? ['open-lost' as const] : call.byOneThread ? [] : ['call-by-several' as const]),
    ...(call.afterResponse ? ['after-response' as const] : []),
    ...(call.multiplexed === true ? ['multiplexed' as const] : []),
    ...(tie.alternatives.length > 0 ? ['alternatives' as const] : []),
  ];
}

/** Of a call that `context` begins at `atUs`, after nothing was found to tie it to. `unanswered`: sessions of its process, answered ones among them. */
export function whyNot<J extends Job>(context: Context<J>, atUs: number, unanswered: Iterable<J>): WhyNot[] {
  if (context.excluded) return ['excluded'];
  if (context.virtual && context.reading === undefined) return ['name-unread'];
  const found: WhyNot[] = [];
  if (context.mute) return [whyMute(context)];
  if (context.goroutine !== undefined) return [whyNoGoroutine(context)];
  if (!context.loop) found.push(context.reading === undefined ? 'no-request' : 'request-over');
  // A loop goes by what it read last, whichever that was; a thread that reads no requests may go on with an answer.
  if (context.loop || context.woke === 'answer') found.push(...notWoken(context, atUs));
  if (!context.loop) return found;
  let waiting = 0;
  for (const job of unanswered) if (!job.answered) waiting += 1;
  if (waiting !== 1) found.push(waiting === 0 ? 'none-unanswered' : 'several-unanswered');
  return found;
}

const whyMute = <J extends Job>({ other }: Context<J>): WhyNot => other === undefined ? 'goroutine-unknown' : 'virtual-thread-unknown';

function whyNoGoroutine<J extends Job>({ goroutine: which, reading, heritage }: Context<J>): WhyNot {
  if (which?.role === 'writes-for') return 'writer-unknown';
  if (heritage?.job.gone === false && which?.kind?.outlives === true) return 'kind-outlives';
  return reading === undefined && heritage === undefined ? 'no-request' : 'request-over';
}

function notWoken<J extends Job>(context: Context<J>, atUs: number): WhyNot[] {
  if (context.woke === undefined) return ['read-nothing'];
  if (context.slept(atUs)) return ['slept'];
  if (context.acted) return ['acted-before'];
  if (context.ambiguous) return ['several-read'];
  return context.resumed === undefined ? ['read-unknown'] : context.woke === 'answer' ? ['others-may-act'] : [];
}

/** Of a call that was thought to be a session's, until that was given out. */
export function fallenBecause<J extends Job>(tie: Tie<J> | undefined): WhyNot[] {
  if (tie === undefined || evidenceOf(tie) !== undefined) return ['by-itself'];
  if (tie.context.mute) return [whyMute(tie.context)];
  if (tie.context.heritage !== undefined) return ['kind-outlives'];
  if (tie.birth === undefined || tie.context.loops) return ['turned-out-loop'];
  return [tie.birth.ended ? 'starter-fell' : tie.birth.cutShort ? 'cut-short' : 'outlived'];
}
