/** The fields of a head that say how long its message is and what comes after it; all others are passed over. */
import { asciiLower, latin1 } from './ascii.ts';
import type { HttpStream } from './http-stream.ts';
import { BAD_LENGTH, digits, HTAB, isBlank, SP, TWO_LENGTHS, valueOf } from './http-syntax.ts';
import { oneLine } from './one-line.ts';

const CONTENT_LENGTH = latin1('content-length');
const TRANSFER_ENCODING = latin1('transfer-encoding');
const EXPECT = latin1('expect');
const UPGRADE = latin1('upgrade');

/** A line of a head that is not empty: takes what frames its message. */
export function readField(stream: HttpStream, bytes: Uint8Array, from: number, to: number): void {
  const first = bytes[from]!;
  if (first === SP || first === HTAB) {
    foldedLine(stream, bytes, from, to);
    return;
  }
  stream.folding = 'other';
  switch (first | 0x20) {
    case 0x63: {
      const value = valueOf(bytes, from, to, CONTENT_LENGTH);
      if (value >= 0) {
        stream.folding = 'content-length';
        contentLength(stream, bytes, value, to);
      }
      return;
    }
    case 0x74: {
      const value = valueOf(bytes, from, to, TRANSFER_ENCODING);
      if (value < 0) return;
      stream.folding = 'transfer-encoding';
      const more = asciiLower(bytes, value, to);
      stream.transfer = stream.transfer === undefined ? more : `${stream.transfer},${more}`;
      return;
    }
    case 0x65: {
      const value = stream.side === 'client' ? valueOf(bytes, from, to, EXPECT) : -1;
      if (value >= 0 && asciiLower(bytes, value, to).includes('100-continue')) stream.expects = true;
      return;
    }
    case 0x75: {
      const value = stream.status === 101 && stream.side === 'server' ? valueOf(bytes, from, to, UPGRADE) : -1;
      if (value >= 0) stream.upgrade = oneLine(asciiLower(bytes, value, Math.min(to, value + 64)));
    }
  }
}

function foldedLine(stream: HttpStream, bytes: Uint8Array, from: number, to: number): void {
  if (stream.folding === 'content-length') contentLength(stream, bytes, from, to);
  else if (stream.folding === 'transfer-encoding') stream.transfer += asciiLower(bytes, from, to);
}

/** RFC 9110 §8.6: a number, or the same number several times; anything else can't be framed. */
function contentLength(stream: HttpStream, bytes: Uint8Array, from: number, to: number): void {
  let at = from;
  for (;;) {
    while (at < to && isBlank(bytes[at]!)) at++;
    if (at === to) return;
    let end = at;
    while (end < to && bytes[end]! >= 48 && bytes[end]! <= 57) end++;
    const value = digits(bytes, at, end);
    let after = end;
    while (after < to && isBlank(bytes[after]!)) after++;
    if (value < 0 || (after < to && bytes[after] !== 44) || (stream.contentLength >= 0 && stream.contentLength !== value)) {
      // A Transfer-Encoding overrides it, so the message may still be framed: judged at the head's end.
      stream.contentLength = value < 0 || (after < to && bytes[after] !== 44) ? BAD_LENGTH : TWO_LENGTHS;
      return;
    }
    stream.contentLength = value;
    at = after + 1;
    if (at >= to) return;
  }
}
