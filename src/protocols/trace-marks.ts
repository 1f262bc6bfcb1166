/**
 * Ids by which applications say which request a message is for: W3C `traceparent` (https://www.w3.org/TR/trace-context),
 * B3 in one header or several, `uber-trace-id`, X-Ray's, Google's and Datadog's, request and correlation ids, and
 * `traceparent` in SQL comments (sqlcommenter). `tracestate` rides along with these and names nothing by itself.
 */
import { latin1, latin1Text } from './ascii.ts';
import { readPairs, readStreams } from './fastcgi-records.ts';
import type { Field } from './hpack.ts';
import { COLON, isBlank, LF, trimCr } from './http-syntax.ts';
import type { ProtocolName } from './protocol.ts';

export interface TraceMarks {
  /** 32 lower-case hexadecimal digits; shorter ids are padded with zeros in front. */
  readonly traceId?: string;
  /** 16 of them: the span that the message belongs to, as its sender names it. */
  readonly spanId?: string;
  readonly parentSpanId?: string;
  /** Everything in it that names a request: its trace id, request ids, correlation ids. */
  readonly ids: readonly string[];
}

/** Nearly every message. */
export const NO_MARKS: TraceMarks = Object.freeze({ ids: Object.freeze([]) });

/** So much of a message is looked at, from its beginning and, where SQL's comments are, from its end. */
const maxMarkedBytes = 16_384;
const maxIdChars = 128;
const minIdChars = 6;

type Read = (value: string, into: Found) => void;

interface Found {
  traceId?: string;
  spanId?: string;
  parentSpanId?: string;
  ids: string[];
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/i;
const B3 = /^([0-9a-f]{16}(?:[0-9a-f]{16})?)-([0-9a-f]{16})(?:-[01d])?(?:-([0-9a-f]{16}))?$/i;
const UBER = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):([0-9a-f]{1,16}):/i;
const AMAZON = /\bRoot=1-([0-9a-f]{8})-([0-9a-f]{24})\b/i;
const AMAZON_PARENT = /\bParent=([0-9a-f]{16})\b/i;
const GOOGLE = /^([0-9a-f]{32})(?:\/(\d{1,20}))?/i;
const HEX = /^[0-9a-f]{1,32}$/i;
const DECIMAL = /^\d{1,20}$/;

const asTrace = (hex: string): string => hex.toLowerCase().padStart(32, '0');
const asSpan = (hex: string): string => hex.toLowerCase().padStart(16, '0');
const isZero = (hex: string): boolean => /^0*$/.test(hex);

function trace(into: Found, traceId: string, spanId?: string, parentSpanId?: string): void {
  if (isZero(traceId)) return;
  const id = asTrace(traceId);
  if (!into.ids.includes(id)) into.ids.push(id);
  if (into.traceId !== undefined && into.traceId !== id) return;
  into.traceId = id;
  if (spanId !== undefined && !isZero(spanId)) into.spanId ??= asSpan(spanId);
  if (parentSpanId !== undefined && !isZero(parentSpanId)) into.parentSpanId ??= asSpan(parentSpanId);
}

function requestId(value: string, into: Found): void {
  const id = value.toLowerCase();
  if (id.length >= minIdChars && id.length <= maxIdChars && !into.ids.includes(id)) into.ids.push(id);
}

