/**
 * What cuts a connection that carries several calls at a time: each side's stream into parts, each of one call (a *stream* of the
 * protocol) or of the connection itself.
 */
import type { Block } from './hpack.ts';
import type { Side } from './protocol.ts';

/** Offsets count in the side's stream, from the first byte pushed. What comes out is in the order of the stream. */
export type Cut =
  /** [start, end) is of call `stream`; 0: of the connection itself. Told when its head is there; parts follow each other without holes. */
  | { readonly what: 'part'; readonly side: Side; readonly stream: number; readonly start: number; readonly end: number; readonly role: PartRole }
  /** Header fields of the call, whole; undefined: they can't be read. */
  | { readonly what: 'fields'; readonly side: Side; readonly stream: number; readonly block: Block | undefined }
  /** The side has said all of the call that it will say, up to offset `at`; `reset`: it gave it up, by that error code (`NO_ERROR`: it needs no more). */
  | { readonly what: 'end'; readonly side: Side; readonly stream: number; readonly at: number; readonly reset?: number };

/** A call's own end without a failure. */
export const NO_ERROR = 0;

/** opens: may be a call's first; says: part of its message; control: about it (flow control, priority), of no message. */
export type PartRole = 'opens' | 'says' | 'control';

/** Pure but for its own state; never throws on input. */
export interface Splitter {
  /** `bytes` is borrowed. */
  push(side: Side, bytes: Uint8Array, out: Cut[]): void;
  gap(side: Side, length: number, out: Cut[]): void;
  /** The calls that `bytes`, which would come next on this side, open: looked at, not taken in. */
  opening(side: Side, bytes: Uint8Array): readonly number[];
  /** The calls that `bytes` go on with or open, likewise. */
  saying(side: Side, bytes: Uint8Array): readonly number[];
  /** False: where parts begin is not known any more. */
  readonly sure: boolean;
  readonly unsureBecause?: string;
}
