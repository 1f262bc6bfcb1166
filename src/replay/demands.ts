/** What a session asks of its dependencies, as keys by which equal calls of different sessions are found. */
import { hash } from 'node:crypto';
import { bytesOf, neverConnected } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import { SEVERAL } from './schedule.ts';
import type { Protocol, ProtocolName } from '../protocols/protocol.ts';
import type { Session } from '../sessions/session.ts';

const NOTHING = new Uint8Array(0);

/** Request by destination and bytes, answer by bytes: digests, so that keys stay small. */
export function exactDemands(session: Session): Map<string, string> {
  return demandsOf(session, (bytes) => hash('sha1', bytes, 'base64'));
}

/** Requests that mean the same have the same key; some that don't may have it too: what people are shown of them. */
export function coarseDemands(session: Session, protocol: (name: ProtocolName) => Protocol | undefined): Map<string, string> {
  return demandsOf(session, (bytes, name) => protocol(name)?.summarise(bytes, NOTHING).text.replace(/\?.*/s, '').slice(0, 200) ?? hash('sha1', bytes, 'base64'));
}

function demandsOf(session: Session, keyOf: (request: Uint8Array, protocol: ProtocolName) => string): Map<string, string> {
  const demands = new Map<string, string>();
  for (const talk of session.outbound) {
    if (neverConnected(talk)) continue;
    const { remote, protocol } = talk.connection;
    const key = `${canonicalDestination(remote)} ${keyOf(bytesOf(talk.request), protocol)}`;
    const answer = hash('sha1', bytesOf(talk.response), 'base64');
    const known = demands.get(key);
    demands.set(key, known === undefined || known === answer ? answer : SEVERAL);
  }
  return demands;
}
