/**
 * Cuts one connection into talks: by framing while that is sure, else by the turn of direction.
 *
 *   turn      client bytes after server bytes begin a new talk; all else extends the one that is open
 *             (TLS: only what is application data asks or answers)
 *   framing   the k-th request and the k-th response are a talk, however they arrive (pipelining, early answers)
 *   stream    where the protocol carries several calls at a time, each by itself: `multiplex.ts`
 *
 * Until the protocol is known the connection is cut by turn and its pieces are remembered, to be framed afterwards. Egress that
 * has begun but is not there yet (packets, a blocked send) finds its talk by position: `cutAt` of the talk before it.
 */
import type { Connection } from '../connections/connection.ts';
import type { Piece } from '../connections/piece.ts';
import type { ConnectionEnd, Naming, StreamSink } from '../connections/sink.ts';
import type { Direction } from '../events/event.ts';
import type { Protocol, Side, Turns } from '../protocols/protocol.ts';
import type { Splitter } from '../protocols/splitter.ts';
import { Framing, type Opener } from './framing.ts';
import { Multiplex } from './multiplex.ts';
import type { OpenTalk } from './open-talk.ts';
import { TalkQueue } from './queue.ts';
import { RecognitionLog } from './recognition.ts';
import type { Recognise } from './recognition.ts';
import type { RunLimits } from './run.ts';
import type { Opening, TalkSink } from './sink.ts';
import { Unsettled } from './unsettled.ts';

export interface CutterOptions extends RunLimits {
  readonly recognise: Recognise;
}

/** Requests of one connection without an answer. Past that framing is given up (a client that never reads answers). */
export const maxUnanswered = 10_000;
/** How often a connection that was joined in mid-stream, or had a gap, is looked at again for its protocol. */
const maxResyncs = 16;

export class Cutter<T extends OpenTalk> implements StreamSink, Opener<T> {
  protocol: Protocol | undefined;
  readonly #connection: Connection;
  readonly #sink: TalkSink<T>;
  readonly #options: CutterOptions;
  readonly #talks: TalkQueue<T>;
  readonly #unsettled: Unsettled<T>;
  #framing: Framing<T> | undefined;
  #multiplex: Multiplex<T> | undefined;
  #streamed = false;
  /** Whose the read is whose bytes will tell. */
  #readerTgid = 0;
  #log: RecognitionLog | undefined;
  #resyncs = 0;
  #resync = false;

  constructor(connection: Connection, sink: TalkSink<T>, options: CutterOptions) {
    this.#connection = connection;
    this.#sink = sink;
    this.#options = options;
    this.#unsettled = new Unsettled(sink);
    this.#talks = new TalkQueue(connection, sink, this.#unsettled);
    this.#log = new RecognitionLog(options.recognise);
    this.#resync = !connection.whole;
  }

  /** Talks that set the connection up, in order: its prologue. */
  get setups(): readonly T[] {
    return this.#talks.setups;
  }

