/** What a connection carried: chunks as they came, and the account of each stream. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { Cause } from '../events/event.ts';
import { endOf, trimEnd } from './piece.ts';
import type { Piece } from './piece.ts';

/** What one system call moved (of a Go program also whose work it was, where that is known), or a hole. `atUs` here is Unix µs; the JSON form counts from the session's start. */
export type Chunk =
  | { readonly atUs: number; readonly tid: number; readonly goroutine?: number; readonly bytes: Uint8Array }
  | { readonly atUs: number; readonly tid: number; readonly gap: number; readonly cause: Cause };

/** A connection's account: the byte truth. JSON: `Connection` of the contract. */
export interface ConnectionAccount {
  readonly id: string;
  readonly role: 'inbound' | 'outbound';
  readonly tgid: number;
  readonly command: string;
  readonly local: string;
  readonly remote: string;
  readonly learnt: 'accept' | 'connect' | 'seen';
  readonly openedAtUs: number;
  readonly closedAtUs?: number;
  readonly ingress: StreamAccount;
  readonly egress: StreamAccount;
  readonly end: 'fin' | 'reset' | 'refused' | 'timeout' | 'open' | (string & {});
  readonly sessions: number;
}

export interface StreamAccount {
  /** Position at which the recorder began to see the stream; 0: from its first byte. */
  readonly from: number;
  /** Payload bytes recorded from there on, gaps not counted. */
  readonly bytes: number;
  /** Lower-case hex SHA-256 over those bytes in stream order; empty where no digests were asked for. */
  readonly sha256: string;
  readonly gaps: readonly { readonly from: number; readonly bytes: number; readonly cause: Cause }[];
}

export interface MutableGap {
  from: number;
  bytes: number;
  cause: Cause;
}

/** Gaps an account lists one by one. Past that their bytes are added to the last: the sum stays right, the places don't. */
const maxGaps = 100_000;

/**
 * The running account of one stream. Invariant: bytes + sum(gaps) == next − from.
 *
 * A piece may be taken back until a later position proves that the kernel took it, so the digest runs behind: it takes a
 * piece when the next one arrives.
 */
export class Account {
  /** Undefined: not known until the first piece (the connection's beginning is in a segment that was dropped). */
  from: number | undefined;
  next: number;
  bytes = 0;
  readonly gaps: MutableGap[] = [];
  readonly #hash: Hash | undefined;
  #unhashed: Piece | undefined;

  constructor(from: number | undefined, digest: boolean) {
    this.from = from;
    this.next = from ?? 0;
    if (digest) this.#hash = createHash('sha256');
  }

  /** `piece.position` is `next`, unless nothing is known yet. Returns the gap it added to, if it is one. */
  add(piece: Piece): MutableGap | undefined {
    this.from ??= piece.position;
    this.next = endOf(piece);
    if (piece.bytes === undefined) return this.#gap(piece);
    this.bytes += piece.length;
    if (this.#hash !== undefined) {
      this.#settle();
      this.#unhashed = { ...piece, bytes: piece.bytes.slice() };
    }
    return undefined;
  }

  /** Everything from `to` on did not happen. False when that reaches further back than can be undone. */
  takeBack(to: number): boolean {
    const last = this.gaps.at(-1);
    if (last !== undefined && last.from + last.bytes > to) return false;
    if (this.#hash !== undefined) {
      if (this.#unhashed === undefined || this.#unhashed.position > to) return false;
      trimEnd(this.#unhashed, to);
    }
    this.bytes -= this.next - to;
    this.next = to;
    return true;
  }

  /** The account as it stands. */
  state(): StreamAccount {
    this.#settle();
    return {
      from: this.from ?? this.next,
      bytes: this.bytes,
      sha256: this.#hash?.copy().digest('hex') ?? '',
      gaps: this.gaps,
    };
  }

  #settle(): void {
    if (this.#unhashed?.bytes !== undefined) this.#hash?.update(this.#unhashed.bytes);
    this.#unhashed = undefined;
  }

  #gap(piece: Piece): MutableGap {
    const last = this.gaps.at(-1);
    if (last !== undefined && last.from + last.bytes === piece.position && last.cause === piece.cause) {
      last.bytes += piece.length;
      return last;
    }
    if (last !== undefined && this.gaps.length >= maxGaps) {
      last.bytes += piece.length;
      return last;
    }
    const gap = { from: piece.position, bytes: piece.length, cause: piece.cause };
    this.gaps.push(gap);
    return gap;
  }
}
