/** Frames of HTTP/2 (RFC 9113 §4.1 and §6): heads, and what of them can be wrong. */
import { latin1 } from './ascii.ts';
import type { Side } from './protocol.ts';

export const PREFACE = latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const FRAME_HEAD_BYTES = 9;
export const TYPE = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, push: 5, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 } as const;
export const FLAG = { endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;
export const SETTING_MAX_FRAME_SIZE = 5;
/** Until a peer allows more. */
export const DEFAULT_MAX_FRAME_BYTES = 16_384;
export const MOST_FRAME_BYTES = 2 ** 24 - 1;

export interface FrameHead {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

/** Of 32 bits, in network order. */
export function word32(bytes: Uint8Array, at: number): number {
  const byte = (offset: number): number => bytes[at + offset] as number;
  return byte(0) * 2 ** 24 + (byte(1) << 16 | byte(2) << 8 | byte(3));
}

/** The head at `at`, of which all bytes are there. */
export function frameHead(bytes: Uint8Array, at: number): FrameHead {
  const byte = (offset: number): number => bytes[at + offset] as number;
  return {
    length: byte(0) << 16 | byte(1) << 8 | byte(2), type: byte(3), flags: byte(4),
    stream: word32(bytes, at + 5) & 0x7fffffff,
  };
}

const has = (flags: number, flag: number): boolean => (flags & flag) !== 0;

/** Why no peer that keeps to the protocol sends such a frame; undefined: it may. Types that are not known are passed over (§5.5). */
export function frameFault({ length, type, stream, flags }: FrameHead, side: Side, maxBytes: number): string | undefined {
  if (length > maxBytes) return `a frame beyond ${maxBytes} bytes`;
  switch (type) {
    case TYPE.data: case TYPE.headers: case TYPE.continuation: case TYPE.push:
      if (stream === 0 || (type === TYPE.push && side === 'client')) return 'no HTTP/2 frame';
      return type === TYPE.headers && side === 'client' && stream % 2 === 0 ? 'a stream that no client opens' : undefined;
    case TYPE.priority: return length === 5 && stream !== 0 ? undefined : 'no HTTP/2 frame';
    case TYPE.reset: return length === 4 && stream !== 0 ? undefined : 'no HTTP/2 frame';
    case TYPE.settings: return stream === 0 && length % 6 === 0 && (!has(flags, 1) || length === 0) ? undefined : 'no HTTP/2 frame';
    case TYPE.ping: return stream === 0 && length === 8 ? undefined : 'no HTTP/2 frame';
    case TYPE.goaway: return stream === 0 && length >= 8 ? undefined : 'no HTTP/2 frame';
    case TYPE.windowUpdate: return length === 4 ? undefined : 'no HTTP/2 frame';
    default: return undefined;
  }
}

/** The payload of DATA, HEADERS or PUSH_PROMISE without padding, priority and promised stream; undefined: it can't be. */
export function content({ type, flags }: FrameHead, payload: Uint8Array): Uint8Array | undefined {
  let from = 0;
  let to = payload.length;
  if (type !== TYPE.continuation && has(flags, FLAG.padded)) {
    to -= payload[0] ?? to + 1;
    from = 1;
  }
  if (type === TYPE.headers && has(flags, FLAG.priority)) from += 5;
  if (type === TYPE.push) from += 4;
  return from > to ? undefined : payload.subarray(from, to);
}
