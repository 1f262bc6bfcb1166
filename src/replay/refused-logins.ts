/**
 * Logins that a PostgreSQL, MySQL or MariaDB server refused (a wrong password, too many connections, a server that is starting). They
 * are calls of their session, since nothing else came of their connection; played, the client gets the error in place of whatever the
 * server asked of it before, which signs something fresh each time.
 */
import { OK } from '../protocols/mysql-fields.ts';
import { plainLogin } from '../protocols/mysql-login.ts';
import { mysqlPacket, readError, readPackets } from '../protocols/mysql-packets.ts';
import { readMessages, postgresqlMessage } from '../protocols/postgresql-messages.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { bytesOf } from './calls.ts';
import type { PlainTalk } from './played.ts';

interface Refusals {
  /** What of a login's first message tells it from others; undefined: it is no such message. */
  login(request: Uint8Array): Uint8Array | undefined;
  /** The error, as it follows that message at once, when the answers end in it; undefined where the client was let in before. */
  error(responses: readonly Uint8Array[]): Uint8Array | undefined;
  isError(response: Uint8Array): boolean;
}

const ERROR = 'E';
const READY = 'Z';
const PROTOCOL_3 = 3;

const postgresql: Refusals = {
  /** A login that begins is one message without a type. */
  login: (request) => (request.length >= 8 && request[0] === 0 && new DataView(request.buffer, request.byteOffset).getUint16(4) === PROTOCOL_3 ? request : undefined),
  error(responses) {
    const answers = responses.flatMap((response) => [...readMessages(response, 'server')]);
    const error = answers.at(-1);
    return error?.type !== ERROR || answers.some(({ type }) => type === READY) ? undefined : postgresqlMessage(ERROR, error.body);
  },
  isError: (response) => response[0] === ERROR.charCodeAt(0),
};

/** The login is packet 1, as we never offer TLS. */
const AFTER_LOGIN = 2;

const mysql: Refusals = {
  login: plainLogin,
  error(responses) {
    const answers = responses.flatMap((response) => [...readPackets(response)]);
    const error = answers.at(-1);
    if (error === undefined || readError(error.body) === undefined || answers.some(({ body }) => body[0] === OK)) return undefined;
    return mysqlPacket(AFTER_LOGIN, error.body);
  },
  isError: (response) => readError(response.subarray(4)) !== undefined,
};

const REFUSALS = new Map<ProtocolName, Refusals>([['postgresql', postgresql], ['mysql', mysql]]);

/** The session with each refused login as one call: its first message, answered with the error; and without what was asked where nobody was let in. */
export function withRefusedLogins(session: Session): Session {
  const connections = new Map<string, { readonly refusals: Refusals; readonly login: Uint8Array; readonly talks: OutboundTalk[] }>();
  const told = new Map<OutboundTalk, PlainTalk>();
  // Who is turned away may have asked by then, or not: that is chance, and nobody heard it.
  const away = new Set<string>();
  for (const talk of session.outbound) {
    const { id, protocol } = talk.connection;
    if (away.has(id)) told.set(talk, { ...talk, agreed: true });
    else if (isTurnedAway(talk)) away.add(id);
    const refusals = REFUSALS.get(protocol);
    if (refusals === undefined) continue;
    const known = connections.get(id);
    const login = known === undefined ? refusals.login(bytesOf(talk.request)) : undefined;
    if (known !== undefined) known.talks.push(talk);
    else if (login !== undefined) connections.set(id, { refusals, login, talks: [talk] });
  }
  for (const { refusals, login, talks } of connections.values()) {
    const [first, ...others] = talks;
    const last = talks.at(-1);
    const asked = first?.request[0];
    const answered = last?.response.at(-1);
    const error = refusals.error(talks.map(({ response }) => bytesOf(response)));
    if (first === undefined || error === undefined || asked === undefined || answered === undefined) continue;
    told.set(first, {
      ...first, request: [{ atUs: asked.atUs, tid: asked.tid, bytes: login }], response: [{ atUs: answered.atUs, tid: answered.tid, bytes: error }],
      ...(last?.end === undefined ? {} : { end: last.end }),
    });
    for (const other of others) told.set(other, { ...other, agreed: true });
  }
  return told.size === 0 ? session : { ...session, outbound: session.outbound.map((talk) => told.get(talk) ?? talk) };
}

/** What of a login's first message tells it from others; undefined: it is no such message. */
export const loginIn = (protocol: ProtocolName, request: Uint8Array): Uint8Array | undefined => REFUSALS.get(protocol)?.login(request);

/** The server spoke, and nobody had asked it: whoever connected was turned away. */
export const isTurnedAway = ({ request, response }: OutboundTalk): boolean => request.length === 0 && response.length > 0;

/** Whether a recorded answer refuses a login. */
export const isRefusal = (protocol: ProtocolName, response: Uint8Array): boolean => REFUSALS.get(protocol)?.isError(response) === true;
