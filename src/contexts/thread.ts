/**
 * The thread that reads a request works for it until it reads another one. True wherever a thread serves one request at a
 * time. An event loop does not, and is recognised by what it does; until it is, its ties look like this kind's, so they are
 * judged when the session closes:
 *
 *   thread per request     read A  call  answer  respond A  read B  call …
 *   event loop             read A  call  read B  (A has no answer: a loop from here on, and A's ties are `likely`)
 */
import type { Evidence } from './evidence.ts';

export const thread: Evidence = {
  attribution: 'thread',
  find(context) {
    const { reading } = context;
    if (reading === undefined || reading.gone) return undefined;
    if (!context.loop) return reading;
    return context.woke === 'request' ? context.resumed : undefined;
  },
  proves(context, call, job) {
    return !context.loop && !job.moves && !job.lossy && !job.pipelined && job.byOneThread && call.byOneThread && !call.afterResponse;
  },
};
