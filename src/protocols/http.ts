/** HTTP/1 as the rest sees it: recognised by a request line or a status line, framed by `http-framer.ts`, named by its first line. */
import { equalsAt, latin1Text, startsWith } from './ascii.ts';
import { HttpFramer } from './http-framer.ts';
import { CR, digits, HTTP_1, isToken, LF, maxMethodChars, METHODS, SP, trimCr } from './http-syntax.ts';
import { looseText, oneLine } from './one-line.ts';
import type { Protocol, Recognition, Summary } from './protocol.ts';

function recogniseRequest(bytes: Uint8Array): Recognition {
  let from = 0;
  while (from < bytes.length && (bytes[from] === CR || bytes[from] === LF)) from++;
  let space = from;
  while (space < bytes.length && space - from <= maxMethodChars && bytes[space] !== SP) {
    if (!isToken(bytes[space]!)) return 'no';
    space++;
  }
  if (space - from > maxMethodChars || (space === from && space < bytes.length)) return 'no';
  if (space >= bytes.length) return 'more';
  const method = latin1Text(bytes.subarray(from, space));
  const target = bytes[space + 1];
  if (METHODS.has(method) && target !== undefined && method !== 'CONNECT') {
    // `/path`, `*`, or a scheme; `COPY x` and `GET key` of other protocols have none of these.
    if (target === 0x2f) return 'yes';
  }
  const end = bytes.indexOf(LF, space);
  if (end < 0) return bytes.length > maxRecogniseLine ? 'no' : 'more';
  const to = trimCr(bytes, from, end);
  return to - 8 > space && bytes[to - 9] === SP && equalsAt(bytes, to - 8, HTTP_1) ? 'yes' : 'no';
}

const maxRecogniseLine = 8192;

function recogniseResponse(bytes: Uint8Array): Recognition {
  const whole = Math.min(bytes.length, HTTP_1.length);
  for (let i = 0; i < whole; i++) if (bytes[i] !== HTTP_1[i]) return 'no';
  return whole < HTTP_1.length ? 'more' : 'yes';
}

function summarise(request: Uint8Array, response: Uint8Array): Summary {
  const line = oneLine(firstLine(request).replace(/ HTTP\/1\.\d$/, ''));
  const status = finalStatus(response);
  return status === undefined ? { text: line } : { text: line, status };
}

function firstLine(bytes: Uint8Array): string {
  return looseText(bytes).trimStart().split('\n', 1)[0]!.trimEnd();
}

/** The status of the first response that is not interim (101 is final). */
function finalStatus(response: Uint8Array): string | undefined {
  let from = 0;
  for (let skipped = 0; skipped < 16; skipped++) {
    while (from < response.length && (response[from] === CR || response[from] === LF)) from++;
    if (!startsWith(response.subarray(from, from + 7), HTTP_1)) return undefined;
    const status = digits(response, from + 9, Math.min(from + 12, response.length));
    if (status < 100) return undefined;
    if (status >= 200 || status === 101) return String(status);
    const end = Buffer.from(response.buffer, response.byteOffset, response.length).indexOf('\n\r\n', from);
    if (end < 0) return undefined;
    from = end + 3;
  }
  return undefined;
}

export const http: Protocol = {
  name: 'http',
  recognise(client, server): Recognition {
    if (client.length === 0) return server.length === 0 ? 'more' : recogniseResponse(server);
    const byRequest = recogniseRequest(client);
    return byRequest === 'more' && server.length > 0 ? recogniseResponse(server) : byRequest;
  },
  framer: () => new HttpFramer(),
  memory: 'none',
  summarise,
};
