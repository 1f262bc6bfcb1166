/**
 * A context that reads an answer goes on with that answer's session, until it reads something else. A loop that reads several
 * before it acts has forgotten which by then: ambiguous, so no evidence.
 */
import type { Evidence } from './evidence.ts';

export const continuation: Evidence = {
  attribution: 'continuation',
  find: (context) => (context.woke === 'answer' ? context.resumed : undefined),
  proves: () => false,
};
