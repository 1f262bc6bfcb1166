/**
 * A block's payload (length-delimited Event messages of recording.proto) as Events. Kinds with stream payload are read
 * here in one pass, the rest by decode-rare.ts. Nothing is trusted: lengths are held against the end of what encloses them.
 */
import { unzigzag, VarintReader } from '../bytes/varint.ts';
import { decodeAny } from './decode-rare.ts';
import type { Event } from './event.ts';
import { causeName } from './names.ts';

const outer = new VarintReader();
const inner = new VarintReader();

/** Where a block's events are read from; `at` moves on with each `nextEvent`. */
export interface EventCursor {
  readonly bytes: Uint8Array;
  at: number;
  /** Unix µs of the block's base time. */
  readonly baseUs: number;
}

/**
 * The event at the cursor, or `end` after the last one, `unknown` for one of a kind that this version does not know
 * (skipped), `damaged` where the bytes are no Event: nothing after it in this block can be read. Byte fields are views
 * on `cursor.bytes`.
 */
export function nextEvent(cursor: EventCursor): Event | 'end' | 'unknown' | 'damaged' {
  const { bytes } = cursor;
  if (cursor.at >= bytes.length) return 'end';
  outer.reset(bytes, cursor.at, bytes.length);
  const size = outer.unsigned();
  const from = outer.at;
  if (outer.failed || size > bytes.length - from) return 'damaged';
  const end = from + size;
  cursor.at = end;
  outer.end = end;

  let atNs = 0;
  let tgid = 0;
  let tid = 0;
  let context = 0;
  let snapshot = false;
  while (outer.at < end) {
    const tag = outer.unsigned();
    switch (tag) {
      case 0x08: atNs = unzigzag(outer.unsigned()); break;
      case 0x10: tgid = outer.unsigned(); break;
      case 0x18: tid = outer.unsigned(); break;
      case 0x20: context = outer.unsigned(); break;
      case 0x28: snapshot = outer.unsigned() !== 0; break;
      case 0x32: case 0x3a: case 0x42: case 0x4a: {
        const length = outer.unsigned();
        const start = outer.advance(length);
        // The writer puts the payload message last; another order is somebody else's and goes the long way.
        if (outer.failed || outer.at !== end) return decodeAny(bytes, from, end, cursor.baseUs);
        return hot(tag, bytes, start, end, cursor.baseUs + atNs / 1000, tgid, tid, context, snapshot);
      }
      default: return decodeAny(bytes, from, end, cursor.baseUs);
    }
  }
  return outer.failed ? 'damaged' : 'unknown';
}

function hot(
  what: number, bytes: Uint8Array, from: number, end: number,
  atUs: number, tgid: number, tid: number, context: number, snapshot: boolean,
): Event | 'damaged' {
  inner.reset(bytes, from, end);
  let connection = 0;
  let direction = 0;
  let position = 0;
  let length = -1;
  let cause = 0;
  let fromPacket = false;
  let more = false;
  let payload = 0;
  let captured = 0;
  while (inner.at < end) {
    const tag = inner.unsigned();
    switch (tag) {
      case 0x08: connection = inner.unsigned(); break;
      case 0x10: direction = inner.unsigned(); break;
      case 0x18: position = inner.unsigned(); break;
      case 0x20: length = inner.unsigned(); break;
      case 0x28: cause = inner.unsigned(); break;
      case 0x30: fromPacket = inner.unsigned() !== 0; break;
      case 0x38: more = inner.unsigned() !== 0; break;
      case 0x7a:
        captured = inner.unsigned();
        payload = inner.advance(captured);
        break;
      default: inner.skip(tag);
    }
  }
  if (inner.failed) return 'damaged';
  if (what === 0x32) {
    return {
      kind: 'data', atUs, tgid, tid, context, snapshot, connection, direction: direction === 2 ? 'egress' : 'ingress',
      position, length: length < 0 ? captured : length, cause: cause === 0 ? 'none' : causeName(cause),
      bytes: bytes.subarray(payload, payload + captured), fromPacket, more,
    };
  }
  return {
    kind: what === 0x3a ? 'intent' : what === 0x42 ? 'accepted' : 'sent', atUs, tgid, tid, context, snapshot, connection,
    direction: 'egress', position, length: length < 0 ? 0 : length,
  };
}
