/** What a session can prove of itself: that every byte is there, and that nothing relevant was out of sight. */
import type { LossLedger } from '../connections/loss.ts';
import type { Connection } from '../connections/connection.ts';
import type { Direction } from '../events/event.ts';
import type { Run } from '../talks/run.ts';
import { fallenDatagrams } from './datagrams.ts';
import type { OpenSession } from './open-session.ts';
import type { Certificate, LostBytes, Unseen } from './session.ts';
import type { Spoken } from './spoken.ts';

const maxDetailChars = 200;

/** `ended`: the recording ended before the session did. `prologues`: set-up talks of its connections. */
export function certify(
  session: OpenSession, calls: readonly Spoken[], prologues: readonly Spoken[], ledger: LossLedger, ended: boolean,
): Certificate {
  if (!ended && isPlain(session.talk) && calls.every(isPlain) && prologues.every(isPlain) && nothingUnseen(session, ledger)) return COMPLETE;
  const talks = [session.talk, ...calls];
  const lost = [...talks, ...prologues].flatMap(lostOf);
  const unseen = [
    ...tlsOf(talks),
    ...countedOf(session),
    ...lateOf(session, talks),
    ...multiplexedOf(talks),
    ...oneOf('unframed', talks.filter(isUnframed), (talk) => talk.unframed ?? 'follows a gap'),
    ...(session.paused ? [{ kind: 'pause', count: 1 }] : []),
    ...(ledger.events > session.lossBefore ? [{ kind: 'lost', count: ledger.events - session.lossBefore, detail: 'events that may have been of this session' }] : []),
    ...(session.forced ? oneOf('unsettled', talks.filter((talk) => !talk.settled), (talk) => talk.connection.remote) : []),
  ];
  const state = ended ? 'open' : lost.length === 0 && unseen.length === 0 ? 'complete' : 'incomplete';
  return { state, lost, unseen };
}

const COMPLETE: Certificate = Object.freeze({ state: 'complete', lost: Object.freeze([]), unseen: Object.freeze([]) });

/** Nearly every talk: whole, and nothing to say of it. */
function isPlain(talk: Spoken): boolean {
  return !talk.request.holed && !talk.response.holed && talk.connection.whole && talk.unframed === undefined && !talk.doubtful
    && talk.fields?.unknown === undefined && (talk.protocol?.name !== 'tls' && (talk.framed || talk.protocol?.name !== 'http2'));
}

function nothingUnseen(session: OpenSession, ledger: LossLedger): boolean {
  const { before, after } = session;
  return !session.late && !session.paused && !session.forced && ledger.events === session.lossBefore && after !== undefined
    && after.udp === before.udp && after.udpSent === before.udpSent && fallenDatagrams(session) === 0 && after.quic === before.quic && after.refused === before.refused && session.unattributed === 0;
}

function lostOf(talk: Spoken): LostBytes[] {
  const { connection, inbound, request, response } = talk;
  if (!request.holed && !response.holed) return [];
  return [...gapsOf(connection, inbound ? 'ingress' : 'egress', request), ...gapsOf(connection, inbound ? 'egress' : 'ingress', response)];
}

function gapsOf(connection: Connection, direction: Direction, run: Run): LostBytes[] {
  return run.pieces.flatMap((piece) => (piece.bytes !== undefined ? []
    : [{ connection: connection.id, direction, from: piece.position, bytes: piece.length, cause: piece.cause }]));
}

function tlsOf(talks: readonly Spoken[]): Unseen[] {
  const connections = new Set<Connection>();
  for (const talk of talks) if (talk.protocol?.name === 'tls') connections.add(talk.connection);
  if (connections.size === 0) return [];
  const names = [...new Set([...connections].map((connection) => connection.serverName ?? connection.remote))].sort();
  return [{ kind: 'tls', count: connections.size, detail: names.join(', ').slice(0, maxDetailChars) }];
}

/** What its process did meanwhile that may have been for this session. */
function countedOf(session: OpenSession): Unseen[] {
  const { before, after, process } = session;
  const now = after ?? process.outOfSight();
  const counted: Unseen[] = [
    { kind: 'udp', count: now.udp - before.udp, detail: process.udpDetail },
    { kind: 'udp-sent', count: now.udpSent - before.udpSent + fallenDatagrams(session), detail: process.udpSentDetail },
    { kind: 'quic', count: now.quic - before.quic, detail: process.quicDetail },
    { kind: 'helper', count: now.refused - before.refused, detail: [...process.refusals].sort().join(', ') },
    { kind: 'unattributed', count: session.unattributed },
  ];
  return counted.filter((one) => one.count > 0);
}

/** Connections that the recorder met in mid-stream, where what it missed matters. */
function lateOf(session: OpenSession, talks: readonly Spoken[]): Unseen[] {
  const late = talks.filter((talk) => {
    if (talk === session.talk) return session.late || talk.connection.guessed || (talk.joined && !talk.framed);
    if (talk.connection.whole) return false;
    return !(talk.standsAlone || talk.protocol?.memory === 'none') || (talk.joined && !talk.framed);
  });
  return oneOf('seen-late', late, (talk) => (talk.inbound ? talk.connection.local : talk.connection.remote));
}

/** It was followed by framing and then no more, or nobody can say where it begins. */
function isUnframed(talk: Spoken): boolean {
  return talk.unframed !== undefined || talk.doubtful;
}

/** HTTP/2 that could not be cut into its streams, or whose header fields could not be read. */
function multiplexedOf(talks: readonly Spoken[]): Unseen[] {
  return oneOf('http2', talks.filter((talk) => talk.protocol?.name === 'http2' && (!talk.framed || talk.fields?.unknown !== undefined)),
    (talk) => talk.fields?.unknown ?? talk.unframed ?? talk.connection.remote);
}

/** One line for the connections of these talks. */
function oneOf(kind: string, talks: readonly Spoken[], detailOf: (talk: Spoken) => string | undefined): Unseen[] {
  if (talks.length === 0) return [];
  const details = new Set(talks.map((talk) => detailOf(talk) ?? ''));
  const count = new Set(talks.map((talk) => talk.connection)).size;
  return [{ kind, count, detail: [...details].join(', ').slice(0, maxDetailChars) }];
}
