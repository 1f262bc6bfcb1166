/** Sessions that a call may be of, as it names them. */
import type { OpenSession } from './open-session.ts';

/** Sessions named as candidates or alternatives. */
export const maxCandidates = 16;

export function candidateIds(sessions: Iterable<OpenSession>): string[] {
  const ids: string[] = [];
  for (const session of sessions) {
    if (ids.length >= maxCandidates) break;
    ids.push(session.id);
  }
  return ids;
}
