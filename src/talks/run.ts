/** The bytes of one side of a talk: pieces in stream order, bounded. */
import type { Chunk } from '../connections/account.ts';
import { endOf, trimEnd, trimStart } from '../connections/piece.ts';
import type { Piece } from '../connections/piece.ts';

export interface RunLimits {
  /** Bytes kept of one side of a talk. What comes after is a hole with cause `max-message`. */
  readonly maxBytes: number;
  /** System calls kept of one side of a talk, likewise. */
  readonly maxPieces: number;
}

const NONE: Piece[] = [];

export class Run {
  /** Made with its first piece: pushing on an empty array makes room for seventeen. */
  pieces: readonly Piece[] = NONE;
  // Not private: two of these are made for every talk, and private names cost as much as the rest of it.
  kept = 0;
  owned = 0;
  holes = 0;

  get empty(): boolean {
    return this.pieces.length === 0;
  }

  /** Stream position of the first byte, 0 when empty. */
  get from(): number {
    return this.pieces[0]?.position ?? 0;
  }

  /** Stream position after the last byte, 0 when empty. */
  get end(): number {
    const last = this.pieces[this.pieces.length - 1];
    return last === undefined ? 0 : endOf(last);
  }

  /** Something is missing in it. */
  get holed(): boolean {
    return this.holes > 0;
  }

  add(piece: Piece, limits: RunLimits): void {
    if (this.kept + piece.length > limits.maxBytes || this.pieces.length >= limits.maxPieces) {
      if (piece.bytes !== undefined) {
        piece.bytes = undefined;
        piece.cause = 'max-message';
      }
    }
    if (piece.bytes === undefined && extendsHole(this.pieces[this.pieces.length - 1], piece)) return;
    if (piece.bytes !== undefined) this.kept += piece.length;
    else this.holes += 1;
    if (this.pieces.length === 0) this.pieces = [piece];
    else (this.pieces as Piece[]).push(piece);
  }

  /** Takes out what lies from `position` on. */
  splitAt(position: number): readonly Piece[] {
    if (this.end <= position) return NONE;
    const rest: Piece[] = [];
    for (;;) {
      const last = this.pieces[this.pieces.length - 1];
      if (last === undefined || endOf(last) <= position) break;
      if (last.position >= position) {
        (this.pieces as Piece[]).pop();
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
    this.owned = Math.min(this.owned, this.pieces.length);
    return rest;
  }

  /** The packets in [position, end) were sent by a call of `tid`. */
  name(position: number, end: number, atUs: number, tid: number): void {
    for (let at = this.pieces.length - 1; at >= 0; at -= 1) {
      const piece = this.pieces[at] as Piece;
      if (endOf(piece) <= position) return;
      if (piece.tid !== 0 || piece.position >= end) continue;
      piece.tid = tid;
      piece.atUs = Math.min(piece.atUs, atUs);
      piece.more = endOf(piece) < end;
    }
  }

  /** Copies bytes out of the recording's blocks, each once. */
  own(copy: (bytes: Uint8Array) => Uint8Array): void {
    for (; this.owned < this.pieces.length; this.owned += 1) {
      const piece = this.pieces[this.owned] as Piece;
      if (piece.bytes !== undefined) piece.bytes = copy(piece.bytes);
    }
  }

  /** As the contract has it: a chunk is what one system call moved. */
  chunks(): Chunk[] {
    if (this.pieces.length === 1) return [chunkOf(this.pieces[0] as Piece)];
    const chunks: Chunk[] = [];
    for (let at = 0; at < this.pieces.length; at += 1) {
      const first = this.pieces[at] as Piece;
      let last = at;
      while (first.bytes !== undefined && joined(this.pieces[last] as Piece, this.pieces[last + 1])) last += 1;
      if (last === at) chunks.push(chunkOf(first));
      else chunks.push({ atUs: first.atUs, tid: first.tid, bytes: concatenated(this.pieces.slice(at, last + 1)) });
      at = last;
    }
    return chunks;
  }

  /** The first bytes, up to the first hole, as far as `maxBytes`. */
  head(maxBytes: number): Uint8Array {
    const parts: Piece[] = [];
    let length = 0;
    for (const piece of this.pieces) {
      if (piece.bytes === undefined || length >= maxBytes) break;
      parts.push(piece);
      length += piece.length;
    }
    if (parts.length === 1) return (parts[0] as Piece).bytes as Uint8Array;
    return concatenated(parts);
  }
}

function extendsHole(last: Piece | undefined, piece: Piece): boolean {
  if (last === undefined || last.bytes !== undefined || last.cause !== piece.cause || endOf(last) !== piece.position) return false;
  last.length += piece.length;
  return true;
}

function chunkOf({ atUs, tid, bytes, length, cause }: Piece): Chunk {
  return bytes === undefined ? { atUs, tid, gap: length, cause } : { atUs, tid, bytes };
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
