/** MySQL and MariaDB as the rest sees them. Framing is in `mysql-framer.ts`, packets in `mysql-packets.ts`. */
import { looseText, oneLine } from './one-line.ts';
import { COM } from './mysql-fields.ts';
import { MysqlFramer } from './mysql-framer.ts';
import { MysqlMemory } from './mysql-memory.ts';
import { readError, readPackets } from './mysql-packets.ts';
import type { Protocol, Recognition, Summary } from './protocol.ts';

const PORT = 3306;
const NAMES: Readonly<Record<number, string>> = {
  1: 'QUIT', 4: 'FIELD LIST', 9: 'STATISTICS', 10: 'PROCESS INFO', 12: 'KILL', 13: 'DEBUG', 14: 'PING', 17: 'CHANGE USER', 18: 'BINLOG DUMP',
  21: 'REGISTER REPLICA', 23: 'EXECUTE', 24: 'LONG DATA', 25: 'CLOSE', 26: 'RESET', 27: 'SET OPTION', 28: 'FETCH', 30: 'BINLOG DUMP', 31: 'RESET CONNECTION', 250: 'BULK EXECUTE',
};
const OF_STATEMENT = new Set<number>([COM.execute, COM.longData, COM.closeStatement, COM.fetch, COM.bulkExecute, 26]);
/** What statements begin with. */
const KEYWORDS = [
  'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'SET', 'SHOW', 'BEGIN', 'COMMIT', 'ROLLBACK', 'REPLACE', 'WITH', 'CALL', 'START', 'CREATE', 'DROP',
  'ALTER', 'USE', '/*',
];
const maxCommandBytes = 1 << 24;

/**
 * By the server's greeting: protocol version 10, a version text of printable characters and a NUL. A connection that is older
 * than the recorder has none: then by its first command, if it goes to MySQL's port, or is a query whose length is right.
 */
function recognise(client: Uint8Array, server: Uint8Array, hint: { readonly serverPort: number }): Recognition {
  if (client.length > 0 && client[3] === 0) return byCommand(client, hint.serverPort === PORT);
  if (server.length === 0) return client.length === 0 ? 'more' : client.length < 4 && client[0] !== 0x16 ? 'more' : 'no';
  return byGreeting(server, hint.serverPort === PORT);
}

function byGreeting(server: Uint8Array, atPort: boolean): Recognition {
  const known = server.length;
  if (known < 5) return (known > 2 && server[2] !== 0) || (known > 3 && server[3] !== 0) ? 'no' : 'more';
  const length = server[0]! | server[1]! << 8 | server[2]! << 16;
  if (length > 4096 || server[3] !== 0) return 'no';
  if (server[4] === 0xff) return atPort ? 'yes' : 'no'; // host blocked, too many connections
  if (server[4] !== 10) return 'no';
  for (let at = 5; at < known; at++) {
    if (server[at] === 0) return at > 7 ? 'yes' : 'no';
    if (server[at]! < 0x20 || server[at]! > 0x7e || at > 255) return 'no';
  }
  return 'more';
}

function byCommand(client: Uint8Array, atPort: boolean): Recognition {
  const length = client[0]! | client[1]! << 8 | client[2]! << 16;
  if (length === 0 || length >= maxCommandBytes) return 'no';
  const command = client[4];
  if (command === undefined) return 'more';
  if (atPort) return command > 0 && (command <= 31 || command === COM.bulkExecute) ? 'yes' : 'no';
  if (command !== COM.query && command !== COM.prepare) return 'no';
  const whole = client.length - 4 - length;
  const text = looseText(client.subarray(5, 64)).trimStart().toUpperCase();
  if (whole > 0) return 'no';
  if (KEYWORDS.some((keyword) => text.startsWith(keyword))) return whole === 0 ? 'yes' : 'more';
  return whole < 0 && KEYWORDS.some((keyword) => keyword.startsWith(text)) ? 'more' : 'no';
}

function textOf(request: Uint8Array): string {
  const [packet, next] = readPackets(request.length > 1 << 16 ? request.subarray(0, 1 << 16) : request);
  if (packet === undefined) return 'MySQL';
  const { sequence, body } = packet;
  const command = body[0] ?? 0;
  const rest = body.subarray(1);
  if (sequence > 0) return login(request, body);
  if (command === COM.query) return looseText(rest);
  // Prepared and executed in one: the form in which replay asks.
  if (command === COM.prepare) return next?.sequence === 0 ? looseText(rest) : `PREPARE ${looseText(rest)}`;
  if (command === COM.initDb) return `USE ${looseText(rest)}`;
  const name = NAMES[command] ?? `command ${command}`;
  if (!OF_STATEMENT.has(command) || body.length < 5) return name;
  return `${name} statement ${new DataView(rest.buffer, rest.byteOffset).getUint32(0, true)}`;
}

/** A packet in the course of a login, or a file's content: in the answer to LOCAL INFILE the last packet is empty. */
function login(request: Uint8Array, body: Uint8Array): string {
  const empty = request.length >= 4 && request.at(-4) === 0 && request.at(-3) === 0 && request.at(-2) === 0;
  if (empty) return `LOCAL INFILE data (${request.length} bytes)`;
  if (body.length < 34) return 'login';
  const user = body.subarray(32, Math.max(32, body.indexOf(0, 32)));
  return /^[\x20-\x7e]+$/.test(looseText(user)) ? `login user=${looseText(user)}` : 'login';
}

function summarise(request: Uint8Array, response: Uint8Array): Summary {
  const text = oneLine(textOf(request));
  let packets = 0;
  for (const { body } of readPackets(response)) {
    const error = readError(body);
    if (error !== undefined) return { text, status: `ERROR ${error.code}` };
    packets++;
  }
  return packets === 0 ? { text } : { text, status: 'OK' };
}

export const mysql: Protocol = { name: 'mysql', recognise, framer: () => new MysqlFramer(), memory: () => new MysqlMemory(), summarise };
