/**
 * A thread that juggles several requests names, by helper datagrams, the one it is at: from then on it is that *virtual
 * thread*, which works for the request that is read under its name. The service itself says so: a proof.
 */
import type { Evidence } from './evidence.ts';

export const virtualThread: Evidence = {
  attribution: 'virtual-thread',
  find(context, inLoop) {
    const { reading } = context;
    return !context.virtual || context.namedLate || inLoop || reading === undefined || reading.gone ? undefined : reading;
  },
  proves: (context, call, job) => !context.loop && !job.lossy && !job.pipelined && call.byOneThread && !call.afterResponse,
};
