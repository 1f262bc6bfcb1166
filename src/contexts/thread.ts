/**
 * The thread that reads a request works for it until it reads another one. True wherever a thread serves one request at a
 * time. An event loop does not, and is recognised by what it does; until it is, its ties look like this kind's, so they are
 * judged when the session closes:
 *
 *   thread per request     read A  call  answer  respond A  read B  call …
 *   event loop             read A  call  read B  (A has no answer: a loop from here on)
 *
 * Of a loop only the first thing it does after it has read a request is that request's: a timer, or somebody else's queued
 * call, may come next.
 *
 * Threads that share tasks (tokio's, Java's virtual threads) hand a request on: one reads it, another answers. What such a
 * thread does once the answer is out is not that request's.
 */
import type { Evidence } from './evidence.ts';

export const thread: Evidence = {
  attribution: 'thread',
  find(context, inLoop) {
    const job = !inLoop ? context.reading : context.woke === 'request' && !context.acted ? context.resumed : undefined;
    return job === undefined || job.gone || job.handedOn ? undefined : job;
  },
  proves(context, call, job) {
    return !context.loops && job.blocking && !job.moves && !job.lossy && !job.pipelined && job.byOneThread && call.byOneThread && !call.afterResponse;
  },
};
