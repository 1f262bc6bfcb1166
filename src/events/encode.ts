/**
 * Payload samples straight from ring memory into a protobuf Event of recording.proto: the recorder's hot path. One copy,
 * no allocation. Field numbers and wire types are recording.proto's; a test decodes the result with protobufjs.
 */
import { varintSize, writeVarint, zigzag } from '../bytes/varint.ts';
import {
  OFFSET_SAMPLE_CAPTURED, OFFSET_SAMPLE_CAUSE, OFFSET_SAMPLE_CONNECTION, OFFSET_SAMPLE_CONTEXT,
  OFFSET_SAMPLE_DIRECTION, OFFSET_SAMPLE_FLAGS, OFFSET_SAMPLE_KIND, OFFSET_SAMPLE_LENGTH, OFFSET_SAMPLE_POSITION,
  OFFSET_SAMPLE_TGID, OFFSET_SAMPLE_TID, SAMPLE_ACCEPTED, SAMPLE_DATA, SAMPLE_FROM_PACKET, SAMPLE_INTENT, SAMPLE_MORE,
  SAMPLE_SENT, SIZE_SAMPLE,
} from './layout.ts';
import { readU64 } from './sample.ts';

/** An encoded Event is at most this much longer than its payload. */
export const MAX_EVENT_HEAD = 96;

/** Up to here a loop over words is quicker than making the view that a native copy needs. */
const WORD_COPY_MAX = 320;

/** Whether `encodeSample` takes this kind. */
export function isHotKind(kind: number): boolean {
  return kind === SAMPLE_DATA || kind === SAMPLE_INTENT || kind === SAMPLE_ACCEPTED || kind === SAMPLE_SENT;
}

/**
 * Writes the sample at `from` of `ring` (data, intent, accepted or sent) at `at` of `out` as a length-delimited Event;
 * returns the offset after it. `deltaNs`: its time less the block's base. The caller sees to the room:
 * `captured + MAX_EVENT_HEAD`, and 3 bytes that may be overwritten after the end.
 */
export function encodeSample(
  out: Uint8Array, outView: DataView, at: number,
  ring: Uint8Array, view: DataView, from: number, deltaNs: number, connectionOffset: number,
): number {
  const kind = view.getUint8(from + OFFSET_SAMPLE_KIND);
  const tgid = view.getUint32(from + OFFSET_SAMPLE_TGID, true);
  const tid = view.getUint32(from + OFFSET_SAMPLE_TID, true);
  const context = readU64(view, from + OFFSET_SAMPLE_CONTEXT);
  const connection = readU64(view, from + OFFSET_SAMPLE_CONNECTION) + connectionOffset;
  const position = readU64(view, from + OFFSET_SAMPLE_POSITION);
  const length = readU64(view, from + OFFSET_SAMPLE_LENGTH);
  const delta = zigzag(deltaNs);
  const isData = kind === SAMPLE_DATA;
  const captured = isData ? view.getUint32(from + OFFSET_SAMPLE_CAPTURED, true) : 0;
  const flags = isData ? view.getUint8(from + OFFSET_SAMPLE_FLAGS) : 0;
  const cause = isData ? view.getUint8(from + OFFSET_SAMPLE_CAUSE) : 0;
  const fromPacket = (flags & SAMPLE_FROM_PACKET) !== 0;
  const more = (flags & SAMPLE_MORE) !== 0;
  const withLength = !isData || length !== captured;

  let inner = 2 + varintSize(connection) + varintSize(position);
  if (withLength) inner += 1 + varintSize(length);
  if (isData) {
    inner += 3 + varintSize(captured) + captured;
    if (cause !== 0) inner += 1 + varintSize(cause);
    if (fromPacket) inner += 2;
    if (more) inner += 2;
  }
  let outer = 4 + varintSize(delta) + varintSize(tgid) + varintSize(tid) + varintSize(inner) + inner;
  if (context !== 0) outer += 1 + varintSize(context);

  at = writeVarint(out, at, outer);
  out[at] = 0x08; // Event.at
  at = writeVarint(out, at + 1, delta);
  out[at] = 0x10; // Event.tgid
  at = writeVarint(out, at + 1, tgid);
  out[at] = 0x18; // Event.tid
  at = writeVarint(out, at + 1, tid);
  if (context !== 0) {
    out[at] = 0x20; // Event.context
    at = writeVarint(out, at + 1, context);
  }
  out[at] = isData ? 0x32 : kind === SAMPLE_INTENT ? 0x3a : kind === SAMPLE_ACCEPTED ? 0x42 : 0x4a; // Event.what
  at = writeVarint(out, at + 1, inner);
  out[at] = 0x08; // .connection
  at = writeVarint(out, at + 1, connection);
  if (isData) {
    out[at] = 0x10; // Data.direction
    out[at + 1] = view.getUint8(from + OFFSET_SAMPLE_DIRECTION);
    at += 2;
  }
  out[at] = 0x18; // .position
  at = writeVarint(out, at + 1, position);
  if (withLength) {
    out[at] = 0x20; // .length
    at = writeVarint(out, at + 1, length);
  }
  if (!isData) return at;
  if (cause !== 0) {
    out[at] = 0x28; // Data.cause
    at = writeVarint(out, at + 1, cause);
  }
  if (fromPacket) {
    out[at] = 0x30; // Data.from_packet
    out[at + 1] = 1;
    at += 2;
  }
  if (more) {
    out[at] = 0x38; // Data.more
    out[at + 1] = 1;
    at += 2;
  }
  out[at] = 0x7a; // Data.bytes
  at = writeVarint(out, at + 1, captured);
  const payload = from + SIZE_SAMPLE;
  if (captured <= WORD_COPY_MAX && payload + captured + 3 <= view.byteLength) {
    for (let done = 0; done < captured; done += 4) outView.setUint32(at + done, view.getUint32(payload + done));
  } else {
    out.set(ring.subarray(payload, payload + captured), at);
  }
  return at + captured;
}
