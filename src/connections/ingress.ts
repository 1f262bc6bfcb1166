/** The received stream of one connection: data comes after the copy, in order, and is exact. */
import type { DataEvent, GapEvent } from '../events/event.ts';
import { Account } from './account.ts';
import type { LossLedger } from './loss.ts';
import { trimStart } from './piece.ts';
import type { Piece } from './piece.ts';
import type { StreamSink } from './sink.ts';

export class Ingress {
  readonly account: Account;
  readonly #ledger: LossLedger;
  readonly #sink: StreamSink;
  #lossSeen: number;

  constructor(from: number | undefined, digest: boolean, ledger: LossLedger, sink: StreamSink) {
    this.account = new Account(from, digest);
    this.#ledger = ledger;
    this.#sink = sink;
    this.#lossSeen = ledger.reports;
  }

  data(event: DataEvent | GapEvent): void {
    if (this.account.from === undefined) this.account.next = event.position;
    this.#sink.began('ingress', event.position, event.atUs, event.tid, event.tgid);
    this.advance(event.position, event.atUs, event.tid);
    if (event.kind === 'data' && event.bytes.length >= event.length && event.position === this.account.next) return this.#deliver(pieceOf(event));
    for (const piece of piecesOf(event)) {
      trimStart(piece, this.account.next);
      if (piece.length > 0) this.#deliver(piece);
    }
  }

  /** The stream stands at `position`, as something else said: what is missing before it is a gap. */
  advance(position: number, atUs: number, tid: number): void {
    const cause = this.#ledger.causeSince(this.#lossSeen);
    this.#lossSeen = this.#ledger.reports;
    const next = this.account.next;
    if (position > next) this.#deliver({ position: next, length: position - next, atUs, tid, bytes: undefined, cause, more: false });
  }

  #deliver(piece: Piece): void {
    const gap = this.account.add(piece);
    if (gap?.cause === 'unknown') this.#ledger.unexplained(gap);
    this.#sink.piece('ingress', piece);
  }
}

/** The bytes of an event that has them all. */
export function pieceOf({ position, atUs, tid, bytes, more }: DataEvent): Piece {
  return { position, length: bytes.length, atUs, tid, bytes, cause: 'none', more };
}

/** The bytes of an event, and the hole behind them where it was truncated. */
export function piecesOf(event: DataEvent | GapEvent): Piece[] {
  const { position, length, atUs, tid } = event;
  if (event.kind === 'gap') return [{ position, length, atUs, tid, bytes: undefined, cause: event.cause, more: false }];
  const { bytes, more } = event;
  if (bytes.length >= length) return [pieceOf(event)];
  const cause = event.cause === 'none' ? 'unknown' : event.cause;
  const hole: Piece = { position: position + bytes.length, length: length - bytes.length, atUs, tid, bytes: undefined, cause, more };
  if (bytes.length === 0) return [hole];
  return [{ position, length: bytes.length, atUs, tid, bytes, cause: 'none', more: true }, hole];
}

