/** What a goroutine works for that reads no requests: what the one worked for that began it. */
import type { Context, Job } from './context.ts';
import type { Goroutine } from './goroutines.ts';

export interface Heritage<J extends Job> {
  readonly job: J;
  /** The goroutine that read the request, directly or not the one that began this. */
  readonly from: Context<J>;
  /** It can't have been begun for anything earlier, and `from` serves one request at a time. */
  readonly sure: boolean;
  /** It has made a call. */
  acted: boolean;
  /** It is not known to work for it any more. What it did before is. */
  over: boolean;
}

/** Of one that `by` began: at this moment (`began`), or some time before it is met now. Undefined: nothing. */
export function heritageOf<J extends Job>({ role, kind }: Goroutine, by: Context<J>, began: boolean): Heritage<J> | undefined {
  // What a loop read last is not what it begins others for: one that reads a connection of several calls may have read on.
  if (by.loop) return undefined;
  const { reading, heritage } = by;
  const job = reading ?? (heritage?.over === false ? heritage.job : undefined);
  if (job === undefined || role !== 'other') return undefined;
  if (job.answered && !began && kind !== undefined) kind.late = true;
  if (job.gone) return undefined;
  if (kind !== undefined) kind.begun += 1;
  const sure = heritage?.sure ?? ((by.given || by.goroutine?.role === 'serves') && (began || by.requests === 1));
  return { job, from: heritage?.from ?? by, sure, acted: false, over: false };
}

/** It makes a call. One that has made one before, while what it was begun for is over, is a pool's worker. */
export function works<J extends Job>({ heritage, goroutine }: Context<J>): void {
  if (heritage === undefined) return;
  const { job, from, acted, over } = heritage;
  // Where the recorder was away, nobody is known to be at it any more.
  if (acted && (job.gone || (from.reading !== job && !over)) && goroutine?.kind !== undefined) goroutine.kind.outlives = true;
  heritage.acted = true;
}
