/**
 * Protocol Buffers' base-128 varints (protobuf.dev, "Encoding"), for numbers below 2^53, without an allocation.
 */

const TWO_32 = 4294967296;
/** A varint has at most this many bytes. */
export const MAX_VARINT = 10;

/** Bytes that `value` (a non-negative integer below 2^53) takes. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  if (value < 0x800000000) return 5;
  if (value < 0x40000000000) return 6;
  if (value < 0x2000000000000) return 7;
  return 8;
}

/** Writes `value` (a non-negative integer below 2^53) at `at`; returns the offset after it. */
export function writeVarint(out: Uint8Array, at: number, value: number): number {
  if (value >= TWO_32) {
    // Four groups of seven bits leave a number that fits 32 bits: 53 - 28 = 25.
    const low = value % 0x10000000;
    out[at] = (low & 0x7f) | 0x80;
    out[at + 1] = ((low >>> 7) & 0x7f) | 0x80;
    out[at + 2] = ((low >>> 14) & 0x7f) | 0x80;
    out[at + 3] = (low >>> 21) | 0x80;
    at += 4;
    value = (value - low) / 0x10000000;
  }
  let rest = value >>> 0;
  while (rest > 0x7f) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** ZigZag of a signed integer (|value| below 2^52): small magnitudes stay small. */
export function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/**
 * Reads varints and skips fields. One instance is used over and over: `reset`, then read until `at` reaches `end`.
 * Reading past `end` sets `failed` and yields 0: check it once a message, not once a field.
 */
export class VarintReader {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  end = 0;
  failed = false;

  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.failed = false;
  }

  /** An unsigned varint; values of 2^53 and above lose their lowest bits. */
  unsigned(): number {
    const { bytes, end } = this;
    let at = this.at;
    if (at < end) {
      const first = bytes[at] as number;
      if (first < 0x80) {
        this.at = at + 1;
        return first;
      }
    }
    let value = 0;
    let scale = 1;
    for (let count = 0; count < MAX_VARINT && at < end; count++) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.at = at;
        return value;
      }
      scale *= 0x80;
    }
    this.failed = true;
    this.at = end;
    return 0;
  }

  /** Skips the value of a field whose tag was `tag`. */
  skip(tag: number): void {
    const wire = tag & 7;
    if (wire === 0) this.unsigned();
    else if (wire === 1) this.advance(8);
    else if (wire === 2) this.advance(this.unsigned());
    else if (wire === 5) this.advance(4);
    else this.advance(Infinity);
  }

  /** Moves on by `length` bytes; returns where they begin. */
  advance(length: number): number {
    const from = this.at;
    if (length > this.end - from) {
      this.failed = true;
      this.at = this.end;
      return from;
    }
    this.at = from + length;
    return from;
  }
}
