/** How a call was tied to its session, and how sure that is. */
import type { Birth } from './born.ts';
import type { Context, Job } from './context.ts';
import { isDoubtful } from './goroutine.ts';
import type { CallFacts, Evidence, Ground, JobFacts } from './evidence.ts';

export type Attribution =
  | 'thread' | 'born' | 'goroutine' | 'virtual-thread' | 'helper' | 'delegation' | 'trace' | 'handed-over'
  | 'continuation' | 'elimination' | 'content' | 'pattern' | 'queue' | 'runtime';
export type Certainty = 'proven' | 'likely';

export interface Tie<J extends Job> {
  readonly job: J;
  readonly evidence: Ground;
  readonly context: Context<J>;
  /** What would say the same of an event loop, should the context turn out to be one. */
  readonly inLoop: Ground | undefined;
  /** The context had just read the job's request, and nothing since. */
  readonly atRequest?: boolean;
  /** Of `born`: what it rests on, and what would say the same without it. */
  readonly birth?: Birth<J>;
  readonly otherwise?: Evidence;
  /** Others that it might have been. */
  readonly alternatives: readonly J[];
  /** 0 to 1; undefined: nothing was reckoned. */
  readonly probability?: number;
}

/**
 * Judged when the session closes, by what the context has turned out to be; `early`: before that. Undefined: the tie does
 * not hold.
 */
export function evidenceOf<J extends Job>(tie: Tie<J>, early = false): Ground | undefined {
  const { context } = tie;
  if (context.mute || (context.heritage !== undefined && isDoubtful(context))) return undefined;
  const found = tie.context.loops ? tie.inLoop : tie.evidence;
  return found?.attribution === 'born' && tie.birth?.holds(early) !== true ? tie.otherwise : found;
}

/** Of a tie that holds. */
export function attributionOf<J extends Job>(tie: Tie<J>, call: CallFacts, job: JobFacts, early = false): { attribution: Attribution; certainty: Certainty } {
  const { attribution, proves } = evidenceOf(tie, early) ?? tie.evidence;
  return { attribution, certainty: tie.alternatives.length === 0 && call.multiplexed !== true && proves(tie.context, call, job, tie) ? 'proven' : 'likely' };
}
