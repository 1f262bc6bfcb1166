/** Whole PostgreSQL messages out of the bytes of one talk. Stops at what it can't read; never throws. */
import { latin1Text } from './ascii.ts';

/**
 * `type` is its letter; `startup` for the packets without one, `byte` for the one-byte answer to an SSLRequest, `rest` for what
 * can't be read any more (always the last). `missing`: bytes of the body that are not there.
 */
export interface Message {
  readonly type: string;
  readonly body: Uint8Array;
  readonly missing: number;
}

export function* readMessages(bytes: Uint8Array, side: 'client' | 'server'): Generator<Message> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (side === 'server' && bytes.length === 1) {
    yield { type: 'byte', body: bytes, missing: 0 };
    return;
  }
  let at = 0;
  while (at + 5 <= bytes.length) {
    const typed = bytes[at] !== 0 || side === 'server';
    const head = typed ? 1 : 0;
    const length = view.getUint32(at + head);
    if (length < 4) break;
    const end = at + head + length;
    yield { type: typed ? String.fromCharCode(bytes[at]!) : 'startup', body: bytes.subarray(at + head + 4, end), missing: Math.max(0, end - bytes.length) };
    at = end;
  }
  if (at < bytes.length) yield { type: 'rest', body: bytes.subarray(at), missing: 0 };
}

/** Reads the fields of a body in wire order. Past its end every number is 0 and every text empty, and `whole` says so. */
export class Fields {
  private at = 0;
  private readonly bytes: Uint8Array;
  whole = true;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  int(size: 1 | 2 | 4): number {
    if (this.at + size > this.bytes.length) return this.short();
    let value = 0;
    for (let i = 0; i < size; i++) value = value << 8 | this.bytes[this.at++]!;
    return size === 2 && value > 0x7fff ? value - 0x10000 : value;
  }

  /** Up to the next NUL. */
  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    const to = end < 0 ? this.bytes.length : end;
    const text = Buffer.from(this.bytes.subarray(this.at, to)).toString();
    if (end < 0) this.whole = false;
    this.at = to + 1;
    return text;
  }

  take(length: number): Uint8Array {
    if (length < 0 || this.at + length > this.bytes.length) {
      this.short();
      return this.bytes.subarray(0, 0);
    }
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** Bytes that were not read. */
  get left(): number {
    return Math.max(0, this.bytes.length - this.at);
  }

  private short(): number {
    this.whole = false;
    this.at = this.bytes.length;
    return 0;
  }
}

/** The fields of an ErrorResponse or NoticeResponse by their letter (`C`: SQLSTATE, `M`: message, `S`: severity). */
export function errorFields(body: Uint8Array): Map<string, string> {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const letter = latin1Text(body, at, at + 1);
    const end = body.indexOf(0, at);
    const to = end < 0 ? body.length : end;
    fields.set(letter, Buffer.from(body.subarray(at + 1, to)).toString());
    at = to + 1;
  }
  return fields;
}

/** Fields of a body, as they are written. */
export function int16Bytes(value: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeInt16BE(value);
  return out;
}

export function int32Bytes(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
}

export const textBytes = (value: string): Buffer => Buffer.from(`${value}\0`);

/** A message of either side: its type, its length, its body. */
export function postgresqlMessage(type: string, body: Uint8Array): Buffer {
  const out = Buffer.alloc(5 + body.length);
  out.write(type, 'latin1');
  out.writeInt32BE(body.length + 4, 1);
  out.set(body, 5);
  return out;
}
