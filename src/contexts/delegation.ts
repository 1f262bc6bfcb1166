/** A thread said, by a helper datagram, that it works for another thread: then it works for the request that one has read. */
import type { Evidence } from './evidence.ts';
import { thread } from './thread.ts';

export const delegation: Evidence = {
  attribution: 'delegation',
  find: (context, inLoop, only) => (context.virtual ? undefined : thread.find(context, inLoop, only)),
  proves: (context, call, job, tie) => thread.proves(context, call, job, tie),
};
