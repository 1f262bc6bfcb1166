/** PostgreSQL as the rest sees it. Framing is in `postgresql-framer.ts`, messages in `postgresql-messages.ts`. */
import { oneLine } from './one-line.ts';
import { CANCEL, GSS, maxStartupBytes, PostgresqlFramer, SSL } from './postgresql-framer.ts';
import { errorFields, Fields, readMessages } from './postgresql-messages.ts';
import { PostgresqlMemory } from './postgresql-memory.ts';
import type { Protocol, Recognition, Summary } from './protocol.ts';

const PORT = 5432;
const MID_LIFE = new Set([...'QPBEDCSHF']);

/**
 * By the startup packet. A connection that is older than the recorder has none: then by its first message, which must be
 * of a known type and whole, and end as its type does, or go to PostgreSQL's port.
 */
function recognise(client: Uint8Array, server: Uint8Array, hint: { readonly serverPort: number }): Recognition {
  if (client.length === 0) return server.length === 0 ? 'more' : 'no'; // it never speaks first
  const view = new DataView(client.buffer, client.byteOffset, client.length);
  if (client[0] !== 0) {
    if (!MID_LIFE.has(String.fromCharCode(client[0]!))) return 'no';
    if (client.length < 5) return client.slice(1, 3).every((byte) => byte === 0) || hint.serverPort === PORT ? 'more' : 'no';
    const length = view.getUint32(1);
    if (length < 4 || length > 1 << 24) return 'no';
    if (hint.serverPort === PORT) return 'yes';
    if (client.length < length + 1) return 'more';
    return endsRight(client.subarray(0, length + 1)) ? 'yes' : 'no';
  }
  if (client.length < 8) return client.length >= 2 && client[1] !== 0 ? 'no' : 'more';
  const length = view.getUint32(0);
  const request = view.getUint32(4);
  if (length < 8 || length > maxStartupBytes) return 'no';
  return (request >>> 16 === 3 && (request & 0xffff) <= 16) || request === SSL || request === GSS || request === CANCEL ? 'yes' : 'no';
}

function endsRight(message: Uint8Array): boolean {
  const type = String.fromCharCode(message[0]!);
  if (type === 'S' || type === 'H') return message.length === 5;
  if (type === 'Q') return message.length > 6 && message.indexOf(0, 5) === message.length - 1;
  const fields = new Fields(message.subarray(5));
  if (type === 'P') {
    fields.text();
    fields.text();
    fields.take(fields.int(2) * 4);
    return fields.whole;
  }
  if (type === 'D' || type === 'C') return (message[5] === 0x53 || message[5] === 0x50) && message.at(-1) === 0;
  if (type === 'E') {
    fields.text();
    fields.int(4);
    return fields.whole;
  }
  return false; // too little to go by
}

function startup(body: Uint8Array): string {
  const fields = new Fields(body);
  const request = fields.int(4);
  if (request === SSL) return 'SSLRequest';
  if (request === GSS) return 'GSSENCRequest';
  if (request === CANCEL) return 'CancelRequest';
  const parameters = new Map<string, string>();
  for (let key = fields.text(); key !== '' && fields.whole; key = fields.text()) parameters.set(key, fields.text());
  const user = parameters.get('user') ?? '';
  return `startup user=${user} database=${parameters.get('database') ?? user}`;
}

interface Said {
  readonly statements: string[];
  prepared: string | undefined;
  executes: boolean;
  other: string | undefined;
  copied: number;
}

function readRequest(request: Uint8Array): Said {
  const said: Said = { statements: [], prepared: undefined, executes: false, other: undefined, copied: 0 };
  for (const { type, body } of readMessages(request, 'client')) {
    const fields = new Fields(body);
    if (type === 'startup') said.other ??= startup(body);
    else if (type === 'Q') {
      said.statements.push(fields.text());
      said.executes = true;
    } else if (type === 'P') {
      fields.text();
      said.statements.push(fields.text());
    } else if (type === 'B') {
      fields.text();
      said.prepared ??= fields.text();
    } else if (type === 'E' || type === 'F') said.executes = true;
    else if (type === 'd') said.copied += body.length;
    else if (type === 'p') said.other ??= 'password';
    else if (type === 'X') said.other ??= 'terminate';
    else if (type === 'c' || type === 'f') said.other ??= type === 'c' ? 'COPY data' : 'COPY given up';
    else if (type === 'C') said.other ??= `CLOSE ${new Fields(body.subarray(1)).text()}`;
    else if (type === 'S') said.other ??= 'Sync';
  }
  return said;
}

function textOf(said: Said): string {
  const [first] = said.statements;
  if (first !== undefined) return `${said.executes ? '' : 'PREPARE '}${first}${said.statements.length > 1 ? ' …' : ''}`;
  if (said.copied > 0) return `COPY data (${said.copied} bytes)`;
  if (said.prepared !== undefined) return `EXECUTE ${said.prepared}`;
  return said.other ?? 'PostgreSQL';
}

function summarise(request: Uint8Array, response: Uint8Array): Summary {
  const text = oneLine(textOf(readRequest(request)));
  let status: string | undefined;
  for (const { type, body } of readMessages(response, 'server')) {
    if (type === 'E') return { text, status: oneLine(`ERROR ${errorFields(body).get('C') ?? ''}`) };
    if (type === 'byte') return { text, status: oneLine(String.fromCharCode(body[0]!)) };
    if (type === 'Z' || type === 'C' || type === '1') status = 'OK';
  }
  return status === undefined ? { text } : { text, status };
}

export const postgresql: Protocol = { name: 'postgresql', recognise, framer: () => new PostgresqlFramer(), memory: () => new PostgresqlMemory(), summarise };
