/**
 * The received stream of one connection: data comes after the copy and is exact, and in order but for this: two threads that
 * read one socket may be told in the other order. So what lies ahead waits a little for what is missing before it is called
 * a gap: for a few more events of this connection, not beyond a reported loss, and not once something is sent on it.
 */
import type { DataEvent, GapEvent } from '../events/event.ts';
import { Account } from './account.ts';
import type { LossLedger } from './loss.ts';
import { threadOf, trimStart } from './piece.ts';
import type { Piece } from './piece.ts';
import type { StreamSink } from './sink.ts';

/** What waits for an earlier read. Past that, the hole before it is a gap. */
const maxAheadBytes = 64 << 10;
const maxAheadPieces = 4;

export class Ingress {
  readonly account: Account;
  readonly #ledger: LossLedger;
  readonly #sink: StreamSink;
  #lossSeen: number;
  #ahead: Piece[] = [];
  #aheadBytes = 0;

  constructor(from: number | undefined, digest: boolean, ledger: LossLedger, sink: StreamSink) {
    this.account = new Account(from, digest);
    this.#ledger = ledger;
    this.#sink = sink;
    this.#lossSeen = ledger.reports;
  }

  data(event: DataEvent | GapEvent): void {
    if (this.account.from === undefined) this.account.next = event.position;
    this.#sink.began('ingress', event.position, event.atUs, event.tid, event.tgid);
    const { next } = this.account;
    if (event.position > next && this.#ledger.reports === this.#lossSeen) return this.#later(event);
    if (event.position > next) this.settle();
    this.#advance(event.position, event.atUs, event.tid);
    if (event.kind === 'data' && event.bytes.length >= event.length && event.position === this.account.next) this.#deliver(pieceOf(event));
    else {
      for (const piece of piecesOf(event)) {
        trimStart(piece, this.account.next);
        if (piece.length > 0) this.#deliver(piece);
      }
    }
    if (this.#ahead.length > 0) this.#drain(false);
  }

  /** The stream stands at `position`, as something else said: what is missing before it is a gap. */
  advance(position: number, atUs: number, tid: number): void {
    this.settle();
    this.#advance(position, atUs, tid);
  }

  /** What waits is delivered: nobody will say what lies before it. */
  settle(): void {
    if (this.#ahead.length > 0) this.#drain(true);
  }

  /** Copies what waits out of the recording's blocks. */
  own(copy: (bytes: Uint8Array) => Uint8Array): void {
    for (const piece of this.#ahead) if (piece.bytes !== undefined) piece.bytes = copy(piece.bytes);
  }

  #later(event: DataEvent | GapEvent): void {
    for (const piece of piecesOf(event)) {
      let at = this.#ahead.length;
      while (at > 0 && (this.#ahead[at - 1] as Piece).position > piece.position) at -= 1;
      this.#ahead.splice(at, 0, piece);
      this.#aheadBytes += piece.length;
    }
    if (this.#ahead.length > maxAheadPieces || this.#aheadBytes > maxAheadBytes) this.#drain(true);
  }

  /** Delivers what has become contiguous; `all`: the rest too, with gaps before it. */
  #drain(all: boolean): void {
    for (;;) {
      const first = this.#ahead[0];
      if (first === undefined || (!all && first.position > this.account.next)) return;
      this.#ahead.shift();
      this.#aheadBytes -= first.length;
      if (first.position > this.account.next) this.#gapTo(first.position, first.atUs, first.tid);
      trimStart(first, this.account.next);
      if (first.length > 0) this.#deliver(first);
    }
  }

  #advance(position: number, atUs: number, tid: number): void {
    if (position > this.account.next) this.#gapTo(position, atUs, tid);
    this.#lossSeen = this.#ledger.reports;
  }

  #gapTo(position: number, atUs: number, tid: number): void {
    const { next } = this.account;
    this.#deliver({ position: next, length: position - next, atUs, tid, thread: threadOf(tid), goroutine: 0, bytes: undefined, cause: this.#ledger.causeSince(this.#lossSeen), more: false });
  }

  #deliver(piece: Piece): void {
    const gap = this.account.add(piece);
    if (gap?.cause === 'unknown') this.#ledger.unexplained(gap, piece.atUs);
    this.#sink.piece('ingress', piece);
  }
}

/** The bytes of an event that has them all. */
export function pieceOf({ position, atUs, tid, thread, goroutine, bytes, more }: DataEvent): Piece {
  return { position, length: bytes.length, atUs, tid, thread: thread ?? tid, goroutine: goroutine ?? 0, bytes, cause: 'none', more };
}

/** The bytes of an event, and the hole behind them where it was truncated. */
export function piecesOf(event: DataEvent | GapEvent): Piece[] {
  const { position, length, atUs, tid, thread = tid, goroutine = 0 } = event;
  if (event.kind === 'gap') return [{ position, length, atUs, tid, thread, goroutine, bytes: undefined, cause: event.cause, more: false }];
  const { bytes, more } = event;
  if (bytes.length >= length) return [pieceOf(event)];
  const cause = event.cause === 'none' ? 'unknown' : event.cause;
  const hole: Piece = { position: position + bytes.length, length: length - bytes.length, atUs, tid, thread, goroutine, bytes: undefined, cause, more };
  if (bytes.length === 0) return [hole];
  return [{ position, length: bytes.length, atUs, tid, thread, goroutine, bytes, cause: 'none', more: true }, hole];
}

