/** What speaks for and against a tie by goroutines: the facts that its `proves` judges by, by name. */
import { ENOUGH, wasGiven } from './goroutine.ts';
import type { CallFacts, JobFacts } from './evidence.ts';
import type { Job } from './context.ts';
import type { Doubt, MoreFacts, Support, TieReasons } from './reasons.ts';
import type { Tie } from './tie.ts';

export function goroutineReasons<J extends Job>({ context, alternatives }: Tie<J>, call: CallFacts, job: JobFacts, more: MoreFacts<J>): TieReasons {
  const { heritage, goroutine: which } = context;
  const support: Support[] = [heritage !== undefined ? 'begun-for-it' : context.given ? 'begun-to-serve' : context.loops ? 'first-after-request' : 'reads-request'];
  const against: Doubt[] = [];
  const seldom = heritage !== undefined && (which?.kind?.begun ?? 0) < ENOUGH;
  if (heritage === undefined && which?.role === 'serves') support.push('serves-connection');
  if (heritage !== undefined && !seldom) support.push('kind-ends');
  if (more.opened) support.push('opened-for-it');
  if (call.byOneThread) support.push('call-by-one-thread');
  if (job.byOneThread) support.push('session-by-one-thread');
  if (context.loops) against.push(context.loop ? 'event-loop' : 'holds-several');
  if (heritage === undefined && which?.role !== 'serves' && !context.given) against.push('may-serve-several');
  if (heritage !== undefined && !heritage.sure) against.push('begun-unseen');
  if (seldom) against.push('kind-unknown');
  if (!job.byOneThread && !wasGiven(context)) against.push('request-by-several');
  if (more.openLost) against.push('open-lost');
  else if (!call.byOneThread) against.push('call-by-several');
  if (job.pipelined && !wasGiven(context)) against.push('pipelined');
  if (call.afterResponse) against.push('after-response');
  if (call.multiplexed === true) against.push('multiplexed');
  if (job.lossy) against.push(more.paused ? 'recorder-away' : 'events-lost');
  if (alternatives.length > 0) against.push('alternatives');
  return { for: support, against };
}
