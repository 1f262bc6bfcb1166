/**
 * The goroutine that read a request works for it until it reads another, and so do the goroutines that it began meanwhile, and
 * theirs. It is no rule of thumb where the goroutine began with net/http's function that serves one connection, one request
 * at a time, nor where it was given the request (HTTP/2: one reads for all that are at work).
 *
 *   goroutine 7   read A             call 1             respond A   read B
 *   goroutine 8   (begun by 7)  call 2    call 3
 *
 * Where it is not told when a goroutine begins, one that was begun for A may be met for the first time when 7 is at B already: then
 * only where 7 has read nothing before is it sure whose it is. One that goes on when its session is over is a pool's worker, and so
 * are all that began with its function.
 */
import type { Context, Job } from './context.ts';
import type { Evidence } from './evidence.ts';

/** So many that began with one function, and none went on when its session was over: a pool's workers would have. */
export const ENOUGH = 16;

export const goroutine: Evidence = {
  attribution: 'goroutine',
  find(context, inLoop) {
    // What it opens for others is told with who asked: of the rest nothing is known.
    if (context.goroutine === undefined || context.goroutine.openings !== undefined) return undefined;
    if (inLoop) return context.woke === 'request' && !context.acted ? context.resumed : undefined;
    const { reading, heritage } = context;
    // Who serves a stream returns before its answer ends. What comes later is of the next that a pool's worker serves, should that not be told.
    if (reading !== undefined) return reading.gone || (context.given && reading.done) ? undefined : reading;
    if (heritage === undefined || heritage.over || heritage.job.gone || isDoubtful(context)) return undefined;
    return heritage.job;
  },
  proves(context, call, job) {
    if (context.loops || job.lossy || !call.byOneThread || call.afterResponse) return false;
    const { heritage, goroutine: which } = context;
    // Whoever was given its request serves no other; those that read it and write the answer do so for all of its connection.
    if (!wasGiven(context) && (job.pipelined || !job.byOneThread)) return false;
    if (heritage === undefined) return context.given || which?.role === 'serves';
    return heritage.sure && !isDoubtful(context) && (which?.kind?.begun ?? 0) >= ENOUGH;
  },
};

/** It was given the request that it works for, or the one was that began it, directly or not. */
export function wasGiven<J extends Job>({ given, heritage }: Context<J>): boolean {
  return heritage === undefined ? given : heritage.from.given;
}

/** Others that began as it did were seen to work for more than what they were begun for, or may have been begun for something earlier. */
export function isDoubtful<J extends Job>({ goroutine: which, heritage }: Context<J>): boolean {
  const kind = which?.kind;
  return kind === undefined || kind.outlives || (kind.late && heritage?.sure !== true);
}
