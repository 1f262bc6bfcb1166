/** What the user said may reach the real world although the service is confined: destinations, and operations. Pure. */
import { bytesOf } from './calls.ts';
import { parseAddress, type Address } from '../bytes/address.ts';
import type { PlainTalk } from './played.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';

/** A destination. Absent: every one. */
export interface BypassedAddress {
  readonly host?: string;
  readonly port?: number;
}

/** A name, and what it means in the real world; that is told to the service when it asks. */
export interface BypassedName {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly port?: number;
}

/** Requests of HTTP by method and by host and path, of Redis by command. `*` stands for anything. */
export type BypassedOperation =
  | { readonly protocol: 'http'; readonly method: string; readonly target: string }
  | { readonly protocol: 'redis'; readonly command: string };

export interface Bypassed {
  readonly addresses: readonly BypassedAddress[];
  readonly names: readonly BypassedName[];
  readonly operations: readonly BypassedOperation[];
  /** Paths of unix sockets. */
  readonly sockets?: readonly string[];
}

export const NOTHING_BYPASSED: Bypassed = { addresses: [], names: [], operations: [] };

export function isBypassedAddress({ addresses, names }: Bypassed, { host, port }: Address): boolean {
  const fits = (one: BypassedAddress): boolean => (one.host === undefined || one.host === host) && (one.port === undefined || one.port === port);
  return addresses.some(fits) || names.some((name) => name.addresses.some((address) => fits({ ...name, host: address })));
}

const matches = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&')).join('.*')}$`, 'is').test(text);

function asText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 64 << 10)).toString('latin1');
}

/** `HOST/PATH` without query; the host as its header has it, without a port. */
function httpTarget(head: string): { method: string; target: string } | undefined {
  const line = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r?\n/.exec(head);
  if (line === null) return undefined;
  const host = /\r?\nhost:[ \t]*([^\s\]]+\]|[^\s:]+)/i.exec(head)?.[1] ?? '';
  const path = (line[2] ?? '').replace(/^https?:\/\/[^/]*/, '').replace(/[?#].*$/s, '');
  return { method: line[1] ?? '', target: `${host}${path}` };
}

/** RESP's array of bulk strings, or an inline command. */
const redisCommand = (text: string): string | undefined => (/^\*\d+\r\n\$\d+\r\n([^\r\n]*)\r\n/.exec(text) ?? /^(\w+)/.exec(text))?.[1];

export function isBypassedOperation({ operations }: Bypassed, protocol: ProtocolName, request: Uint8Array): boolean {
  const some = operations.filter((operation) => operation.protocol === protocol);
  if (some.length === 0) return false;
  const text = asText(request);
  const http = protocol === 'http' ? httpTarget(text) : undefined;
  return some.some((operation) => (operation.protocol === 'http'
    ? http !== undefined && matches(operation.method, http.method) && matches(operation.target, http.target)
    : matches(operation.command, redisCommand(text) ?? '')));
}

/** The recorded calls that went where now the real world answers are no calls to be made or missed. */
export function withoutBypassed(session: Session, bypassed: Bypassed): Session {
  const { addresses, names, operations, sockets = [] } = bypassed;
  if (addresses.length + names.length + operations.length + sockets.length === 0) return session;
  let tls = 0;
  const outbound = session.outbound.map((talk): OutboundTalk => {
    const { protocol, remote } = talk.connection;
    const address = parseAddress(remote);
    const bypasses = sockets.some((path) => remote === `unix:${path}`) || (address !== undefined && isBypassedAddress(bypassed, address)) || isBypassedOperation(bypassed, protocol, bytesOf(talk.request));
    if (!bypasses) return talk;
    if (protocol === 'tls') tls += 1;
    return { ...talk, agreed: true, connection: { ...talk.connection, protocol: protocol === 'tls' ? 'unknown' : protocol } } as PlainTalk;
  });
  if (tls === 0) return { ...session, outbound };
  // Where all that could not be read goes past us, nothing that matters was out of sight.
  const readable = !outbound.some(({ connection }) => connection.protocol === 'tls');
  const { certificate } = session;
  const unseen = readable ? certificate.unseen.filter(({ kind }) => kind !== 'tls') : certificate.unseen;
  const complete = readable && certificate.state === 'incomplete' && unseen.length === 0 && certificate.lost.length === 0;
  return { ...session, outbound, certificate: { ...certificate, unseen, state: complete ? 'complete' : certificate.state } };
}
