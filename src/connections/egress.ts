/**
 * The sent stream of one connection, put in order.
 *
 * A short message comes when the send *begins*, as one data event or, gathered from several places, as some of them: the kernel may
 * take less. So it is held back until the connection's next event, which is the `accepted` that cuts it short, or anything else. Whether all of it was taken is
 * *proven* later, by position: the next send begins where the last one ended, and a close says where the stream ended.
 * Pieces of a big send (announced by an intent) come after the copy, packets after the send: both are exact.
 *
 *   data p=0 n=100            held                         began(0)
 *   accepted p=0 n=60         piece [0,60)                 proven(60)
 *   data p=60 n=40            held                         began(60)
 *   (ingress)                 piece [60,100)
 *   close egressFinal=100                                  proven(100)
 */
import type { AcceptedEvent, DataEvent, GapEvent, IntentEvent, SentEvent } from '../events/event.ts';
import { Account } from './account.ts';
import { pieceOf, piecesOf } from './ingress.ts';
import type { LossLedger } from './loss.ts';
import { endOf, threadOf, trimEnd, trimStart } from './piece.ts';
import type { Piece } from './piece.ts';
import type { Naming as Call, StreamSink } from './sink.ts';

/** Bytes and pieces that wait for earlier packets. Past that, the hole before them is a gap. */
const maxAheadBytes = 256 << 10;
const maxAheadPieces = 128;
/** Calls of one connection that are on their way at a time, and runs of packets whose owner is known. Past that the oldest are forgotten. */
const maxCalls = 64;
const maxSent = 1024;
/** A message that is held back is no longer than what the probes read when a send begins (bpf/send.h). */
const maxHeldBytes = 64 << 10;
const NO_PIECES: Piece[] = [];

export class Egress {
  readonly account: Account;
  /** End of what was announced: intents and sent ranges count before their bytes are there. */
  announced: number;
  readonly #ledger: LossLedger;
  readonly #sink: StreamSink;
  #lossSeen: number;
  #proven = 0;
  #held: Piece | undefined;
  /** The same send's, behind `#held`. */
  #heldBehind = NO_PIECES;
  /** The last send whose bytes came from its buffer: where it began, and whether more of it comes. */
  #lastTid = 0;
  #lastPosition = 0;
  #lastGoesOn = false;
  #ahead: Piece[] = [];
  #aheadBytes = 0;
  #calls: Call[] = [];
  #sent: Call[] = [];

  constructor(from: number | undefined, digest: boolean, ledger: LossLedger, sink: StreamSink) {
    this.account = new Account(from, digest);
    this.announced = from ?? 0;
    this.#ledger = ledger;
    this.#sink = sink;
    this.#lossSeen = ledger.reports;
  }

  /** Delivers what is held, up to `end`: the connection's next event has come, and a send that begins there says how much was taken. */
  flush(end = Infinity): void {
    const held = this.#held;
    if (held === undefined) return;
    const behind = this.#heldBehind;
    this.#held = undefined;
    this.#heldBehind = NO_PIECES;
    trimEnd(held, end);
    if (held.length > 0) this.#deliver(held);
    for (const piece of behind) {
      trimEnd(piece, end);
      if (piece.length > 0) this.#deliver(piece);
    }
  }

