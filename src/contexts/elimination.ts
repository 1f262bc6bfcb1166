/**
 * While one session of a process has no answer, only that one can have made a call. A guess all the same: work that was left
 * over from another session, or a timer's, looks the same. So such a tie falls when the process makes calls like it while no
 * request waits for an answer (src/sessions/background.ts), and only event loops are asked: a thread that reads no requests
 * may be a timer's as well as an executor's.
 */
import type { Evidence } from './evidence.ts';

export const elimination: Evidence = {
  attribution: 'elimination',
  find: (_context, inLoop, only) => (inLoop ? only : undefined),
  proves: () => false,
};