const READERS = new Map<string, Read>([
  ['traceparent', (value, into) => {
    const [, traceId, spanId] = TRACEPARENT.exec(value) ?? [];
    if (traceId !== undefined) trace(into, traceId, spanId);
  }],
  ['b3', (value, into) => {
    const [, traceId, spanId, parentId] = B3.exec(value) ?? [];
    if (traceId !== undefined) trace(into, traceId, spanId, parentId);
  }],
  ['x-b3-traceid', (value, into) => { if (HEX.test(value)) trace(into, value); }],
  ['x-b3-spanid', (value, into) => { if (HEX.test(value) && value.length <= 16) into.spanId ??= asSpan(value); }],
  ['x-b3-parentspanid', (value, into) => { if (HEX.test(value) && value.length <= 16) into.parentSpanId ??= asSpan(value); }],
  ['uber-trace-id', (value, into) => {
    const [, traceId, spanId, parentId] = UBER.exec(value.replace(/%3a/gi, ':')) ?? [];
    if (traceId !== undefined) trace(into, traceId, spanId, parentId);
  }],
  ['x-amzn-trace-id', (value, into) => {
    const [, time, rest] = AMAZON.exec(value) ?? [];
    if (time !== undefined) trace(into, `${time}${rest}`, AMAZON_PARENT.exec(value)?.[1]);
  }],
  ['x-cloud-trace-context', (value, into) => {
    const [, traceId, span] = GOOGLE.exec(value) ?? [];
    if (traceId !== undefined) trace(into, traceId, span === undefined ? undefined : BigInt(span).toString(16));
  }],
  ['x-datadog-trace-id', (value, into) => { if (DECIMAL.test(value)) trace(into, BigInt(value).toString(16)); }],
  ['x-datadog-parent-id', (value, into) => { if (DECIMAL.test(value)) into.spanId ??= asSpan(BigInt(value).toString(16)); }],
  ...['x-request-id', 'request-id', 'x-correlation-id', 'correlation-id', 'x-trace-id', 'x-transaction-id'].map((name): [string, Read] => [name, requestId]),
]);
const LONGEST_NAME = Math.max(...[...READERS.keys()].map((name) => name.length));
/** Of the first three letters of a name, in lower case; the colon is one for `b3`. */
const beginning = (a: number, b: number, c: number): number => (a | 0x20) << 16 | (b | 0x20) << 8 | (c | 0x20);
const BEGINNINGS = new Set([...READERS.keys()].map((name) => beginning(name.charCodeAt(0), name.charCodeAt(1), name.length > 2 ? name.charCodeAt(2) : COLON)));
const SQL = new Set<ProtocolName>(['postgresql', 'mysql']);
const SQL_MARK = latin1("traceparent='");
const TRACEPARENT_CHARS = 55;

/** Its first (last) bytes, at most `max`. */
interface Message {
  head(max: number): Uint8Array;
  tail(max: number): Uint8Array;
}

/** `fields`: the request's header fields, where its bytes don't tell them. */
export function traceMarks(protocol: ProtocolName, request: Message, fields?: readonly Field[]): TraceMarks {
  if (fields !== undefined) return ofFields(fields);
  if (protocol === 'http') return ofHead(request.head(maxMarkedBytes));
  if (SQL.has(protocol)) return ofSql(request.head(maxMarkedBytes)) ?? ofSql(request.tail(maxMarkedBytes)) ?? NO_MARKS;
  return protocol === 'fastcgi' ? ofParams(request.head(maxMarkedBytes)) : NO_MARKS;
}

function ofFields(fields: readonly Field[]): TraceMarks {
  let found: Found | undefined;
  for (const [name, value] of fields) READERS.get(name)?.(value.trim(), (found ??= { ids: [] }));
  return found ?? NO_MARKS;
}

/** The header fields up to the empty line. Any that can't be read is passed over. */
function ofHead(bytes: Uint8Array): TraceMarks {
  let found: Found | undefined;
  let at = bytes.indexOf(LF) + 1;
  while (at > 0 && at < bytes.length) {
    const next = bytes.indexOf(LF, at);
    const end = next < 0 ? bytes.length : next;
    if (BEGINNINGS.has(beginning(bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number))) {
      const read = READERS.get(nameAt(bytes, at, end));
      if (read !== undefined) {
        const value = latin1Text(bytes, bytes.indexOf(COLON, at) + 1, trimCr(bytes, at, end)).trim();
        read(value, (found ??= { ids: [] }));
      }
    } else if (trimCr(bytes, at, end) === at) break;
    at = next < 0 ? 0 : next + 1;
  }
  return found ?? NO_MARKS;
}

function nameAt(bytes: Uint8Array, from: number, end: number): string {
  let name = '';
  const until = Math.min(end, from + LONGEST_NAME + 1);
  for (let at = from; at < until; at++) {
    const byte = bytes[at] as number;
    if (byte === COLON || isBlank(byte)) return name;
    name += String.fromCharCode(byte >= 65 && byte <= 90 ? byte | 0x20 : byte);
  }
  return '';
}

function ofSql(bytes: Uint8Array): TraceMarks | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = buffer.indexOf(SQL_MARK);
  if (at < 0) return undefined;
  const from = at + SQL_MARK.length;
  const found: Found = { ids: [] };
  READERS.get('traceparent')?.(latin1Text(bytes, from, from + TRACEPARENT_CHARS), found);
  return found.traceId === undefined ? undefined : found;
}

function ofParams(bytes: Uint8Array): TraceMarks {
  let found: Found | undefined;
  for (const [name, value] of readPairs(readStreams(bytes).params)) {
    if (!name.startsWith('HTTP_')) continue;
    READERS.get(name.slice(5).toLowerCase().replaceAll('_', '-'))?.(value, (found ??= { ids: [] }));
  }
  return found ?? NO_MARKS;
}
