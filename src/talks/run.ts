/** The bytes of one side of a talk: pieces in stream order, bounded. */
import type { Chunk } from '../connections/account.ts';
import { endOf, trimEnd, trimStart } from '../connections/piece.ts';
import type { Piece } from '../connections/piece.ts';
import type { Naming } from '../connections/sink.ts';
import { FIRST_TASK } from '../events/event.ts';

export interface RunLimits {
  /** Bytes kept of one side of a talk. What comes after is a hole with cause `max-message`. */
  readonly maxBytes: number;
  /** System calls kept of one side of a talk, likewise. */
  readonly maxPieces: number;
}

const NONE: readonly Piece[] = [];
const NOTHING = new Uint8Array(0);

export class Run {
  // Nearly every run is one piece, and most of what waits to be given out are runs: an array for each would double them.
  // Nothing is private: two of these are made for every talk, and private names cost as much as the rest of it.
  only: Piece | undefined;
  /** All pieces, where there are more than one. */
  many: Piece[] | undefined;
  kept = 0;
  owned = 0;
  holes = 0;

  get empty(): boolean {
    return this.only === undefined && this.many === undefined;
  }

  get pieces(): readonly Piece[] {
    if (this.many !== undefined) return this.many;
    return this.only === undefined ? NONE : [this.only];
  }

  /** Stream position of the first byte, 0 when empty. */
  get from(): number {
    return (this.only ?? this.many?.[0])?.position ?? 0;
  }

  /** Stream position after the last byte, 0 when empty. */
  get end(): number {
    const last = this.last;
    return last === undefined ? 0 : endOf(last);
  }

  get last(): Piece | undefined {
    return this.many === undefined ? this.only : this.many[this.many.length - 1];
  }

  /** Something is missing in it. */
  get holed(): boolean {
    return this.holes > 0;
  }

  /** The first bytes, at most `max`, up to the first hole. Borrowed. */
  head(max: number): Uint8Array {
    const first = this.only ?? this.many?.[0];
    if (first?.bytes === undefined) return NOTHING;
    if (first.length >= max || this.many === undefined) return first.bytes.length <= max ? first.bytes : first.bytes.subarray(0, max);
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const { bytes } of this.many) {
      if (bytes === undefined || length >= max) break;
      parts.push(bytes);
      length += bytes.length;
    }
    return Buffer.concat(parts, Math.min(length, max));
  }

  /** The last bytes, at most `max`, back to the last hole. Borrowed. */
  tail(max: number): Uint8Array {
    const { last } = this;
    if (last?.bytes === undefined) return NOTHING;
    if (last.length >= max || this.many === undefined) return last.bytes.length <= max ? last.bytes : last.bytes.subarray(last.bytes.length - max);
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let at = this.many.length - 1; at >= 0 && length < max; at -= 1) {
      const bytes = this.many[at]?.bytes;
      if (bytes === undefined) break;
      parts.unshift(bytes);
      length += bytes.length;
    }
    return Buffer.concat(parts).subarray(Math.max(0, length - max));
  }

  add(piece: Piece, limits: RunLimits): void {
    const last = this.last;
    if (this.kept + piece.length > limits.maxBytes || (this.many !== undefined && this.many.length >= limits.maxPieces)) {
      if (piece.bytes !== undefined) {
        piece.bytes = undefined;
        piece.cause = 'max-message';
      }
    }
    if (piece.bytes === undefined && extendsHole(last, piece)) return;
    if (piece.bytes !== undefined) this.kept += piece.length;
    else this.holes += 1;
    if (this.many !== undefined) this.many.push(piece);
    else if (this.only === undefined) this.only = piece;
    else {
      this.many = [this.only, piece];
      this.only = undefined;
    }
  }

  /** Takes out what lies from `position` on. */
  splitAt(position: number): readonly Piece[] {
    if (this.end <= position) return NONE;
    const rest: Piece[] = [];
    const pieces = (this.many ??= [...this.pieces]);
    this.only = undefined;
    for (;;) {
      const last = pieces[pieces.length - 1];
      if (last === undefined || endOf(last) <= position) break;
      if (last.position >= position) {
        pieces.pop();
        rest.unshift(last);
        if (last.bytes !== undefined) this.kept -= last.length;
        else this.holes -= 1;
        continue;
      }
      const beyond = { ...last };
      trimStart(beyond, position);
      trimEnd(last, position);
      last.more = false;
      if (beyond.bytes !== undefined) this.kept -= beyond.length;
      rest.unshift(beyond);
      break;
    }
    this.owned = Math.min(this.owned, pieces.length);
    if (pieces.length === 0) this.many = undefined;
    return rest;
  }

  /** Packets were sent by this call. */
  name({ position, end, atUs, tid, thread, goroutine }: Naming): void {
    const { pieces } = this;
    for (let at = pieces.length - 1; at >= 0; at -= 1) {
      const piece = pieces[at] as Piece;
      if (endOf(piece) <= position) return;
      if (piece.tid !== 0 || piece.position >= end) continue;
      piece.tid = tid;
      piece.thread = thread;
      piece.goroutine = goroutine;
      piece.atUs = Math.min(piece.atUs, atUs);
      piece.more = endOf(piece) < end;
    }
  }

  /** Copies bytes out of the recording's blocks, each once. */
  own(copy: (bytes: Uint8Array) => Uint8Array): void {
    const { pieces } = this;
    for (; this.owned < pieces.length; this.owned += 1) {
      const piece = pieces[this.owned] as Piece;
      if (piece.bytes !== undefined) piece.bytes = copy(piece.bytes);
    }
  }

  /** As the contract has it: a chunk is what one system call moved. */
  chunks(): Chunk[] {
    if (this.only !== undefined) return [chunkOf(this.only)];
    const { pieces } = this;
    const chunks: Chunk[] = [];
    for (let at = 0; at < pieces.length; at += 1) {
      const first = pieces[at] as Piece;
      let last = at;
      while (first.bytes !== undefined && joined(pieces[last] as Piece, pieces[last + 1])) last += 1;
      if (last === at) chunks.push(chunkOf(first));
      else chunks.push({ ...chunkOf(first), bytes: concatenated(pieces.slice(at, last + 1)) });
      at = last;
    }
    return chunks;
  }
}

function extendsHole(last: Piece | undefined, piece: Piece): boolean {
  if (last === undefined || last.bytes !== undefined || last.cause !== piece.cause || endOf(last) !== piece.position) return false;
  last.length += piece.length;
  return true;
}

function chunkOf({ atUs, thread, goroutine, bytes, length, cause }: Piece): Chunk {
  if (bytes === undefined) return { atUs, tid: thread, gap: length, cause };
  // Of which of Python's contexts it was only the derivation asks.
  return goroutine === 0 || goroutine >= FIRST_TASK ? { atUs, tid: thread, bytes } : { atUs, tid: thread, goroutine, bytes };
}

function joined(piece: Piece, next: Piece | undefined): boolean {
  if (next?.bytes === undefined || next.tid !== piece.tid || next.position !== endOf(piece)) return false;
  return piece.more || (piece.tid === 0 && next.tid === 0);
}

function concatenated(pieces: readonly Piece[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece.bytes as Uint8Array, at);
    at += piece.length;
  }
  return whole;
}
