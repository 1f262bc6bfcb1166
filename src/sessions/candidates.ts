/** Sessions that a call may be of, as it names them. */
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

/** Sessions named as candidates or alternatives. */
export const maxCandidates = 16;

/** Of `sessions`, those whose request had come when `call` began. */
export function candidateIds(call: Spoken, sessions: Iterable<OpenSession>): string[] {
  const ids: string[] = [];
  for (const session of sessions) {
    if (ids.length >= maxCandidates) break;
    if (session.talk.beganSeq > call.beganSeq) continue;
    ids.push(session.id);
  }
  return ids;
}