  began(direction: Direction, position: number, atUs: number, tid: number, tgid: number, peek?: Uint8Array): void {
    if (direction === 'egress' && position < this.#connection.egress.account.next) return;
    if (this.#multiplex !== undefined) return this.#multiplex.began(direction, position, atUs, tid, tgid, peek);
    const asks = direction === this.#clientDirection();
    // Its bytes are as good as here, and tell whether it asks.
    if (asks && direction === 'ingress' && this.#talks.turns?.answered === true) {
      this.#readerTgid = tgid;
      return;
    }
    const talk = asks ? this.#asking(position, atUs, tgid) : this.#answering(atUs, tgid);
    const first = asks && talk.request.empty && !this.#connection.egress.waiting;
    if (first) {
      talk.begunAtUs = atUs;
      if (tgid !== 0) talk.begunTgid = tgid;
    }
    if (!asks) talk.responded = true;
    this.#sink.spoke(talk, asks ? 'request' : 'response', atUs, tid, tgid);
  }

  piece(direction: Direction, piece: Piece): void {
    if (this.#multiplex !== undefined) return this.#toStreams(direction, piece);
    const side: Side = direction === this.#clientDirection() ? 'client' : 'server';
    const { position, length, bytes } = piece;
    const asks = this.#talks.turns === undefined ? side === 'client' : this.#turn(side, piece);
    const { last } = this.#talks;
    const talk = this.#talkOf(side, direction, piece);
    if (side === 'server') talk.responded = true;
    if (this.#log !== undefined) this.#log.add(side, position, length, bytes);
    (side === 'client' ? talk.request : talk.response).add(piece, this.#options);
    // A part of a send that was held back as a whole: when it began, the talk before this one was not known to be over.
    if (talk !== last && side === 'client' && direction === 'egress' && this.#framing !== undefined) this.#sink.spoke(talk, 'request', piece.atUs, piece.tid, talk.begunTgid);
    if (this.#framing !== undefined) return this.#frame(side, position, length, bytes);
    if (this.#log !== undefined) this.#decide();
    else if (asks) this.#talks.isCall(talk);
    if (talk.cutAt !== undefined && direction === 'egress' && position + length >= talk.cutAt) this.#talks.finish(talk);
  }

  takenBack(position: number): void {
    if (this.#multiplex !== undefined) {
      this.#multiplex.takenBack(position);
      this.#loseStreams('bytes were taken back');
    }
    for (const talk of this.#talks.recent) talk.sent.splitAt(position);
    this.#talks.turns = undefined;
    if (this.#framing !== undefined) this.#loseFraming('bytes were taken back');
  }

  named(call: Naming): void {
    this.#unsettled.named(call, [...this.#talks.recent, ...(this.#multiplex?.open ?? [])]);
  }

  proven(position: number): void {
    this.#unsettled.proven(position);
  }

  finished(direction: Direction): void {
    const side = direction === this.#clientDirection() ? 'client' : 'server';
    this.#framing?.end(side);
    if (side === 'client') this.#talks.saidAll();
  }

  closed(end: ConnectionEnd | undefined): void {
    this.#multiplex?.closed(end);
    if (end !== undefined && end.kind !== 'fin') this.#talks.failed(end);
    if (this.#log?.empty === false) this.#unknown();
    this.#talks.closed(end);
  }

  /** Copies bytes out of the recording's blocks; forgets what was given out. */
  own(copy: (bytes: Uint8Array) => Uint8Array, isGone: (talk: T) => boolean): void {
    this.#multiplex?.own(copy);
    this.#talks.own(copy, isGone);
  }

  /** Where it is cut by streams, the talk of one that is not over. */
  talkOf(stream: number): T | undefined {
    return this.#multiplex?.talkOf(stream);
  }

  /** The talk without an answer whose request holds the byte at `position`, or is the last to be made: what a live tracker asks for. */
  askingAt(position: number): T | undefined {
    if (this.#multiplex !== undefined) return this.#multiplex.askingAt(position);
    for (const talk of this.#talks.talks) if (!talk.request.empty && talk.request.from <= position && position < talk.request.end) return talk;
    const { last } = this.#talks;
    return last === undefined || last.unasked ? undefined : last;
  }

  open(atUs: number, tgid: number, opening: Opening = 'request'): T {
    if (this.#talks.talks.length >= maxUnanswered) this.#loseFraming(`more than ${maxUnanswered} requests without an answer`);
    if (this.#framing === undefined && this.#log === undefined && this.#resync && this.#resyncs < maxResyncs) {
      this.#resyncs += 1;
      this.#log = new RecognitionLog(this.#options.recognise);
    }
    const talk = this.#talks.open(atUs, tgid, opening);
    talk.protocol = this.protocol;
    talk.framed = this.#framing !== undefined;
    return talk;
  }

  openUnasked(atUs: number, tgid: number): T {
    const opening = this.#talks.unaskedOpening;
    const talk = this.open(atUs, tgid, opening);
    if (opening === 'greeting') this.#talks.isSetup(talk);
    return talk;
  }

  #clientDirection(): Direction {
    return this.#talks.inbound ? 'ingress' : 'egress';
  }

  /** The talk that request bytes at `position` belong to: a new one when the last is answered. */
  #asking(position: number, atUs: number, tgid: number): T {
    const { last, turns } = this.#talks;
    if (last === undefined) return this.open(atUs, tgid);
    if (this.#framing !== undefined) {
      if (last.unasked) this.#talks.cut(last, position);
      return last.requestDone || last.unasked ? this.open(atUs, tgid) : last;
    }
    if (!(turns?.answered ?? last.responded) && !last.requestDone) return last;
    if (this.#log !== undefined && !last.unasked) this.#unknown();
    this.#talks.cut(last, position);
    return this.open(atUs, tgid);
  }

  #answering(atUs: number, tgid: number): T {
    const talk = this.#framing === undefined ? this.#talks.last : this.#talks.unanswered;
    return talk ?? this.openUnasked(atUs, tgid);
  }

  /** True where the client asks by it; then the talk that it asks in is open. */
  #turn(side: Side, { position, length, bytes, atUs, tid }: Piece): boolean {
    const turns = this.#talks.turns as Turns;
    const { answered, asked } = turns;
    const followed = bytes !== undefined || turns.gap(side, length);
    if (!followed) this.#talks.turns = undefined;
    const asks = side === 'client' && (bytes === undefined ? !followed : turns.push(side, bytes));
    if (bytes !== undefined && side === 'server') turns.push(side, bytes);
    if (!asks || (asked && !answered)) return asks;
    let talk = this.#talks.last;
    const { inbound } = this.#talks;
    const tgid = this.#readerTgid || this.#connection.open.tgid;
    if (answered && inbound && talk !== undefined) {
      this.#talks.cut(talk, position);
      talk = this.open(atUs, tgid);
    }
    if (talk === undefined) return asks;
    talk.responded = false; // what the server said before was no answer
    if (inbound) this.#sink.spoke(talk, 'request', atUs, tid, tgid);
    return asks;
  }

  #talkOf(side: Side, direction: Direction, piece: Piece): T {
    const { atUs } = piece;
    const tgid = this.#connection.open.tgid;
    const { last, talks } = this.#talks;
    if (this.#framing !== undefined) {
      if (side === 'server') return this.#talks.unanswered ?? this.openUnasked(atUs, tgid);
      return last === undefined || last.requestDone ? this.open(atUs, tgid) : last;
    }
    if (direction === 'egress') {
      for (const talk of talks) if (talk.cutAt === undefined || piece.position < talk.cutAt) return talk;
    } else if (last !== undefined) return last;
    return side === 'client' ? this.open(atUs, tgid) : this.openUnasked(atUs, tgid);
  }

  #decide(): void {
    const found = (this.#log as RecognitionLog).recognise(this.#connection.serverPort);
    if (found === 'more') return;
    if (found === undefined) return this.#unknown();
    const log = this.#log as RecognitionLog;
    this.#log = undefined;
    this.protocol = found;
    this.#connection.serverName = found.serverName?.(log.head('client'));
    if (found.splitter !== undefined) return this.#multiplexed(found, found.splitter(log.head('client')));
    const framing = (this.#framing = new Framing(found.framer(), this.#talks, this, this.#sink, this.#options));
    this.#talks.turns = found.turns?.();
    for (const { side, length, bytes } of this.#talks.turns === undefined ? [] : log.pieces) {
      if (bytes !== undefined) this.#talks.turns?.push(side, bytes);
      else if (this.#talks.turns?.gap(side, length) === false) this.#talks.turns = undefined;
    }
    for (const talk of this.#talks.talks) {
      talk.protocol = found;
      talk.framed = framing.sure;
    }
    if (!framing.sure) return this.#loseFraming(framing.unsureBecause, false);
    this.#resync = false;
    this.#connection.framed = true;
    for (const { side, position, length, bytes } of log.pieces) {
      this.#frame(side, position, length, bytes);
      if (this.#framing === undefined) return;
    }
  }

  /** From here on it is cut by stream. What was said before that was known belongs to the connection, or is handed on anew. */
  #multiplexed(protocol: Protocol, splitter: Splitter): void {
    // Where it was cut by stream before, its prologue is whole.
    const again = this.#streamed;
    this.#streamed = true;
    const talks = new Set([...(again ? [] : this.setups), ...this.#talks.talks]);
    const requests = [...talks].flatMap((talk) => [...talk.request.splitAt(0)]);
    const responses = [...talks].flatMap((talk) => [...talk.response.splitAt(0)]);
    const begun = this.#talks.talks.splice(0).filter((talk) => !talk.setup && !talk.unasked);
    this.#connection.framed = this.#connection.multiplexed = true;
    this.#resync = false;
    for (const talk of begun) {
      talk.protocol = protocol;
      talk.framed = true;
      talk.responded = false;
    }
    const client = this.#clientDirection();
    if (this.setups.length === 0 && !again) {
      const { open } = this.#connection;
      this.#talks.isSetup(this.#sink.opened(this.#connection, client === 'ingress', 'greeting', false, requests[0]?.atUs ?? open.atUs, open.tgid));
    }
    const [prologue] = again ? [] : this.setups;
    if (prologue !== undefined) {
      prologue.protocol = protocol;
      prologue.unasked = true;
    }
    // Whoever read the preface has taken up no request by that: those that are begun from here on are whose the streams are.
    const outbound = begun.find((talk) => !talk.inbound);
    for (const talk of begun) if (talk !== outbound) this.#sink.dropped(talk);
    this.#multiplex = new Multiplex(this.#connection, this.#sink, this.#options, protocol, splitter, client, this.#unsettled, prologue, outbound);
    for (const piece of requests) this.#toStreams(client, piece);
    for (const piece of responses) this.#toStreams(client === 'ingress' ? 'egress' : 'ingress', piece);
  }

  #toStreams(direction: Direction, piece: Piece): void {
    const multiplex = this.#multiplex;
    if (multiplex === undefined) return this.piece(direction, piece);
    if (multiplex.piece(direction, piece)) return;
    this.#resync = true;
    this.#loseStreams(multiplex.unsureBecause);
  }

  /** From here on the turn of direction cuts. */
  #loseStreams(because: string): void {
    const left = this.#multiplex?.giveUp(because) ?? [];
    this.#multiplex = undefined;
    this.#connection.multiplexed = false;
    for (const [direction, piece] of left) this.piece(direction, piece);
  }

  /** No protocol that we know: the turn of direction cuts. */
  #unknown(): void {
    this.#log = undefined;
    for (const talk of this.#talks.talks) if (!talk.request.empty) this.#talks.isCall(talk);
  }

  #frame(side: Side, position: number, length: number, bytes: Uint8Array | undefined): void {
    const framing = this.#framing as Framing<T>;
    framing.push(side, position, length, bytes);
    if (this.#framing === undefined || framing.sure) return;
    this.#resync = bytes === undefined;
    this.#talks.turns = framing.turns;
    this.#loseFraming(framing.unsureBecause);
  }

  /** From here on the turn of direction cuts. Of requests that wait for an answer, only the last can be followed that way. */
  #loseFraming(because: string, wasSure = true): void {
    this.#framing?.stop();
    this.#framing = undefined;
    const waiting = [...this.#talks.talks];
    for (const talk of waiting) {
      talk.framed = false;
      if (wasSure && waiting.length > 1) talk.unframed = because;
      if (!talk.request.empty && !talk.setup) this.#talks.isCall(talk);
      if (talk !== waiting[waiting.length - 1]) this.#talks.finish(talk);
    }
  }
}
