/**
 * Reading of protocols made of packets: a short head that holds a length, then that many bytes. The head and the first
 * bytes of the body are looked at; the rest is counted, and may be missing.
 */
import { Pending } from './pending.ts';

/** What a head says. `head`: its own bytes; `body`: bytes after it; `look`: how many of these the packet's meaning needs. */
export interface Shape {
  readonly head: number;
  readonly body: number;
  readonly look: number;
}

export interface PacketReader {
  /**
   * The shape of the packet that begins with `bytes[from, …)`. A number: that many bytes are needed to say.
   * A string: it is no packet, and why.
   */
  shape(bytes: Uint8Array, from: number, available: number): Shape | number | string;
  /** Head and looked-at bytes are `bytes[from, to)` (borrowed); the whole packet ends at stream offset `end` (not all of it may have come). */
  begin(bytes: Uint8Array, from: number, to: number, end: number): void;
  /** The packet that began is over. */
  done(): void;
}

/** One direction. `feed` stops when `stopped` says so (asked after each packet). */
export class Packets {
  private readonly reader: PacketReader;
  private readonly pending: Pending;
  /** Stream offset of the next byte to be read; between packets it is a packet border. */
  offset = 0;
  /** Bytes of the current body beyond what was looked at. */
  private rest = 0;
  private needed = 1;
  stopped: string | undefined;

  constructor(reader: PacketReader, maxLookBytes: number) {
    this.reader = reader;
    this.pending = new Pending(maxLookBytes + 64);
  }

  /** Something of a packet is there. */
  get inside(): boolean {
    return this.rest > 0 || this.pending.length > 0;
  }

  feed(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length && this.stopped === undefined) {
      if (this.rest > 0) {
        const taken = Math.min(this.rest, bytes.length - from);
        this.skip(taken);
        from += taken;
      } else if (this.pending.length > 0) {
        const wanted = Math.min(this.needed - this.pending.length, bytes.length - from);
        this.pending.append(bytes, from, from + wanted);
        from += wanted;
        if (this.pending.length >= this.needed) {
          const held = this.pending.bytes();
          if (this.packet(held, 0) > 0) this.pending.clear();
        }
      } else {
        const used = this.packet(bytes, from);
        if (used === 0 && this.stopped === undefined) {
          this.pending.append(bytes, from, bytes.length);
          from = bytes.length;
        } else {
          from += used;
        }
      }
    }
  }

  gap(length: number): void {
    if (this.stopped !== undefined || length <= 0) return;
    if (length > this.rest) this.stopped = this.rest > 0 ? 'gap across the end of a packet' : this.inside ? 'gap in a header' : 'gap between messages';
    else this.skip(length);
  }

  private skip(length: number): void {
    this.offset += length;
    this.rest -= length;
    if (this.rest === 0) this.reader.done();
  }

  /** Begins the packet at `bytes[from]` if enough of it is there; returns the bytes used, 0 when more are needed. */
  private packet(bytes: Uint8Array, from: number): number {
    const available = bytes.length - from;
    const shape = this.reader.shape(bytes, from, available);
    if (typeof shape === 'string') {
      this.stopped = shape;
      return 0;
    }
    const looked = typeof shape === 'number' ? shape : shape.head + Math.min(shape.body, shape.look);
    if (typeof shape === 'number' || available < looked) {
      this.needed = Math.max(looked, available + 1);
      return 0;
    }
    this.offset += looked;
    this.rest = shape.head + shape.body - looked;
    this.reader.begin(bytes, from, from + looked, this.offset + this.rest);
    if (this.rest === 0) this.reader.done();
    return looked;
  }
}
