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

export class Run {
  readonly pieces: Piece[] = [];
  #kept = 0;
  #owned = 0;
  #holes = 0;

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
    return this.#holes > 0;
  }

  add(piece: Piece, limits: RunLimits): void {
    if (this.#kept + piece.length > limits.maxBytes || this.pieces.length >= limits.maxPieces) {
      if (piece.bytes !== undefined) {
        piece.bytes = undefined;
        piece.cause = 'max-message';
      }
    }
    if (piece.bytes === undefined && this.#extendsHole(piece)) return;
    if (piece.bytes !== undefined) this.#kept += piece.length;
    else this.#holes += 1;
    this.pieces.push(piece);
  }

  /** Takes out what lies from `position` on. */
  splitAt(position: number): Piece[] {
    const rest: Piece[] = [];
    for (;;) {
      const last = this.pieces[this.pieces.length - 1];
      if (last === undefined || endOf(last) <= position) break;
      if (last.position >= position) {
        this.pieces.pop();
        rest.unshift(last);
        if (last.bytes !== undefined) this.#kept -= last.length;
        else this.#holes -= 1;
        continue;
      }
      const beyond = { ...last };
      trimStart(beyond, position);
      trimEnd(last, position);
      last.more = false;
      if (beyond.bytes !== undefined) this.#kept -= beyond.length;
      rest.unshift(beyond);
      break;
    }
    this.#owned = Math.min(this.#owned, this.pieces.length);
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
    for (; this.#owned < this.pieces.length; this.#owned += 1) {
      const piece = this.pieces[this.#owned] as Piece;
      if (piece.bytes !== undefined) piece.bytes = copy(piece.bytes);
    }
  }

  /** As the contract has it: a chunk is what one system call moved. */
  chunks(): Chunk[] {
    const chunks: Chunk[] = [];
    for (let at = 0; at < this.pieces.length; at += 1) {
      const first = this.pieces[at] as Piece;
      const { atUs, tid } = first;
      if (first.bytes === undefined) {
        chunks.push({ atUs, tid, gap: first.length, cause: first.cause });
        continue;
      }
      let last = at;
      while (joined(this.pieces[last] as Piece, this.pieces[last + 1])) last += 1;
      chunks.push({ atUs, tid, bytes: last === at ? first.bytes : concatenated(this.pieces.slice(at, last + 1)) });
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

  #extendsHole(piece: Piece): boolean {
    const last = this.pieces[this.pieces.length - 1];
    if (last === undefined || last.bytes !== undefined || last.cause !== piece.cause || endOf(last) !== piece.position) return false;
    last.length += piece.length;
    return true;
  }
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
