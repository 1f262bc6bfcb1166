/**
 * Cuts an HTTP/2 connection into the frames of its streams, and reads their header fields. A gap inside a frame's payload is passed
 * over; in a header block it costs the fields of that block, and what later ones of its side refer to; anywhere else the place where
 * the next frame begins is lost, and with it the connection.
 */
import { Hpack } from './hpack.ts';
import { content, DEFAULT_MAX_FRAME_BYTES, FLAG, FRAME_HEAD_BYTES, frameFault, frameHead, MOST_FRAME_BYTES, PREFACE, SETTING_MAX_FRAME_SIZE, TYPE, word32 } from './http2-frames.ts';
import type { FrameHead } from './http2-frames.ts';
import { Pending } from './pending.ts';
import type { Side } from './protocol.ts';
import type { Cut, PartRole, Splitter } from './splitter.ts';

/** Of the fragments of one header block, and of a SETTINGS frame. Past that its fields are not read. */
export const maxBlockBytes = 256 << 10;

class Stream {
  readonly side: Side;
  readonly hpack: Hpack;
  readonly head = new Pending(FRAME_HEAD_BYTES);
  readonly payload = new Pending(maxBlockBytes);
  readonly block = new Pending(maxBlockBytes);
  /** What was pushed or missing so far. */
  offset = 0;
  /** Of the preface, still to come. */
  preface: number;
  frame: FrameHead | undefined;
  /** Of the frame's payload, still to come. */
  left = 0;
  /** The payload is collected; some of it is missing, or it is beyond the cap. */
  collects = false;
  holed = false;
  /** The frame whose header block goes on in CONTINUATION. */
  opened: FrameHead | undefined;
  blockHoled = false;
  maxFrameBytes: number;

  constructor(side: Side, whole: boolean) {
    this.side = side;
    this.hpack = new Hpack(whole);
    this.preface = whole && side === 'client' ? PREFACE.length : 0;
    this.maxFrameBytes = whole ? DEFAULT_MAX_FRAME_BYTES : MOST_FRAME_BYTES;
  }
}

export class Http2Splitter implements Splitter {
  sure = true;
  unsureBecause?: string;
  readonly #client: Stream;
  readonly #server: Stream;

  /** `whole`: it is followed from its preface on. */
  constructor(whole: boolean) {
    this.#client = new Stream('client', whole);
    this.#server = new Stream('server', whole);
  }

  push(side: Side, bytes: Uint8Array, out: Cut[]): void {
    const stream = this.#of(side);
    let from = 0;
    while (from < bytes.length && this.sure) from = this.#step(stream, bytes, from, out);
  }

  gap(side: Side, length: number, out: Cut[]): void {
    if (!this.sure || length <= 0) return;
    const stream = this.#of(side);
    if (stream.frame === undefined || length > stream.left) return this.#lose(stream.frame === undefined ? 'gap in the head of a frame' : 'gap across the end of a frame');
    stream.holed = true;
    stream.offset += length;
    stream.left -= length;
    if (stream.left === 0) this.#frameDone(stream, stream.frame, out);
  }

  opening(side: Side, bytes: Uint8Array): readonly number[] {
    return this.#ahead(side, bytes, (head) => head.type === TYPE.headers);
  }

  saying(side: Side, bytes: Uint8Array): readonly number[] {
    return this.#ahead(side, bytes, (head) => roleOf(head) !== 'control');
  }

