/**
 * A context that reads an answer goes on with that answer's session. A guess wherever another session could act as well (a
 * pool writes a queued call in the wake of somebody else's answer), so only the first thing done after the answer counts, and
 * only where no other session of the process is without an answer, and this one waits for nothing else.
 */
import type { Evidence } from './evidence.ts';

export const continuation: Evidence = {
  attribution: 'continuation',
  find(context) {
    if (context.woke !== 'answer' || context.acted) return undefined;
    const job = context.resumed;
    return job?.isOnlyOneToAct === true ? job : undefined;
  },
  proves: () => false,
};
