/** Which sessions are meant: what `ls` lists, `export` writes and `replay` plays. */
import type { Session } from '../sessions/session.ts';
import { idsOf, traceOf } from '../sessions/trace-of.ts';
import { summariseTalk } from './session-summary.ts';

export interface SessionFilter {
  /** Unix µs. */
  readonly sinceUs?: number;
  readonly untilUs?: number;
  readonly tgid?: number;
  /** In the summary; case does not matter. */
  readonly grep?: string;
  /** Equal to the status, or its beginning when it ends in `x`s (`5xx`). */
  readonly status?: string;
  /** One of its ids (`idsOf`): any of these, as `wantedIds` makes them. */
  readonly trace?: readonly string[];
  /** Not `complete`. */
  readonly incomplete?: boolean;
}

/** The same for a session that is at hand, from whichever file it came. */
export function passes(session: Session, { sinceUs = -Infinity, untilUs = Infinity, tgid, grep, status, trace, incomplete = false }: SessionFilter): boolean {
  if (session.startedAtUs < sinceUs || session.startedAtUs >= untilUs) return false;
  if (tgid !== undefined && session.process.tgid !== tgid) return false;
  if (incomplete && session.certificate.state === 'complete') return false;
  if (trace !== undefined && !isOfTrace(session, trace)) return false;
  if (grep === undefined && status === undefined) return true;
  const summary = summariseTalk(session.inbound);
  return (grep === undefined || summary.text.toLowerCase().includes(grep.toLowerCase()))
    && (status === undefined || statusMatches(summary.status ?? '', status));
}

export function isOfTrace(session: Session, wanted: readonly string[]): boolean {
  const ids = traceOf(session);
  return ids !== undefined && idsOf(ids).some((id) => wanted.includes(id));
}

/** `200` is 200, `5xx` is 500 to 599; otherwise equal but for case. */
export function statusMatches(status: string, wanted: string): boolean {
  const group = /^(\d)xx$/i.exec(wanted)?.[1];
  if (group !== undefined) return new RegExp(`^${group}\\d\\d$`).test(status);
  return status.toLowerCase() === wanted.toLowerCase();
}
