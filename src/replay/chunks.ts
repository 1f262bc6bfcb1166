/** koala's `chunk` strategy: a live request in pieces, looked for in each recorded one in order. It knows no protocol. */
import { bestOf } from './best.ts';
import type { Found, RecordedCall } from './calls.ts';

const CHUNK_BYTES = 16;
/** Longer requests are looked at from their first readable run that is longer than `MIN_READABLE` on. */
const LONG_BYTES = 256;
const MIN_READABLE = 8;
/** The least share of pieces found: on a connection that matched nothing yet, and after that. */
const FRESH_THRESHOLD = 0.1;
const LATER_THRESHOLD = 0.85;

function piecesOf(request: Buffer): Buffer[] {
  const from = request.length > LONG_BYTES ? Math.max(0, readableFrom(request)) : 0;
  const pieces: Buffer[] = [];
  for (let at = from; at < request.length; at += CHUNK_BYTES) pieces.push(request.subarray(at, at + CHUNK_BYTES));
  return pieces;
}

function readableFrom(request: Buffer): number {
  let run = 0;
  for (let at = 0; at < request.length; at += 1) {
    const byte = request[at]!;
    run = byte >= 0x20 && byte < 0x7f ? run + 1 : 0;
    if (run > MIN_READABLE) return at - MIN_READABLE;
  }
  return 0;
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * The best of `calls` and the share of pieces found in it, the first piece weighing as much as all where the connection is
 * `fresh` (so it can exceed 1); undefined below the threshold. Among equals the earliest.
 */
export function chunkScores(calls: readonly RecordedCall[], request: Uint8Array, fresh: boolean): Found | undefined {
  const pieces = piecesOf(bufferOf(request));
  const best = bestOf(calls, (call) => {
    const recorded = bufferOf(call.request);
    let at = 0;
    let hits = 0;
    pieces.forEach((piece, index) => {
      const found = recorded.indexOf(piece, at);
      if (found < 0) return;
      at = found + piece.length;
      hits += index === 0 && fresh ? pieces.length : 1;
    });
    return pieces.length === 0 ? 0 : hits / pieces.length;
  });
  return best !== undefined && best.score >= (fresh ? FRESH_THRESHOLD : LATER_THRESHOLD) ? best : undefined;
}
