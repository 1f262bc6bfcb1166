/**
 * What a session's threads sent by UDP (koala's SendUDP): statistics, logs, whatever has no answer that is waited for. Names (DNS) are
 * told elsewhere, and QUIC is a connection. Tied as a call is when it begins; nothing looks back at them. What is in a session whole is
 * not out of its sight.
 */
import { endpointText } from '../connections/endpoint.ts';
import type { LossLedger } from '../connections/loss.ts';
import type { Contexts } from '../contexts/contexts.ts';
import { evidenceOf } from '../contexts/tie.ts';
import type { Tie } from '../contexts/tie.ts';
import type { UdpEvent } from '../events/event.ts';
import type { Write } from './appends.ts';
import { isDns } from './names.ts';
import type { OpenSession } from './open-session.ts';
import { actsOf, tieAtHand } from './owner.ts';
import { QUIC_PORT } from './processes.ts';
import type { Processes } from './processes.ts';

/** Kept of one session. More are only counted (`unseen`: `udp-sent`). */
const maxDatagrams = 10_000;
const maxDatagramBytes = 16 << 20;
const NONE: readonly Datagram[] = [];

export interface Datagram extends Write {
  /** "IP:PORT". */
  readonly to: string;
}

/** One that was sent for a session that goes on. */
export interface SentDatagram {
  readonly tie: Tie<OpenSession>;
  /** Number of the event. */
  readonly seq: number;
  readonly facts: Omit<Datagram, 'attribution' | 'certainty' | 'afterResponse'>;
}

/**
 * `event` is an action of the session that its thread works for, if it works for one. `thread`, `goroutine`: as a piece has them. True
 * where all of it is in that session now.
 */
export function keepDatagram(event: UdpEvent & { readonly thread?: number; readonly goroutine?: number }, seq: number, contexts: Contexts<OpenSession>, processes: Processes): boolean {
  if (event.direction !== 'egress' || isDns(event) || event.remote.port === QUIC_PORT || processes.of(event.tgid).held.empty) return false;
  const tie = tieAtHand(contexts, processes, event.tid, event.tgid);
  if (tie === undefined) return false;
  const { job } = tie;
  const kept = (job.datagrams ??= []);
  if (kept.length >= maxDatagrams || job.datagramBytes + event.bytes.length > maxDatagramBytes) return false;
  job.datagramBytes += event.bytes.length;
  const { atUs, length, goroutine } = event;
  kept.push({
    tie, seq,
    facts: {
      to: endpointText(event.remote), atUs, tid: event.thread ?? event.tid, ...(goroutine === undefined ? {} : { goroutine }),
      ...(length > event.bytes.length ? { length } : {}), bytes: event.bytes,
    },
  });
  return length <= event.bytes.length;
}

/** Copies bytes out of the recording's blocks. */
export function ownDatagrams(session: OpenSession, copy: (bytes: Uint8Array) => Uint8Array): void {
  session.datagrams = session.datagrams?.map((sent) => ({ ...sent, facts: { ...sent.facts, bytes: copy(sent.facts.bytes) } }));
}

/** How many were taken for its own, until their thread turned out to serve several: whose they are nobody knows. */
export const fallenDatagrams = ({ datagrams = [] }: OpenSession): number => datagrams.filter(({ tie }) => evidenceOf(tie) === undefined).length;

/** Those whose tie holds by what is known in the end. */
export function datagramsOf(session: OpenSession, ledger: LossLedger): readonly Datagram[] {
  if (session.datagrams === undefined) return NONE;
  const actOf = actsOf(session, ledger);
  return session.datagrams.flatMap(({ tie, seq, facts }) => {
    const act = actOf(tie, seq);
    return act === undefined ? [] : [{ ...facts, ...act }];
  });
}
