/** Part of one direction's stream, in order: bytes, or a hole. What one system call moved may come in several pieces. */
import type { Cause } from '../events/event.ts';

export interface Piece {
  /** Stream position of the first byte. */
  position: number;
  /** Bytes of the stream; equals `bytes.length` unless it is a hole. */
  length: number;
  /** Unix µs at which the system call was seen. */
  atUs: number;
  /** Whose call it was: a thread's id, or a goroutine's number (src/contexts/goroutines.ts). 0: read from packets, and nobody has said yet. */
  tid: number;
  /** The thread that was in that call; 0: not known. */
  thread: number;
  /** The id of the goroutine whose work it was, or the number of Python's context or Java's virtual thread (FIRST_TASK and on); 0: none is known. */
  goroutine: number;
  /** Undefined: `length` bytes are missing for `cause`. */
  bytes: Uint8Array | undefined;
  cause: Cause;
  /** The same system call goes on in the next piece. */
  more: boolean;
}

/** Beyond thread ids, and numbers of virtual threads (src/contexts/virtual-threads.ts): those of goroutines, which stand where thread ids do. */
export const FIRST_GOROUTINE = 2 ** 48;

export function threadOf(tid: number): number {
  return tid < FIRST_GOROUTINE ? tid : 0;
}

export function endOf(piece: Piece): number {
  return piece.position + piece.length;
}

/** Drops what lies beyond stream position `end`, in place. */
export function trimEnd(piece: Piece, end: number): void {
  const length = Math.max(0, end - piece.position);
  if (length >= piece.length) return;
  if (piece.bytes !== undefined) piece.bytes = piece.bytes.subarray(0, length);
  piece.length = length;
}

/** Drops what lies before stream position `start`, in place. */
export function trimStart(piece: Piece, start: number): void {
  const skip = Math.min(piece.length, start - piece.position);
  if (skip <= 0) return;
  if (piece.bytes !== undefined) piece.bytes = piece.bytes.subarray(skip);
  piece.position += skip;
  piece.length -= skip;
}