  /** `tid` does something else by now: what it sent last was taken, all of it, or an `accepted` would have said otherwise. */
  passed(tid: number): void {
    if (tid === 0 || this.#lastTid !== tid) return;
    this.flush();
    if (this.#calls.length === 0 && !this.waiting) this.#prove(this.account.next);
  }

  /** What was sent before `position` has been taken by now. */
  taken(position: number): void {
    if (this.#held !== undefined && this.#heldEnd <= position) this.flush();
    this.#prove(position);
  }

  /** Bytes are known to have been sent that are not there yet. */
  get waiting(): boolean {
    return this.#ahead.length > 0 || this.#sent.length > 0;
  }

  intent(event: IntentEvent): void {
    this.flush(event.position);
    if (this.#ahead.length > 0) this.#drain(false);
    this.#returned(event.tid);
    this.#stands(event.position, event.atUs, event.tid);
    const call = { tid: event.tid, thread: event.thread ?? event.tid, goroutine: event.goroutine ?? 0, atUs: event.atUs, position: event.position, end: event.position + event.length };
    if (this.#calls.push(call) > maxCalls) this.#calls.shift();
    this.#announce(call.end);
    this.#sink.began('egress', event.position, event.atUs, event.tid, event.tgid);
  }

  data(event: DataEvent | GapEvent): void {
    if (event.kind === 'data' && event.fromPacket) {
      this.flush();
      return this.#packet(event);
    }
    const goesOn = this.#lastGoesOn && this.#lastTid === event.tid;
    this.#lastGoesOn = event.kind === 'data' && event.more;
    if (goesOn && this.#holdsOn(event)) return;
    this.flush(event.position);
    if (this.#ahead.length > 0) this.#drain(false);
    this.#lastTid = event.tid;
    if (!goesOn) this.#lastPosition = event.position;
    const call = this.#callOf(event);
    if (call === undefined) {
      this.#stands(event.position, event.atUs, event.tid);
      this.#sink.began('egress', event.position, event.atUs, event.tid, event.tgid, event.kind === 'data' ? event.bytes : undefined);
    }
    this.#announce(event.position + event.length);
    if (call === undefined && event.kind === 'data' && event.bytes.length >= event.length && event.position === this.account.next) {
      this.#held = pieceOf(event);
      return;
    }
    for (const piece of piecesOf(event)) {
      if (call !== undefined) piece.atUs = call.atUs;
      this.#place(piece, call !== undefined);
    }
    if (call === undefined) return;
    if (event.kind === 'gap' || !event.more) this.#returned(event.tid);
    this.#drain(false);
    this.#prove(event.position + event.length);
  }

  accepted(event: AcceptedEvent): void {
    const end = event.position + event.length;
    this.#lastGoesOn = false;
    this.#returned(event.tid);
    this.flush(end);
    for (const piece of this.#ahead) if (piece.position >= event.position && piece.tid === event.tid) trimEnd(piece, end);
    const last = this.#lastTid === event.tid && this.#lastPosition === event.position;
    if (this.account.next > end && last) this.#takeBack(end);
    this.#drain(false);
    if (!this.#expected(this.account.next)) this.#gapTo(end, event.atUs, event.tid);
    this.announced = Math.max(this.account.next, end);
    this.#prove(end);
  }

  sent(event: SentEvent): void {
    this.flush();
    const call = { tid: event.tid, thread: event.thread ?? event.tid, goroutine: event.goroutine ?? 0, atUs: event.atUs, position: event.position, end: event.position + event.length };
    this.#returned(event.tid);
    if (call.end > this.account.next && this.#sent.push(call) > maxSent) this.#sent.shift();
    this.#announce(call.end);
    this.#sink.named(call);
    this.#sink.began('egress', call.position, call.atUs, call.tid, event.tgid);
    this.#prove(call.end);
    this.#drain(false);
  }

  /** The connection received something, read by `tid`: it is in no send any more, and what is held was sent before. */
  received(tid: number): void {
    this.flush();
    if (this.#calls.length === 0) return;
    this.#returned(tid);
    this.#drain(false);
  }

  /** The process has handed over `final` bytes by now; more may follow unless `over`. */
  stands(final: number, over: boolean, atUs: number, tid: number): void {
    this.flush(final);
    if (over) {
      this.#calls = [];
      if (this.account.next > final && this.account.from !== undefined) this.#takeBack(final);
      this.#drain(true);
      this.#gapTo(final, atUs, tid);
      this.#sent = [];
    }
    this.#prove(final);
  }

  /** The recording ends here: nothing is proven by it. */
  stop(): void {
    this.flush();
    this.#calls = [];
    this.#sent = [];
    this.#drain(true);
  }

  /** Copies what is held out of the recording's blocks. */
  own(copy: (bytes: Uint8Array) => Uint8Array): void {
    if (this.#held?.bytes !== undefined) this.#held.bytes = copy(this.#held.bytes);
    for (const piece of this.#heldBehind) if (piece.bytes !== undefined) piece.bytes = copy(piece.bytes);
    for (const piece of this.#ahead) if (piece.bytes !== undefined) piece.bytes = copy(piece.bytes);
  }

  get #heldEnd(): number {
    return endOf(this.#heldBehind.at(-1) ?? this.#held as Piece);
  }

  /** More of the send that is held back: it waits with it. */
  #holdsOn(event: DataEvent | GapEvent): boolean {
    const held = this.#held;
    if (held === undefined || event.kind !== 'data' || event.bytes.length < event.length || event.position !== this.#heldEnd) return false;
    if (event.position + event.length > held.position + maxHeldBytes) return false;
    if (this.#heldBehind === NO_PIECES) this.#heldBehind = [];
    this.#heldBehind.push(pieceOf(event));
    this.#sink.began('egress', event.position, event.atUs, event.tid, event.tgid);
    this.#announce(event.position + event.length);
    return true;
  }

  /** A send begins at `position`: what lies beyond was not taken, what is missing before is lost (or still on its way). */
  #stands(position: number, atUs: number, tid: number): void {
    if (this.account.from === undefined && this.#ahead.length === 0) this.account.next = position;
    if (position < this.account.next) this.#takeBack(position);
    const waits = this.#ahead.length > 0 || (this.#ledger.reports === this.#lossSeen && this.#expected(this.account.next));
    if (position > this.account.next && !waits) this.#gapTo(position, atUs, tid);
    this.#lossSeen = this.#ledger.reports;
    this.#prove(position);
  }

  #packet(event: DataEvent): void {
    if (this.account.from === undefined && this.#ahead.length === 0) this.account.next = event.position;
    const end = event.position + event.length;
    if (end <= this.account.next) return;
    const known = this.#owner(Math.max(event.position, this.account.next));
    if (known === undefined) this.#sink.began('egress', event.position, event.atUs, 0, 0);
    this.#announce(end);
    for (const piece of piecesOf(event)) this.#place(piece, true);
    this.#drain(false);
    this.#lossSeen = this.#ledger.reports;
    this.#prove(end);
  }

  /** The announced send that these bytes are of. One of the same thread that they lie beyond has returned, and the rest of it was lost. */
  #callOf(event: DataEvent | GapEvent): Call | undefined {
    if (this.#calls.length === 0) return undefined;
    const call = this.#calls.find((one) => one.tid === event.tid);
    if (call === undefined || (call.position <= event.position && event.position < call.end)) return call;
    this.#returned(event.tid);
    return undefined;
  }

  /** Puts a piece where it belongs: first copy wins. */
  #place(piece: Piece, exact: boolean): void {
    trimStart(piece, this.account.next);
    if (piece.length === 0) return;
    if (piece.position > this.account.next) return this.#later(piece);
    if (exact) this.#deliver(piece);
    else this.#hold(piece);
  }

  #hold(piece: Piece): void {
    this.flush();
    this.#held = piece;
  }

  #later(piece: Piece): void {
    let at = this.#ahead.length;
    while (at > 0 && (this.#ahead[at - 1] as Piece).position > piece.position) at -= 1;
    this.#ahead.splice(at, 0, piece);
    this.#aheadBytes += piece.length;
    this.#drain(false);
  }

  /** Delivers what has become contiguous; a hole that nothing will fill becomes a gap. */
  #drain(all: boolean): void {
    while (this.#ahead.length > 0) {
      const first = this.#ahead[0] as Piece;
      if (first.position > this.account.next) {
        const full = this.#aheadBytes > maxAheadBytes || this.#ahead.length > maxAheadPieces;
        const waits = this.#ledger.reports === this.#lossSeen && (first.tid === 0 || this.#expected(this.account.next));
        if (!all && !full && waits) return;
        this.#gapTo(first.position, first.atUs, first.tid);
      }
      this.#ahead.shift();
      this.#aheadBytes -= first.length;
      trimStart(first, this.account.next);
      if (first.length > 0) this.#deliver(first);
    }
  }

  #deliver(piece: Piece): void {
    if (piece.tid === 0 && piece.bytes !== undefined) return this.#deliverNamed(piece);
    this.#hand(piece);
  }

  /** Packets know no thread: each part gets the call that sent it, where that is known. */
  #deliverNamed(piece: Piece): void {
    for (;;) {
      const owner = this.#owner(piece.position);
      if (owner === undefined) return this.#hand(piece);
      const part = { ...piece, tid: owner.tid, thread: owner.thread, goroutine: owner.goroutine, atUs: owner.atUs, more: endOf(piece) < owner.end };
      trimEnd(part, owner.end);
      this.#hand(part);
      trimStart(piece, owner.end);
      if (piece.length === 0) return;
    }
  }

  #hand(piece: Piece): void {
    const gap = this.account.add(piece);
    if (gap?.cause === 'unknown') this.#ledger.unexplained(gap, piece.atUs);
    this.#sink.piece('egress', piece);
    if (this.#sent.length > 0) this.#sent = this.#sent.filter((call) => call.end > this.account.next);
  }

  #gapTo(position: number, atUs: number, tid: number): void {
    const next = this.account.next;
    if (position <= next) return;
    let cause = this.#ledger.causeSince(this.#lossSeen);
    if (cause === 'unknown' && this.#owner(next) !== undefined) cause = 'not-transmitted';
    this.#hand({ position: next, length: position - next, atUs, tid, thread: threadOf(tid), goroutine: 0, bytes: undefined, cause, more: false });
  }

  #takeBack(position: number): void {
    for (const piece of this.#ahead) trimEnd(piece, position);
    this.#ahead = this.#ahead.filter((piece) => piece.length > 0);
    this.#aheadBytes = this.#ahead.reduce((sum, piece) => sum + piece.length, 0);
    if (position >= this.account.next || !this.account.takeBack(position)) return;
    this.announced = position;
    this.#sink.takenBack(position);
  }

  #owner(position: number): Call | undefined {
    if (this.#sent.length === 0) return undefined;
    return this.#sent.find((call) => call.position <= position && position < call.end);
  }

  /** The bytes at `position` are still on their way: a call has not returned, or packets were announced. */
  #expected(position: number): boolean {
    if (this.#calls.length === 0 && this.#sent.length === 0) return false;
    return this.#owner(position) !== undefined || this.#calls.some((call) => call.position <= position && position < call.end);
  }

  #returned(tid: number): void {
    if (this.#calls.length > 0) this.#calls = this.#calls.filter((call) => call.tid !== tid);
  }

  #announce(end: number): void {
    if (end > this.announced) this.announced = end;
  }

  #prove(position: number): void {
    if (position <= this.#proven) return;
    this.#proven = position;
    this.#sink.proven(position);
  }
}
