/**
 * Logins that a PostgreSQL server refused (a wrong password, too many connections, a server that is starting). They are calls of their
 * session, since nothing else came of their connection; played, the client gets the error in place of whatever the server asked
 * of it before, which signs something fresh each time.
 */
import { readMessages, postgresqlMessage } from '../protocols/postgresql-messages.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { bytesOf } from './calls.ts';
import type { PlainTalk } from './played.ts';

const ERROR = 'E';
const READY = 'Z';
const PROTOCOL_3 = 3;

/** The session with each refused login as one call: its startup message, answered with the error. */
export function withRefusedLogins(session: Session): Session {
  const connections = new Map<string, OutboundTalk[]>();
  for (const talk of session.outbound) {
    if (talk.connection.protocol !== 'postgresql') continue;
    const known = connections.get(talk.connection.id);
    if (known !== undefined) known.push(talk);
    else if (isStartup(bytesOf(talk.request))) connections.set(talk.connection.id, [talk]);
  }
  const told = new Map<OutboundTalk, PlainTalk>();
  for (const talks of connections.values()) {
    const [first, ...others] = talks;
    const last = talks.at(-1);
    const answers = talks.flatMap(({ response }) => [...readMessages(bytesOf(response), 'server')]);
    const error = answers.at(-1);
    const at = last?.response.at(-1);
    if (first === undefined || at === undefined || error?.type !== ERROR || answers.some(({ type }) => type === READY)) continue;
    told.set(first, { ...first, response: [{ atUs: at.atUs, tid: at.tid, bytes: postgresqlMessage(ERROR, error.body) }], ...(last?.end === undefined ? {} : { end: last.end }) });
    for (const other of others) told.set(other, { ...other, agreed: true });
  }
  return told.size === 0 ? session : { ...session, outbound: session.outbound.map((talk) => told.get(talk) ?? talk) };
}

/** A login that begins is one message without a type. */
function isStartup(request: Uint8Array): boolean {
  return request.length >= 8 && request[0] === 0 && new DataView(request.buffer, request.byteOffset).getUint16(4) === PROTOCOL_3;
}

/** Whether a recorded answer refuses a login. */
export const isRefusal = (response: Uint8Array): boolean => response[0] === ERROR.charCodeAt(0);
