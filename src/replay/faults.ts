/** Connects that failed when they were recorded: which are to fail now, and what is made of those that did. Pure. */
import { parseAddress } from '../bytes/address.ts';
import { neverConnected } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import { isAgreed, type LiveCall } from './played.ts';
import type { Session } from '../sessions/session.ts';

export interface Fault {
  readonly destination: string;
  /** Indexes into the session's `outbound`, in recorded order: an attempt each. */
  readonly indexes: readonly number[];
  readonly kind: 'refused' | 'timeout' | 'unreachable';
  /** It was reached in the end: so many attempts fail, the next one does not. */
  readonly reached: boolean;
}

/** Faults of a session: destinations that it never reached, or not at once. */
export function faultsOf(session: Session): Fault[] {
  const reached = new Set<string>();
  const faults = new Map<string, Fault>();
  session.outbound.forEach((talk, index) => {
    const destination = canonicalDestination(talk.connection.remote);
    const fault = faults.get(destination);
    if (!neverConnected(talk)) {
      reached.add(destination);
      if (fault !== undefined && !fault.reached) faults.set(destination, { ...fault, reached: true });
      return;
    }
    if (isAgreed(talk) || reached.has(destination) || parseAddress(destination) === undefined) return;
    const kind = talk.end?.kind === 'timeout' ? 'timeout' : talk.end?.kind === 'refused' ? 'refused' : 'unreachable';
    faults.set(destination, { destination, kind, indexes: [...fault?.indexes ?? [], index], reached: false });
  });
  return [...faults.values()];
}

/** A destination that could not be connected to after it had been reached: when that begins can't be told any more. */
export function failedLater(session: Session): string | undefined {
  const played = new Set(faultsOf(session).flatMap(({ indexes }) => indexes));
  const at = session.outbound.findIndex((talk, index) => neverConnected(talk) && !isAgreed(talk) && !played.has(index) && parseAddress(talk.connection.remote) !== undefined);
  return session.outbound[at]?.connection.remote;
}

/** What became of a fault: how many attempts ran into it. */
export interface Met {
  readonly fault: Fault;
  readonly attempts: number;
}

/** Attempts as calls: each recorded one needs a live one. `mayRepeat`: more of them may be the service's own, which it makes again and again. */
export function failedCalls(met: readonly Met[], mayRepeat: (destination: string) => boolean): LiveCall[] {
  return met.flatMap(({ fault: { indexes, destination, kind, reached }, attempts }) => {
    const call: LiveCall = { destination, protocol: 'unknown', request: new Uint8Array(0), how: 'refused', beganMs: 0, endedMs: 0 };
    const made = indexes.slice(0, attempts).map((recorded): LiveCall => ({ ...call, recorded }));
    // Of one that is unreachable packets are counted, of which an attempt may send several.
    const more = reached || kind === 'unreachable' || mayRepeat(destination) ? 0 : Math.min(attempts - made.length, MAX_MORE);
    return [...made, ...Array.from({ length: Math.max(0, more) }, (): LiveCall => ({ ...call, repeated: true }))];
  });
}

/** Attempts beyond the recorded ones that are listed. */
const MAX_MORE = 16;
