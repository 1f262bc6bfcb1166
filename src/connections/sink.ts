/** What a connection tells whoever cuts it into talks. Pieces come in stream order; everything comes in the order of the ring. */
import type { Direction } from '../events/event.ts';
import type { Piece } from './piece.ts';

export interface ConnectionEnd {
  readonly kind: 'fin' | 'reset' | 'refused' | 'timeout' | 'unreachable' | 'failed';
  readonly by: 'local' | 'remote';
  readonly errno?: number;
}

/** A call whose bytes were read from packets. `tid`, `thread` and `goroutine` as a piece has them. */
export interface Naming {
  readonly position: number;
  readonly end: number;
  readonly atUs: number;
  readonly tid: number;
  readonly thread: number;
  readonly goroutine: number;
}

export interface StreamSink {
  /**
   * A system call of `tid` begins to move bytes at `position`: told at once. Its pieces may come later (egress waits until it
   * is known how much the kernel took), or never. `tid` 0: seen in packets before the call that sent them. `peek`: what was handed
   * over, where that is known already; the kernel may take less. Borrowed.
   */
  began(direction: Direction, position: number, atUs: number, tid: number, tgid: number, peek?: Uint8Array): void;
  /** The sink owns `piece` from now on, and may merge it with the one before. */
  piece(direction: Direction, piece: Piece): void;
  /** Egress pieces that were delivered did not happen from `position` on. */
  takenBack(position: number): void;
  /** Whose call [position, end) of the packets was. */
  named(call: Naming): void;
  /** The kernel has taken every egress byte below `position`: they can't be taken back any more. */
  proven(position: number): void;
  /** Nothing follows in this direction, and everything before was delivered. */
  finished(direction: Direction): void;
  /** The connection is over, both directions finished. Undefined: the recording ended first. */
  closed(end: ConnectionEnd | undefined): void;
}
