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
import type { Frame, Framer, Protocol, Side, Turns } from '../protocols/protocol.ts';
import type { Splitter } from '../protocols/splitter.ts';
import { Multiplex } from './multiplex.ts';
import type { OpenTalk } from './open-talk.ts';
import { RecognitionLog } from './recognition.ts';
import type { Recognise } from './recognition.ts';
import type { RunLimits } from './run.ts';
import type { Opening, TalkSink } from './sink.ts';
import { shorten, Unsettled } from './unsettled.ts';

export interface CutterOptions extends RunLimits {
  readonly recognise: Recognise;
}

/** Requests of one connection without an answer. Past that framing is given up (a client that never reads answers). */
export const maxUnanswered = 10_000;
/** How often a connection that was joined in mid-stream, or had a gap, is looked at again for its protocol. */
const maxResyncs = 16;

export class Cutter<T extends OpenTalk> implements StreamSink {
  protocol: Protocol | undefined;
  /** Talks that set the connection up, in order: its prologue. */
  readonly setups: T[] = [];
  readonly #connection: Connection;
  readonly #sink: TalkSink<T>;
  readonly #options: CutterOptions;
  /** Talks that are not over, oldest first. */
  readonly #queue: T[] = [];
  readonly #unsettled: Unsettled<T>;
  /** The one that was over last, and whether it lacked bytes. */
  #last: T | undefined;
  #doubt = false;
  #client: Direction | undefined;
  #framer: Framer | undefined;
  /** Of a protocol that is opaque: who asks. Undefined: whoever speaks. */
  #turns: Turns | undefined;
  /** Whose the read is whose bytes will tell. */
  #readerTgid = 0;
  #multiplex: Multiplex<T> | undefined;
  #streamed = false;
  #log: RecognitionLog | undefined;
  /** Stream positions of the first byte that the framer was given. */
  #clientBase = -1;
  #serverBase = -1;
  #calls = 0;
  #opened = 0;
  #resyncs = 0;
  #resync = false;
  readonly #frames: Frame[] = [];

  constructor(connection: Connection, sink: TalkSink<T>, options: CutterOptions) {
    this.#connection = connection;
    this.#sink = sink;
    this.#options = options;
    this.#unsettled = new Unsettled(sink);
    this.#log = new RecognitionLog(options.recognise);
    this.#resync = !connection.whole;
  }

