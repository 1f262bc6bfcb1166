/** An HTTP/1 message out of the bytes of one talk: head taken apart, transfer and content codings undone. Never throws. */
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import { isChunked } from './http-syntax.ts';

export type Header = readonly [name: string, value: string];

export interface HttpMessage {
  /** `GET /a HTTP/1.1` or `HTTP/1.1 200 OK`, split at its first two spaces. */
  readonly start: readonly [string, string, string];
  /** Names in lower case, in order. Trailers follow. */
  readonly headers: readonly Header[];
  /** Transfer coding undone, content codings too where `decoded`. */
  readonly body: Uint8Array;
  readonly decoded: boolean;
  /** The body is as long as the head says, its last chunk is there. */
  readonly whole: boolean;
  /** Statuses of the interim responses before it. */
  readonly interim: readonly string[];
  /** Bytes after the message: a tunnel's, or what was not framed. */
  readonly rest: Uint8Array;
}

/** A body that decodes to more than this is compared as it was sent. */
export const maxDecodedBytes = 64 << 20;

interface Head { readonly start: readonly [string, string, string]; readonly headers: Header[]; readonly end: number }

function headAt(bytes: Buffer, from: number): Head | undefined {
  while (bytes[from] === 13 || bytes[from] === 10) from++;
  const crlf = bytes.indexOf('\n\r\n', from);
  const lf = bytes.indexOf('\n\n', from);
  const bare = lf >= 0 && (crlf < 0 || lf < crlf);
  const at = bare ? lf : crlf;
  if (at < 0) return undefined;
  const text = bytes.toString('latin1', from, at);
  const unfolded = text.includes('\n ') || text.includes('\n\t') ? text.replace(/\r?\n[ \t]+/g, ' ') : text;
  const [first, ...lines] = unfolded.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  const [one = '', two = '', ...three] = (first ?? '').split(' ');
  const headers = lines.map((line): Header => {
    const colon = line.indexOf(':');
    if (colon < 0) return [line.toLowerCase(), ''];
    // Mostly one blank, which needs no looking for more.
    return [trimmed(line.slice(0, colon)).toLowerCase(), trimmed(line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1))];
  });
  return { start: [one, two, three.join(' ')], headers, end: at + (bare ? 2 : 3) };
}

/** Without optional white space (RFC 9110 §5.6.3), and no other. */
const trimmed = (text: string): string => (isSpace(text.charCodeAt(0)) || isSpace(text.charCodeAt(text.length - 1)) ? text.replace(/^[ \t]+|[ \t]+$/g, '') : text);
const isSpace = (code: number): boolean => code === 32 || code === 9;

const last = (headers: readonly Header[], name: string): string | undefined => headers.findLast(([header]) => header === name)?.[1];

/** A request; undefined when it is none that is whole up to its body. `maxBytes`: of a body that is decoded. */
export function readRequest(bytes: Uint8Array, maxBytes = maxDecodedBytes): HttpMessage | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const head = headAt(buffer, 0);
  if (head === undefined || !/^HTTP\/1\.\d$/.test(head.start[2])) return undefined;
  return message(buffer, head, 'none', [], maxBytes);
}

/** The final response (interim ones are skipped; 101 is final). `bodiless`: it answers a HEAD. */
export function readResponse(bytes: Uint8Array, bodiless: boolean, maxBytes = maxDecodedBytes): HttpMessage | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const interim: string[] = [];
  let from = 0;
  for (;;) {
    const head = headAt(buffer, from);
    if (head === undefined || !/^HTTP\/1\.\d$/.test(head.start[0])) return undefined;
    const status = Number(head.start[1]);
    if (status >= 100 && status < 200 && status !== 101) {
      interim.push(head.start[1]);
      from = head.end;
      continue;
    }
    return message(buffer, head, bodiless || status === 101 || status === 204 || status === 304 ? 'bodiless' : 'rest', interim, maxBytes);
  }
}

function message(bytes: Buffer, head: Head, otherwise: 'none' | 'bodiless' | 'rest', interim: readonly string[], maxBytes: number): HttpMessage {
  const { headers } = head;
  const transfers = headers.filter(([name]) => name === 'transfer-encoding');
  const transfer = transfers.length === 0 ? '' : transfers.map(([, value]) => value.toLowerCase()).join(',');
  const length = last(headers, 'content-length');
  let body: Uint8Array = bytes.subarray(head.end, head.end);
  let end = head.end;
  let whole = true;
  if (otherwise === 'bodiless') {
    // whatever the headers say
  } else if (transfer !== '' && isChunked(transfer)) {
    const chunks = dechunk(bytes, head.end);
    body = chunks.body;
    end = chunks.end;
    whole = chunks.whole;
    headers.push(...chunks.trailers);
  } else if (length !== undefined && /^\d{1,15}$/.test(length)) {
    end = Math.min(bytes.length, head.end + Number(length));
    body = bytes.subarray(head.end, end);
    whole = body.length === Number(length);
  } else if (otherwise === 'rest') {
    end = bytes.length;
    body = bytes.subarray(head.end);
  }
  const plain = undo(body, last(headers, 'content-encoding'), maxBytes);
  return { start: head.start, headers, body: plain ?? body, decoded: plain !== undefined, whole, interim, rest: bytes.subarray(end) };
}

function dechunk(bytes: Buffer, from: number): { body: Uint8Array; end: number; trailers: Header[]; whole: boolean } {
  const parts: Uint8Array[] = [];
  let at = from;
  for (;;) {
    const line = bytes.indexOf(10, at);
    const size = line < 0 ? NaN : parseInt(bytes.toString('latin1', at, line), 16);
    if (!(size >= 0)) return { body: Buffer.concat(parts), end: at, trailers: [], whole: false }; // broken off: what was there
    at = line + 1;
    if (size === 0) break;
    parts.push(bytes.subarray(at, at + size));
    at = Math.min(bytes.length, at + size);
    if (bytes[at] === 13) at++;
    if (bytes[at] === 10) at++;
  }
  const trailers: Header[] = [];
  for (;;) {
    const line = bytes.indexOf(10, at);
    if (line < 0) return { body: Buffer.concat(parts), end: at, trailers, whole: false };
    const text = bytes.toString('latin1', at, line).trim();
    at = line + 1;
    if (text === '') return { body: Buffer.concat(parts), end: at, trailers, whole: true };
    const colon = text.indexOf(':');
    trailers.push([text.slice(0, Math.max(0, colon)).toLowerCase(), text.slice(colon + 1).trim()]);
  }
}

/** Undoes a Content-Encoding, several in turn; undefined when it can't (unknown coding, broken, beyond the cap). */
function undo(body: Uint8Array, encoding: string | undefined, maxOutputLength: number): Uint8Array | undefined {
  if (encoding === undefined || body.length === 0) return body;
  const codings = encoding.toLowerCase().split(',').map((name) => name.trim()).filter((name) => name !== '' && name !== 'identity');
  const options = { maxOutputLength };
  let plain = body;
  try {
    for (const coding of codings.reverse()) {
      if (coding === 'gzip' || coding === 'x-gzip') plain = gunzipSync(plain, options);
      else if (coding === 'br') plain = brotliDecompressSync(plain, options);
      else if (coding === 'deflate') plain = (plain[0]! & 0x0f) === 8 ? inflateSync(plain, options) : inflateRawSync(plain, options); // with and without zlib's header
      else return undefined;
    }
    return plain;
  } catch {
    return undefined;
  }
}
