/**
 * What a message says, as text in which words stand apart: codings undone, values without the lengths and types around them,
 * without the header fields and words that say nothing of the matter. For finding words again, not for reading.
 */
import { latin1Text } from './ascii.ts';
import { readPairs, readStreams } from './fastcgi-records.ts';
import type { Field } from './hpack.ts';
import { bodyOf } from './http2-message.ts';
import { readRequest, readResponse } from './http-message.ts';
import type { HttpMessage } from './http-message.ts';
import { Fields, readMessages } from './postgresql-messages.ts';
import type { ProtocolName, Side } from './protocol.ts';

/** Of a body that is compressed. */
const maxDecodedBytes = 1 << 18;

/** Fields that are the same in any message, or tell of the message and not of the matter. */
const IDLE = new Set([
  'accept', 'accept-charset', 'accept-encoding', 'accept-language', 'accept-ranges', 'age', 'alt-svc', 'cache-control', 'connection', 'content-encoding',
  'content-length', 'content-type', 'date', 'etag', 'expires', 'host', 'keep-alive', 'last-modified', 'pragma', 'server', 'transfer-encoding', 'upgrade',
  'user-agent', 'vary', 'via', 'x-powered-by',
]);

/** `bytes`: the first of the message; `fields`: its header fields, where they don't tell them. Empty where nothing can be read (TLS). */
export function legible(protocol: ProtocolName, side: Side, bytes: Uint8Array, fields?: readonly Field[]): string {
  if (bytes.length === 0) return '';
  switch (protocol) {
    case 'tls': return '';
    case 'http2': return fields === undefined ? '' : ofHttp2(fields, bytes);
    case 'http': return ofHttp(side === 'client' ? readRequest(bytes, maxDecodedBytes) : readResponse(bytes, false, maxDecodedBytes)) ?? latin1Text(bytes);
    case 'redis': return latin1Text(bytes).replace(/[$*:%~>]\d+\r\n/g, (head) => (head[0] === ':' ? ` ${head}` : ' '));
    case 'postgresql': return ofPostgresql(side, bytes);
    case 'fastcgi': return ofFastcgi(side, bytes);
    default: return latin1Text(bytes);
  }
}

const unescaped = (target: string): string => target.replace(/%[0-9a-f]{2}/gi, (escaped) => String.fromCharCode(parseInt(escaped.slice(1), 16)));

function ofHttp(message: HttpMessage | undefined): string | undefined {
  if (message === undefined) return undefined;
  const fields = message.headers.filter(([name]) => !IDLE.has(name)).map(([, value]) => value);
  // What a response begins with is its status.
  const target = message.start[0].startsWith('HTTP/') ? '' : unescaped(message.start[1]);
  return [target, ...fields, latin1Text(message.body)].join('\n');
}

function ofHttp2(fields: readonly Field[], bytes: Uint8Array): string {
  const said = fields.filter(([name]) => !IDLE.has(name) && (name === ':path' || !name.startsWith(':'))).map(([name, value]) => (name === ':path' ? unescaped(value) : value));
  return [...said, latin1Text(bodyOf(bytes))].join('\n');
}

function ofFastcgi(side: Side, bytes: Uint8Array): string {
  const { params, stdin, stdout } = readStreams(bytes);
  if (side === 'server') return latin1Text(stdout);
  const pairs = readPairs(params).filter(([name]) => name === 'REQUEST_URI' || (name.startsWith('HTTP_') && !IDLE.has(name.slice(5).toLowerCase().replaceAll('_', '-'))));
  return [...pairs.map(([, value]) => value), latin1Text(stdin)].join('\n');
}

function ofPostgresql(side: Side, bytes: Uint8Array): string {
  const said: string[] = [];
  for (const { type, body } of readMessages(bytes, side)) {
    const fields = new Fields(body);
    if (side === 'client') {
      if (type === 'Q') said.push(latin1Text(body));
      else if (type === 'P') {
        fields.text();
        said.push(fields.text());
      } else if (type === 'B') {
        fields.text();
        fields.text();
        for (let formats = fields.int(2); formats > 0 && fields.whole; formats -= 1) fields.int(2);
        values(fields, said);
      } else if (type === 'd') said.push(latin1Text(body));
    } else if (type === 'D') values(fields, said);
    else if (type === 'd') said.push(latin1Text(body));
  }
  return said.join('\n');
}

function values(fields: Fields, said: string[]): void {
  for (let count = fields.int(2); count > 0 && fields.whole; count -= 1) {
    const length = fields.int(4);
    if (length > 0) said.push(valueText(fields.take(length)));
  }
}

/** Integers and uuids in binary as they are written; what else is binary as it stands. */
function valueText(bytes: Uint8Array): string {
  const { length } = bytes;
  if (![4, 8, 16].includes(length) || bytes.every((byte) => byte >= 32 && byte < 127)) return latin1Text(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  if (length === 4) return String(view.getInt32(0));
  if (length === 8) return String(view.getBigInt64(0));
  return Buffer.from(bytes).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
