/**
 * Logins that can't be played byte for byte, since each signs something fresh: the client is let in at once. What comes after
 * is the recorded server's: its parameters, its greeting. Where no login was recorded (the connection was older than the
 * recorder) one is invented, and said to be.
 */
import { mysqlOk, mysqlPacket } from '../protocols/mysql-packets.ts';
import { int32Bytes as int32, postgresqlMessage as message, textBytes as text } from '../protocols/postgresql-messages.ts';
import type { ProtocolName } from '../protocols/protocol.ts';

export interface LoginStep {
  /** Bytes of the client that this step has read. */
  readonly consumed: number;
  readonly answer: Uint8Array;
  readonly done: boolean;
}

export interface Login {
  /** What the server says before the client does. */
  readonly greeting?: Uint8Array;
  /** True when nothing was recorded to go by. */
  readonly invented: boolean;
  /** Reads the client's unread bytes; undefined: more are needed. */
  step(bytes: Uint8Array): LoginStep | undefined;
}

/** Both sides' bytes of a recorded prologue, in order. */
export interface RecordedLogin {
  readonly client: Buffer;
  readonly server: Buffer;
}

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
const MAX_STARTUP_BYTES = 64 << 10;
const NOTHING = new Uint8Array(0);

const AUTHENTICATION_OK = message('R', int32(0));

/** Where in the server's bytes AuthenticationOk stands and where the first ReadyForQuery after it ends. */
function admission({ client, server }: RecordedLogin): { from: number; to: number } | undefined {
  let at = 0;
  for (let asked = 0; asked + 8 <= client.length; asked += 8) {
    if (client.readInt32BE(asked) !== 8 || ![SSL_REQUEST, GSS_REQUEST].includes(client.readInt32BE(asked + 4))) break;
    at += 1;
  }
  let from: number | undefined;
  while (at + 5 <= server.length) {
    const end = at + 1 + server.readUInt32BE(at + 1);
    if (end <= at || end > server.length) return undefined;
    const type = server[at];
    if (type === 0x52 && end - at === 9 && server.readInt32BE(at + 5) === 0) from ??= at;
    if (type === 0x5a && from !== undefined) return { from, to: end };
    at = end;
  }
  return undefined;
}

/** What a server says of itself whose login was not recorded. */
export const INVENTED_PARAMETERS = {
  server_version: '15.0', server_encoding: 'UTF8', client_encoding: 'UTF8', DateStyle: 'ISO, MDY', IntervalStyle: 'postgres',
  TimeZone: 'Etc/UTC', integer_datetimes: 'on', standard_conforming_strings: 'on',
};

function inventedAdmission(): Buffer {
  const parameters = Object.entries(INVENTED_PARAMETERS).map(([name, value]) => message('S', Buffer.concat([text(name), text(value)])));
  return Buffer.concat([AUTHENTICATION_OK, ...parameters, message('K', Buffer.concat([int32(1), int32(1)])), message('Z', Buffer.from('I'))]);
}

/** PostgreSQL 3.x, "Start-up" in the protocol's message flow. */
function postgresql(recorded: RecordedLogin | undefined): Login {
  const where = recorded === undefined ? undefined : admission(recorded);
  const letIn = recorded !== undefined && where !== undefined ? recorded.server.subarray(where.from, where.to) : inventedAdmission();
  return {
    invented: where === undefined,
    step(bytes) {
      if (bytes.length < 8) return undefined;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const length = view.getInt32(0);
      const code = view.getInt32(4);
      if (length === 8 && (code === SSL_REQUEST || code === GSS_REQUEST)) return { consumed: 8, answer: Buffer.from('N'), done: false };
      if (code === CANCEL_REQUEST || length < 8 || length > MAX_STARTUP_BYTES) return { consumed: bytes.length, answer: NOTHING, done: true };
      return bytes.length < length ? undefined : { consumed: length, answer: letIn, done: true };
    },
  };
}

const CLIENT_COMPRESS = 0x0020;
const CLIENT_SSL = 0x0800;
const INVENTED_CAPABILITIES = 0x000f_f7ff & ~CLIENT_COMPRESS & ~CLIENT_SSL;

/** HandshakeV10 without TLS and compression: the recorded answers are neither. */
function plainGreeting(recorded: Buffer): Buffer | undefined {
  if (recorded.length < 5) return undefined;
  const length = recorded.readUIntLE(0, 3) + 4;
  const versionEnd = recorded.indexOf(0, 5);
  const capabilities = versionEnd + 1 + 4 + 8 + 1;
  if (recorded[4] !== 10 || versionEnd < 0 || recorded.length < length || capabilities + 2 > length) return undefined;
  const greeting = Buffer.from(recorded.subarray(0, length));
  greeting.writeUInt16LE(greeting.readUInt16LE(capabilities) & ~CLIENT_SSL & ~CLIENT_COMPRESS, capabilities);
  return greeting;
}

function inventedGreeting(): Buffer {
  const capabilities = Buffer.alloc(4);
  capabilities.writeUInt32LE(INVENTED_CAPABILITIES);
  const payload = Buffer.concat([
    Buffer.from([10]), Buffer.from('8.0.30\0'), Buffer.from([1, 0, 0, 0]), Buffer.from('koalakoa'), Buffer.from([0]),
    capabilities.subarray(0, 2), Buffer.from([45, 2, 0]), capabilities.subarray(2), Buffer.from([21]), Buffer.alloc(10),
    Buffer.from('koalakoalako\0'), Buffer.from('mysql_native_password\0'),
  ]);
  return mysqlPacket(0, payload);
}

/** MySQL, "Connection Phase": OK to whatever the client answers the greeting with. */
function mysql(recorded: RecordedLogin | undefined): Login {
  const greeting = recorded === undefined ? undefined : plainGreeting(recorded.server);
  return {
    greeting: greeting ?? inventedGreeting(),
    invented: greeting === undefined,
    step(bytes) {
      if (bytes.length < 4) return undefined;
      const consumed = 4 + (bytes[0] ?? 0) + ((bytes[1] ?? 0) << 8) + ((bytes[2] ?? 0) << 16);
      if (bytes.length < consumed) return undefined;
      return { consumed, answer: mysqlOk((bytes[3] ?? 0) + 1), done: true };
    },
  };
}

/** How a client of `protocol` is let in; undefined where the protocol knows no login, or plays it as ordinary requests. */
export function loginOf(protocol: ProtocolName, recorded: RecordedLogin | undefined): Login | undefined {
  if (protocol === 'postgresql') return postgresql(recorded);
  if (protocol === 'mysql') return mysql(recorded);
  return undefined;
}

/** How many of the server's bytes the recorded login took; 0 where there is none or it never ended. */
export function loginBytes(protocol: ProtocolName, recorded: RecordedLogin): number {
  if (protocol === 'postgresql') return admission(recorded)?.to ?? 0;
  if (protocol !== 'mysql') return 0;
  let at = 0;
  for (let packet = 0; at + 5 <= recorded.server.length; packet += 1) {
    const end = at + 4 + recorded.server.readUIntLE(at, 3);
    if (packet > 0 && recorded.server[at + 4] === 0 && end <= recorded.server.length) return end;
    at = end;
  }
  return 0;
}