  #ahead(side: Side, bytes: Uint8Array, wanted: (head: FrameHead) => boolean): readonly number[] {
    const stream = this.#of(side);
    const found = new Set<number>();
    if (!this.sure || stream.head.length > 0) return [];
    if (stream.frame !== undefined && wanted(stream.frame)) found.add(stream.frame.stream);
    let at = stream.preface + (stream.frame === undefined ? 0 : stream.left);
    while (at + FRAME_HEAD_BYTES <= bytes.length) {
      const head = frameHead(bytes, at);
      if (frameFault(head, side, stream.maxFrameBytes) !== undefined) break;
      if (wanted(head)) found.add(head.stream);
      at += FRAME_HEAD_BYTES + head.length;
    }
    return [...found];
  }

  #of(side: Side): Stream {
    return side === 'client' ? this.#client : this.#server;
  }

  #step(stream: Stream, bytes: Uint8Array, from: number, out: Cut[]): number {
    if (stream.preface > 0) return this.#preface(stream, bytes, from, out);
    if (stream.frame === undefined) return this.#head(stream, bytes, from, out);
    const taken = Math.min(stream.left, bytes.length - from);
    if (stream.collects && !stream.holed && !stream.payload.append(bytes, from, from + taken)) stream.holed = true;
    stream.offset += taken;
    stream.left -= taken;
    if (stream.left === 0) this.#frameDone(stream, stream.frame, out);
    return from + taken;
  }

  #preface(stream: Stream, bytes: Uint8Array, from: number, out: Cut[]): number {
    if (stream.offset === 0) out.push({ what: 'part', side: 'client', stream: 0, start: 0, end: PREFACE.length, role: 'control' });
    const taken = Math.min(stream.preface, bytes.length - from);
    for (let at = 0; at < taken; at += 1) {
      if (bytes[from + at] === PREFACE[stream.offset + at]) continue;
      this.#lose('no HTTP/2 preface');
      break;
    }
    stream.offset += taken;
    stream.preface -= taken;
    return from + taken;
  }

  #head(stream: Stream, bytes: Uint8Array, from: number, out: Cut[]): number {
    const { head, side } = stream;
    const taken = Math.min(FRAME_HEAD_BYTES - head.length, bytes.length - from);
    head.append(bytes, from, from + taken);
    stream.offset += taken;
    if (head.length < FRAME_HEAD_BYTES) return from + taken;
    const frame = frameHead(head.bytes(), 0);
    head.clear();
    const fault = frameFault(frame, side, stream.maxFrameBytes) ?? continuityFault(frame, stream.opened);
    if (fault !== undefined) {
      this.#lose(fault);
      return from + taken;
    }
    stream.frame = frame;
    stream.left = frame.length;
    stream.holed = false;
    stream.collects = isBlock(frame) || frame.type === TYPE.settings || frame.type === TYPE.reset;
    const start = stream.offset - FRAME_HEAD_BYTES;
    out.push({ what: 'part', side, stream: frame.stream, start, end: stream.offset + frame.length, role: roleOf(frame) });
    if (frame.length === 0) this.#frameDone(stream, frame, out);
    return from + taken;
  }

  #frameDone(stream: Stream, frame: FrameHead, out: Cut[]): void {
    const payload = stream.payload.bytes();
    stream.frame = undefined;
    if (isBlock(frame)) this.#fragment(stream, frame, payload, out);
    else if (frame.type === TYPE.settings) this.#settings(stream, payload);
    else if (frame.type === TYPE.reset) {
      const code = payload.length === 4 ? word32(payload, 0) : -1;
      out.push({ what: 'end', side: stream.side, stream: frame.stream, at: stream.offset, reset: code });
    } else if (frame.type === TYPE.data && (frame.flags & FLAG.endStream) !== 0) out.push({ what: 'end', side: stream.side, stream: frame.stream, at: stream.offset });
    stream.payload.clear();
  }

  /** Part of a header block; the block is read when its last part is there. */
  #fragment(stream: Stream, frame: FrameHead, payload: Uint8Array, out: Cut[]): void {
    const opened = stream.opened ?? frame;
    if (frame.type !== TYPE.continuation) {
      stream.block.clear();
      stream.blockHoled = false;
    }
    const part = content(frame, payload);
    if (stream.holed || part === undefined || !stream.block.append(part, 0, part.length)) stream.blockHoled = true;
    if ((frame.flags & FLAG.endHeaders) === 0) {
      stream.opened = opened;
      return;
    }
    stream.opened = undefined;
    if (stream.blockHoled) stream.hpack.lose();
    const block = stream.blockHoled ? undefined : stream.hpack.decode(stream.block.bytes());
    stream.block.clear();
    // What is promised is said by the server in the client's name: nobody asked for it.
    if (opened.type !== TYPE.push) out.push({ what: 'fields', side: stream.side, stream: frame.stream, block });
    if (opened.type === TYPE.headers && (opened.flags & FLAG.endStream) !== 0) out.push({ what: 'end', side: stream.side, stream: frame.stream, at: stream.offset });
  }

  /** How large the other side's frames may be from here on; it may have sent larger ones before it heard of a smaller number. */
  #settings(stream: Stream, payload: Uint8Array): void {
    const other = stream === this.#client ? this.#server : this.#client;
    if (stream.holed) other.maxFrameBytes = MOST_FRAME_BYTES;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const value = word32(payload, at + 2);
      if (payload[at] === 0 && payload[at + 1] === SETTING_MAX_FRAME_SIZE) other.maxFrameBytes = Math.max(other.maxFrameBytes, Math.min(value, MOST_FRAME_BYTES));
    }
  }

  #lose(reason: string): void {
    if (!this.sure) return;
    this.sure = false;
    this.unsureBecause = reason;
    for (const stream of [this.#client, this.#server]) for (const held of [stream.head, stream.payload, stream.block]) held.clear();
  }
}

function isBlock({ type }: FrameHead): boolean {
  return type === TYPE.headers || type === TYPE.continuation || type === TYPE.push;
}

function roleOf({ type }: FrameHead): PartRole {
  if (type === TYPE.headers) return 'opens';
  return type === TYPE.data || type === TYPE.continuation || type === TYPE.reset ? 'says' : 'control';
}

/** §6.10: nothing comes between the parts of a header block. */
function continuityFault({ type, stream }: FrameHead, opened: FrameHead | undefined): string | undefined {
  if (opened === undefined) return type === TYPE.continuation ? 'a header block that goes on without having begun' : undefined;
  return type === TYPE.continuation && stream === opened.stream ? undefined : 'something else inside a header block';
}
