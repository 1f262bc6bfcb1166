/** Judges what happened against what was recorded. Pure. */
import { compareTalk, type Difference } from '../compare/index.ts';
import type { Session } from '../sessions/session.ts';
import { protocolNamed } from '../protocols/index.ts';
import { bytesOf } from './calls.ts';
import { isWhole } from './ending.ts';
import { atLeast, judgeCalls, summaryOf, type JudgeOptions } from './judge-calls.ts';
import type { Played } from './played.ts';
import type { Replayed, ReplayedCall } from './replayed.ts';
import { sentDatagrams } from './sent-datagrams.ts';

export function sessionSummary(session: Session): string {
  const { request, response, connection, fields } = session.inbound;
  return summaryOf(bytesOf(request), bytesOf(response), connection.protocol, fields);
}

/** A session that was not played. */
export function unplayed(session: Session, verdict: 'skipped' | 'error', reason: string, durationMs = 0): Replayed {
  return {
    event: 'session', session: session.id, summary: sessionSummary(session), verdict, reason, durationMs, ignored: 0, noise: [],
    response: { verdict: 'same', differences: [] }, calls: [],
  };
}

const END_WORDS: Readonly<Record<string, string>> = {
  refused: 'the service refused the connection', timeout: 'the service did not answer in time',
  reset: 'the service reset the connection', fin: 'the service closed the connection without an answer',
};

/** `strict`: what the process may have kept counts as a difference. */
export type VerdictOptions = JudgeOptions & { readonly strict?: boolean };

/** The verdict on a played session. */
export function judge(session: Session, played: Played, options: VerdictOptions): Replayed {
  const recorded = { request: bytesOf(session.inbound.request), response: bytesOf(session.inbound.response) };
  const { calls, ignored: ignoredInCalls, noise } = judgeCalls(session, played, options);
  // Who refuses heard no request: also where no answer was recorded there is nothing to compare.
  const unanswered = played.response.length === 0 && (recorded.response.length > 0 || played.responseEnd === 'refused');
  if (unanswered && played.responseEnd in END_WORDS) {
    return { ...unplayed(session, 'error', END_WORDS[played.responseEnd] ?? '', round(played.durationMs)), response: { verdict: 'different', differences: [] }, calls };
  }
  const response = compareTalk(recorded, { request: recorded.request, response: played.response }, session.inbound.connection.protocol, options);
  const differences = [...response.differences, ...endDifferences(session, played)];
  const same = differences.length === 0 && calls.every(({ verdict }) => isSame(verdict, options.strict === true));
  return {
    event: 'session', session: session.id, summary: sessionSummary(session), verdict: same ? 'same' : 'different',
    durationMs: round(played.durationMs), ...sentDatagrams(session), ignored: response.ignored + ignoredInCalls,
    noise: [...response.noise, ...noise],
    response: { verdict: differences.length === 0 ? 'same' : 'different', differences, ...atLeast(response.more) }, calls,
  };
}

/** `state` and `cached` say what the process kept, not what the build does. */
export const isSame = (verdict: ReplayedCall['verdict'], strict: boolean): boolean => verdict === 'same' || (!strict && (verdict === 'state' || verdict === 'cached'));
const round = (ms: number): number => Math.round(ms * 1000) / 1000;

/** An answer that broke off, where the recorded one did not, or in another way; and the other way round. */
function endDifferences(session: Session, { responseEnd }: Played): Difference[] {
  const recorded = recordedEnd(session);
  // How it goes on after a pause nobody waited for.
  const live = responseEnd === 'message' ? 'whole' : responseEnd;
  if (live === 'quiet' || live === recorded || (live !== 'reset' && live !== 'timeout' && recorded !== 'reset')) return [];
  return [{ path: 'response.end', kind: 'changed', recorded, live }];
}

/** How the service ended the answer. A reset that came after a whole one is none of its business. */
function recordedEnd({ inbound: { end, request, response, connection } }: Session): 'whole' | 'fin' | 'reset' {
  if (end?.by !== 'local' || (end.kind !== 'fin' && end.kind !== 'reset')) return 'whole';
  return isWhole(protocolNamed(connection.protocol), bytesOf(request), bytesOf(response)) ? 'whole' : end.kind;
}