  began(direction: Direction, position: number, atUs: number, tid: number, tgid: number, peek?: Uint8Array): void {
    if (direction === 'egress' && position < this.#connection.egress.account.next) return;
    if (this.#multiplex !== undefined) return this.#multiplex.began(direction, position, atUs, tid, tgid, peek);
    const asks = direction === this.#clientDirection();
    // Its bytes are as good as here, and tell whether it asks.
    if (asks && direction === 'ingress' && this.#turns?.answered === true) {
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
    const asks = this.#turns === undefined ? side === 'client' : this.#turn(side, piece);
    const talk = this.#talkOf(side, direction, piece);
    if (side === 'server') talk.responded = true;
    if (this.#log !== undefined) this.#log.add(side, position, length, bytes);
    (side === 'client' ? talk.request : talk.response).add(piece, this.#options);
    if (this.#framer !== undefined) return this.#feed(side, position, length, bytes);
    if (this.#log !== undefined) this.#decide();
    else if (asks) this.#isCall(talk);
    if (talk.cutAt !== undefined && direction === 'egress' && position + length >= talk.cutAt) this.#finish(talk);
  }

  takenBack(position: number): void {
    if (this.#multiplex !== undefined) {
      this.#multiplex.takenBack(position);
      this.#loseStreams('bytes were taken back');
    }
    const talks = this.#last === undefined ? this.#queue : [...this.#queue, this.#last];
    for (const talk of talks) talk.sent.splitAt(position);
    this.#turns = undefined;
    if (this.#framer !== undefined) this.#loseFraming('bytes were taken back');
  }

  named(call: Naming): void {
    this.#unsettled.named(call, [...this.#queue, ...(this.#last === undefined ? [] : [this.#last]), ...(this.#multiplex?.open ?? [])]);
  }

  proven(position: number): void {
    this.#unsettled.proven(position);
  }

  finished(direction: Direction): void {
    if (this.#framer === undefined) return;
    const side = direction === this.#clientDirection() ? 'client' : 'server';
    this.#framer.end(side, this.#frames);
    this.#takeFrames();
  }

  closed(end: ConnectionEnd | undefined): void {
    this.#clientDirection();
    this.#multiplex?.closed(end);
    if (end !== undefined && this.#opened === 0 && end.kind !== 'fin') this.#failed(end);
    if (this.#log?.empty === false) this.#unknown();
    // Who spoke before the end is who met it: the talk at hand, or, where there is none, the one that was over last.
    if (end !== undefined && this.#last !== undefined && this.#queue.every((talk) => talk.empty || this.#isGoodbye(talk))) this.#last.end = end;
    for (const talk of [...this.#queue]) {
      if (end !== undefined) talk.end = end;
      this.#finish(talk, end !== undefined);
    }
    if (this.#calls === 0 && end !== undefined) this.#onlySetUp();
    this.#last = undefined;
  }

  /** Copies bytes out of the recording's blocks; forgets what was given out. */
  own(copy: (bytes: Uint8Array) => Uint8Array, isGone: (talk: T) => boolean): void {
    if (this.#last !== undefined && isGone(this.#last)) this.#last = undefined;
    this.#multiplex?.own(copy);
    for (const talk of this.#queue) {
      talk.request.own(copy);
      talk.response.own(copy);
    }
    for (const talk of this.setups) {
      talk.request.own(copy);
      talk.response.own(copy);
    }
  }

  /** The talk without an answer whose request holds the byte at `position`, or is the last to be made: what a live tracker asks for. */
  askingAt(position: number): T | undefined {
    if (this.#multiplex !== undefined) return this.#multiplex.askingAt(position);
    for (const talk of this.#queue) if (!talk.request.empty && talk.request.from <= position && position < talk.request.end) return talk;
    const last = this.#queue[this.#queue.length - 1];
    return last === undefined || last.unasked ? undefined : last;
  }

  #clientDirection(): Direction {
    return (this.#client ??= this.#connection.role === 'inbound' ? 'ingress' : 'egress');
  }

  /** The talk that request bytes at `position` belong to: a new one when the last is answered. */
  #asking(position: number, atUs: number, tgid: number): T {
    const last = this.#queue[this.#queue.length - 1];
    if (last === undefined) return this.#open(atUs, tgid);
    if (this.#framer !== undefined) {
      if (last.unasked) this.#cut(last, position);
      return last.requestDone || last.unasked ? this.#open(atUs, tgid) : last;
    }
    if (!(this.#turns?.answered ?? last.responded) && !last.requestDone) return last;
    if (this.#log !== undefined && !last.unasked) this.#unknown();
    this.#cut(last, position);
    return this.#open(atUs, tgid);
  }

  /** True where the client asks by it; then the talk that it asks in is open. */
  #turn(side: Side, { position, length, bytes, atUs, tid }: Piece): boolean {
    const turns = this.#turns as Turns;
    const { answered, asked } = turns;
    const followed = bytes !== undefined || turns.gap(side, length);
    if (!followed) this.#turns = undefined;
    const asks = side === 'client' && (bytes === undefined ? !followed : turns.push(side, bytes));
    if (bytes !== undefined && side === 'server') turns.push(side, bytes);
    if (!asks || (asked && !answered)) return asks;
    let talk = this.#queue[this.#queue.length - 1];
    const inbound = this.#clientDirection() === 'ingress';
    const tgid = this.#readerTgid || this.#connection.open.tgid;
    if (answered && inbound && talk !== undefined) {
      this.#cut(talk, position);
      talk = this.#open(atUs, tgid);
    }
    if (talk === undefined) return asks;
    talk.responded = false; // what the server said before was no answer
    if (inbound) this.#sink.spoke(talk, 'request', atUs, tid, tgid);
    return asks;
  }

  /** It asked nothing, on a connection where others did: an alert. */
  #isGoodbye(talk: T): boolean {
    return this.#turns?.everAsked === true && !talk.inbound && !talk.called;
  }

  #answering(atUs: number, tgid: number): T {
    const talk = this.#framer === undefined ? this.#queue[this.#queue.length - 1] : this.#head();
    return talk ?? this.#openUnasked(atUs, tgid);
  }

  #head(): T | undefined {
    for (const talk of this.#queue) if (!talk.responseDone) return talk;
    return undefined;
  }

  #talkOf(side: Side, direction: Direction, piece: Piece): T {
    const { atUs } = piece;
    const tgid = this.#connection.open.tgid;
    if (this.#framer !== undefined) {
      if (side === 'server') return this.#head() ?? this.#openUnasked(atUs, tgid);
      const last = this.#queue[this.#queue.length - 1];
      return last === undefined || last.requestDone ? this.#open(atUs, tgid) : last;
    }
    if (direction === 'egress') {
      for (const talk of this.#queue) if (talk.cutAt === undefined || piece.position < talk.cutAt) return talk;
    } else if (this.#queue.length > 0) return this.#queue[this.#queue.length - 1] as T;
    return side === 'client' ? this.#open(atUs, tgid) : this.#openUnasked(atUs, tgid);
  }

  #open(atUs: number, tgid: number, opening: Opening = 'request'): T {
    if (this.#queue.length >= maxUnanswered) this.#loseFraming(`more than ${maxUnanswered} requests without an answer`);
    if (this.#framer === undefined && this.#log === undefined && this.#resync && this.#resyncs < maxResyncs) {
      this.#resyncs += 1;
      this.#log = new RecognitionLog(this.#options.recognise);
    }
    const inbound = this.#clientDirection() === 'ingress';
    const last = this.#queue[this.#queue.length - 1];
    const follows = last !== undefined && !last.responseDone;
    const talk = this.#sink.opened(this.#connection, inbound, opening, follows, atUs, tgid || this.#connection.open.tgid);
    talk.protocol = this.protocol;
    talk.framed = this.#framer !== undefined;
    talk.joined = this.#opened === 0 && !this.#connection.whole;
    talk.doubtful = this.#doubt;
    if (opening !== 'request') talk.unasked = talk.requestDone = true;
    this.#opened += 1;
    this.#queue.push(talk);
    return talk;
  }

  /** The server speaks and nobody asked: its greeting, a push, or the answer to what was asked before the recorder came. */
  #openUnasked(atUs: number, tgid: number): T {
    const opening = this.#opened > 0 ? 'push' : this.#connection.whole ? 'greeting' : 'late';
    const talk = this.#open(atUs, tgid, opening);
    if (opening === 'greeting') this.#isSetup(talk);
    return talk;
  }

  #isSetup(talk: T): void {
    talk.setup = true;
    this.setups.push(talk);
  }

  #isCall(talk: T): void {
    if (talk.inbound || talk.unasked || talk.called) return;
    talk.called = true;
    this.#calls += 1;
    this.#sink.called(talk);
  }

  /** A connection that failed before it carried a byte is a call that failed. */
  #failed(end: ConnectionEnd): void {
    if (this.#clientDirection() === 'ingress') return;
    const { open } = this.#connection;
    const talk = this.#open(open.atUs, open.tgid);
    this.#sink.spoke(talk, 'request', open.atUs, open.tid, open.tgid);
    talk.end = end;
    this.#isCall(talk);
  }

  /** Nothing but set-up, and then it ended, while somebody was still at work who had opened it: it is what was called (a login that failed). */
  #onlySetUp(): void {
    if (!this.setups.some((talk) => this.#sink.isAwaited(talk))) return;
    for (const talk of this.setups.splice(0)) {
      if (talk.negotiates) this.setups.push(talk);
      if (talk.inbound || talk.unasked || talk.negotiates) continue;
      talk.setup = false;
      this.#isCall(talk);
      this.#sink.over(talk);
      if (talk.settled) this.#sink.settled(talk);
    }
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
    this.#framer = found.framer();
    this.#turns = found.turns?.();
    for (const { side, length, bytes } of this.#turns === undefined ? [] : log.pieces) {
      if (bytes !== undefined) this.#turns?.push(side, bytes);
      else if (this.#turns?.gap(side, length) === false) this.#turns = undefined;
    }
    for (const talk of this.#queue) {
      talk.protocol = found;
      talk.framed = this.#framer.sure;
    }
    this.#clientBase = this.#serverBase = -1;
    if (!this.#framer.sure) return this.#loseFraming(this.#framer.unsureBecause ?? 'not framed', false);
    this.#resync = false;
    this.#connection.framed = true;
    for (const { side, position, length, bytes } of log.pieces) {
      this.#feed(side, position, length, bytes);
      if (this.#framer === undefined) return;
    }
  }

  /** From here on it is cut by stream. What was said before that was known belongs to the connection, or is handed on anew. */
  #multiplexed(protocol: Protocol, splitter: Splitter): void {
    // Where it was cut by stream before, its prologue is whole.
    const again = this.#streamed;
    this.#streamed = true;
    const talks = new Set([...(again ? [] : this.setups), ...this.#queue]);
    const requests = [...talks].flatMap((talk) => [...talk.request.splitAt(0)]);
    const responses = [...talks].flatMap((talk) => [...talk.response.splitAt(0)]);
    const begun = this.#queue.splice(0).filter((talk) => !talk.setup && !talk.unasked);
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
      this.#isSetup(this.#sink.opened(this.#connection, client === 'ingress', 'greeting', false, requests[0]?.atUs ?? open.atUs, open.tgid));
    }
    const [prologue] = again ? [] : this.setups;
    if (prologue !== undefined) {
      prologue.protocol = protocol;
      prologue.unasked = true;
    }
    this.#multiplex = new Multiplex(this.#connection, this.#sink, this.#options, protocol, splitter, client, this.#unsettled, prologue, begun[0]);
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
    for (const talk of this.#queue) if (!talk.request.empty) this.#isCall(talk);
  }

  #feed(side: Side, position: number, length: number, bytes: Uint8Array | undefined): void {
    const framer = this.#framer as Framer;
    if (side === 'client') {
      if (this.#clientBase < 0) this.#clientBase = position;
    } else if (this.#serverBase < 0) this.#serverBase = position;
    if (bytes === undefined) framer.gap(side, length, this.#frames);
    else framer.push(side, bytes, this.#frames);
    this.#takeFrames();
    if (this.#framer === undefined || framer.sure) return;
    this.#resync = bytes === undefined;
    this.#turns = framer.turns;
    this.#loseFraming(framer.unsureBecause ?? 'not framed');
  }

  #takeFrames(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    for (let at = 0; at < frames.length; at += 1) {
      const frame = frames[at] as Frame;
      if (frame.side === 'client') this.#requestFrame(frame);
      else this.#responseFrame(frame);
    }
    shorten(frames, 0);
  }

  #requestFrame(frame: Frame): void {
    const talk = this.#queue[this.#queue.length - 1];
    if (talk === undefined || talk.requestDone) return;
    const rest = talk.request.splitAt(this.#clientBase + frame.end);
    talk.requestDone = talk.requestFramed = true;
    if (frame.role === 'oneway') talk.responseDone = true;
    talk.negotiates = frame.negotiates === true;
    if (frame.setup === true && this.#calls === 0 && !talk.inbound) this.#isSetup(talk);
    else this.#isCall(talk);
    if (talk.responseDone) this.#finish(talk);
    const first = rest[0];
    if (first === undefined) return;
    const next = this.#open(first.atUs, talk.begunTgid);
    for (const piece of rest) next.request.add(piece, this.#options);
    this.#sink.spoke(next, 'request', first.atUs, first.tid, talk.begunTgid);
  }

  #responseFrame(frame: Frame): void {
    if (frame.role === 'interim') return;
    const talk = this.#head();
    if (talk === undefined) return;
    if (frame.role === 'push' && !talk.unasked) return this.#pushFrame(talk, frame);
    if (frame.role === 'greeting' && !talk.unasked) return;
    const rest = talk.response.splitAt(this.#serverBase + frame.end);
    talk.responseDone = true;
    if (talk.requestDone) this.#finish(talk);
    const first = rest[0];
    if (first === undefined) return;
    const next = this.#head() ?? this.#openUnasked(first.atUs, talk.begunTgid);
    for (const piece of rest) next.response.add(piece, this.#options);
    next.responded = true;
    this.#sink.spoke(next, 'response', first.atUs, first.tid, talk.begunTgid);
  }

  /** What the server said unasked, in the middle of `talk`, is a talk of its own. */
  #pushFrame(talk: T, frame: Frame): void {
    const pushed = talk.response.splitAt(this.#serverBase + frame.start);
    const first = pushed[0];
    if (first === undefined) return;
    const push = this.#openUnasked(first.atUs, talk.begunTgid);
    for (const piece of pushed) push.response.add(piece, this.#options);
    for (const piece of push.response.splitAt(this.#serverBase + frame.end)) talk.response.add(piece, this.#options);
    talk.responded = !talk.response.empty;
    push.responseDone = true;
    this.#finish(push);
  }

  /** From here on the turn of direction cuts. Of requests that wait for an answer, only the last can be followed that way. */
  #loseFraming(because: string, wasSure = true): void {
    this.#framer = undefined;
    this.#frames.length = 0;
    const waiting = [...this.#queue];
    for (const talk of waiting) {
      talk.framed = false;
      if (wasSure && waiting.length > 1) talk.unframed = because;
      if (!talk.request.empty && !talk.setup) this.#isCall(talk);
      if (talk !== waiting[waiting.length - 1]) this.#finish(talk);
    }
  }

  /** `talk` is over by turn: what is sent from here on is another's. */
  #cut(talk: T, position: number): void {
    talk.requestDone = talk.responseDone = true;
    const { egress } = this.#connection;
    talk.cutAt = this.#clientDirection() === 'ingress' ? egress.announced : position;
    if (egress.account.next >= talk.cutAt || talk.unasked) this.#finish(talk);
  }

  /** `whole` false: the recording ended before the talk did. */
  #finish(talk: T, whole = true): void {
    if (this.#queue[0] === talk) this.#queue.shift();
    else {
      const at = this.#queue.indexOf(talk);
      if (at < 0) return;
      this.#queue.splice(at, 1);
    }
    this.#last = talk;
    this.#doubt = talk.request.holed || (talk.response.holed && !talk.requestFramed);
    if (talk.request.holed || talk.response.holed) for (const behind of this.#queue) behind.doubtful = true;
    if (talk.empty && talk.end?.errno === undefined && talk.end?.kind !== 'reset') return this.#sink.dropped(talk);
    if (this.#isGoodbye(talk)) return this.#sink.dropped(talk);
    if (!talk.unasked && !talk.setup) this.#isCall(talk);
    talk.over = whole;
    talk.end ??= this.#connection.end;
    this.#sink.over(talk);
    if (whole) this.#unsettled.add(talk);
  }
}
