/** The client's first packet of a MySQL login: HandshakeResponse41 (MySQL Internals, "Connection Phase Packets"). */
import { mysqlPacket } from './mysql-packets.ts';
import { Fields } from './postgresql-messages.ts';

/** What a client's HandshakeResponse41 says, but for its proof, which signs the server's challenge, and what it tells of itself (its process id). */
export interface HandshakeResponse {
  readonly characterSet: number;
  readonly user: string;
  /** '' where it names none. */
  readonly database: string;
}

const CONNECT_WITH_DB = 0x0008, PROTOCOL_41 = 0x0200, SECURE_CONNECTION = 0x8000, AUTH_LENENC = 0x20_0000;
/** Header, capabilities, longest packet, character set, and 23 bytes that are zero or MariaDB's. */
const USER_AT = 36;

/** `request`: the client's first packet after the greeting, its header included; undefined: it is none. */
export function readHandshakeResponse(request: Uint8Array): HandshakeResponse | undefined {
  if (request.length < USER_AT || request[3] === 0) return undefined;
  const capabilities = new DataView(request.buffer, request.byteOffset).getUint32(4, true);
  if ((capabilities & PROTOCOL_41) === 0) return undefined;
  const fields = new Fields(request.subarray(USER_AT));
  const user = fields.text();
  if ((capabilities & (AUTH_LENENC | SECURE_CONNECTION)) !== 0) fields.take(fields.int(1));
  else fields.text();
  const database = (capabilities & CONNECT_WITH_DB) === 0 ? '' : fields.text();
  return { characterSet: request[12]!, user, database };
}

/** The login that says the same of user, database and character set, and nothing else; undefined: it is none. */
export function plainLogin(request: Uint8Array): Uint8Array | undefined {
  const said = readHandshakeResponse(request);
  if (said === undefined) return undefined;
  const fixed = Buffer.alloc(USER_AT - 4);
  fixed.writeUInt32LE(PROTOCOL_41 | SECURE_CONNECTION | CONNECT_WITH_DB);
  fixed[8] = said.characterSet;
  return mysqlPacket(1, Buffer.concat([fixed, Buffer.from(`${said.user}\0\0${said.database}\0`)]));
}
