/**
 * Cuts a connection that carries several calls at a time (HTTP/2): each talk is the frames of one stream, wherever they lie between
 * those of others. What is of no stream is the connection's own: what came before a side's first call is its prologue, what comes
 * later (acknowledgements, flow control, pings) is in the connection's account and in no talk.
 *
 * Whose a call is, is asked when the write that opens it begins. What that write holds is looked at already then (it is handed on
 * when it is known how much of it the kernel took); where it can't be, a talk stands in for whatever it will open. Where the writer
 * opens streams for others, and who asked is known of one, it is that one's.
 */
import type { Connection } from '../connections/connection.ts';
import { endOf } from '../connections/piece.ts';
import type { Piece } from '../connections/piece.ts';
import type { ConnectionEnd } from '../connections/sink.ts';
import type { Direction } from '../events/event.ts';
import type { Field } from '../protocols/hpack.ts';
import type { Protocol, Side } from '../protocols/protocol.ts';
import { NO_ERROR } from '../protocols/splitter.ts';
import type { Cut, PartRole, Splitter } from '../protocols/splitter.ts';
import { Half } from './half.ts';
import type { OpenTalk } from './open-talk.ts';
import { Openings } from './openings.ts';
import type { RunLimits } from './run.ts';
import type { Opening, TalkSink } from './sink.ts';
import type { Unsettled } from './unsettled.ts';

/** Calls of one connection at a time. Past that it is not cut into calls any more. */
export const maxStreams = 10_000;

export class Multiplex<T extends OpenTalk> {
  readonly #connection: Connection;
  readonly #sink: TalkSink<T>;
  readonly #protocol: Protocol;
  readonly #splitter: Splitter;
  readonly #client: Direction;
  readonly #halves: Record<Side, Half<T>>;
  readonly #streams = new Map<number, T>();
  /** Streams that the recorder came too late for, and has seen answered. */
  readonly #late = new Set<number>();
  /** Of those that the client was seen to open, the first and the last: their numbers rise. */
  #firstStream = Infinity;
  #lastStream = 0;
  /** The connection's prologue, while it goes on. */
  #prologue: T | undefined;
  readonly #openings = new Openings<T>();
  /** A send that is not handed on yet was told of for these. */
  readonly #told = new Set<T>();
  readonly #unsettled: Unsettled<T>;

  /** `unsettled`: the connection's, however it is cut. `prologue`: holds the connection's own bytes. `begun`: an outbound talk that was opened before it was known what is spoken. */
  constructor(connection: Connection, sink: TalkSink<T>, limits: RunLimits, protocol: Protocol, splitter: Splitter, client: Direction, unsettled: Unsettled<T>, prologue: T | undefined, begun: T | undefined) {
    this.#connection = connection;
    this.#sink = sink;
    this.#protocol = protocol;
    this.#splitter = splitter;
    this.#client = client;
    this.#unsettled = unsettled;
    this.#prologue = prologue;
    const { tgid } = connection.open;
    this.#halves = { client: new Half(tgid, limits, (talk: T) => talk.request), server: new Half(tgid, limits, (talk: T) => talk.response) };
    if (begun !== undefined) this.#openings.stand(0, begun);
  }

  began(direction: Direction, position: number, atUs: number, tid: number, tgid: number, peek: Uint8Array | undefined): void {
    const side = this.#sideOf(direction);
    const half = this.#halves[side];
    if (tgid !== 0) half.tgid = tgid;
    if (direction === 'ingress') return;
    const looks = peek !== undefined && half.standsAt(position);
    if (side === 'server') {
      if (looks) this.#answers(this.#splitter.saying('server', peek), atUs, tid, tgid);
      return;
    }
    if (looks) return this.#opens(this.#splitter.opening('client', peek), atUs, tid, tgid);
    this.#openings.stand(position, this.#asked(atUs, tid, tgid));
  }

  /** False: it can't be followed any more (`unsureBecause`), and is over for this. */
  piece(direction: Direction, piece: Piece): boolean {
    const side = this.#sideOf(direction);
    const half = this.#halves[side];
    const { bytes, length, more } = piece;
    const end = endOf(piece);
    half.hold(piece);
    const cuts: Cut[] = [];
    if (half.goesOn !== undefined) this.#says(side, half.goesOn, piece.atUs, piece.tid, half.tgid);
    if (bytes === undefined) this.#splitter.gap(side, length, cuts);
    else this.#splitter.push(side, bytes, cuts);
    for (const cut of cuts) this.#cut(cut, half);
    half.handOn();
    if (direction === 'egress' && !more) this.#written(end);
    return this.#splitter.sure && this.#streams.size <= maxStreams;
  }

  get unsureBecause(): string {
    return this.#splitter.unsureBecause ?? `more than ${maxStreams} calls at a time`;
  }

  /** It can't be followed any more: what goes on is not known to its end. What was not handed on comes back, in order. */
  giveUp(because: string): readonly (readonly [Direction, Piece])[] {
    this.#forgetOpenings();
    this.#endPrologue(true);
    for (const talk of [...this.#streams.values()]) {
      talk.framed = false;
      talk.unframed = because;
      this.#isCall(talk);
      this.#finish(talk, true);
    }
    this.#streams.clear();
    const { client, server } = this.#halves;
    const inDirection = (side: Side, { held }: Half<T>): (readonly [Direction, Piece])[] => held.splice(0).map((piece) => [this.#directionOf(side), piece] as const);
    return [...inDirection('client', client), ...inDirection('server', server)];
  }

  talkOf(stream: number): T | undefined {
    return this.#streams.get(stream);
  }

  takenBack(position: number): void {
    for (const talk of this.#streams.values()) talk.sent.splitAt(position);
    this.#halves[this.#client === 'egress' ? 'client' : 'server'].takenBack(position);
  }

  /** Those that are not over. */
  get open(): Iterable<T> {
    return this.#streams.values();
  }

  closed(end: ConnectionEnd | undefined): void {
    this.#forgetOpenings();
    this.#endPrologue(end !== undefined);
    for (const talk of [...this.#streams.values()]) {
      if (end !== undefined) talk.end ??= end;
      this.#isCall(talk);
      this.#finish(talk, end !== undefined);
    }
    this.#streams.clear();
  }

  own(copy: (bytes: Uint8Array) => Uint8Array): void {
    for (const talk of this.#streams.values()) {
      talk.request.own(copy);
      talk.response.own(copy);
    }
    for (const { held } of Object.values(this.#halves)) for (const piece of held) if (piece.bytes !== undefined) piece.bytes = copy(piece.bytes);
  }

  askingAt(position: number): T | undefined {
    for (const talk of this.#streams.values()) if (talk.request.pieces.some((piece) => piece.position <= position && position < endOf(piece))) return talk;
    return undefined;
  }

  #sideOf(direction: Direction): Side {
    return direction === this.#client ? 'client' : 'server';
  }

  #directionOf(side: Side): Direction {
    return (side === 'client') === (this.#client === 'egress') ? 'egress' : 'ingress';
  }

  /** Outbound: a send begins that opens these. Which of them is the writer's, where they are several, it doesn't say. */
  #opens(streams: readonly number[], atUs: number, tid: number, tgid: number): void {
    let first: T | undefined;
    for (const stream of streams) {
      if (this.#streams.has(stream) || this.#openings.has(stream)) continue;
      const asker = this.#sink.askerOf(tid, stream);
      const talk = asker !== undefined ? this.#askedBy(asker, atUs, tgid) : first === undefined ? this.#asked(atUs, tid, tgid) : this.#alongside(first, atUs, tgid);
      if (asker === undefined) first ??= talk;
      this.#openings.announce(stream, talk);
    }
  }

  /** Inbound: a send begins that answers these. */
  #answers(streams: readonly number[], atUs: number, tid: number, tgid: number): void {
    for (const stream of streams) {
      const talk = this.#streams.get(stream);
      if (talk === undefined) continue;
      talk.responded = true;
      this.#told.add(talk);
      this.#sink.spoke(talk, 'response', atUs, tid, tgid);
    }
  }

  #asked(atUs: number, tid: number, tgid: number): T {
    const talk = this.#open('request', atUs, tgid);
    this.#sink.spoke(talk, 'request', atUs, tid, tgid);
    return talk;
  }

  #askedBy(asker: number, atUs: number, tgid: number): T {
    const talk = this.#open('request', atUs, tgid);
    talk.handedOver = true;
    this.#sink.spoke(talk, 'request', atUs, asker, tgid);
    return talk;
  }

  #alongside(first: T, atUs: number, tgid: number): T {
    const talk = this.#open('request', atUs, tgid);
    this.#sink.alongside(talk, first);
    return talk;
  }

  #open(opening: Opening, atUs: number, tgid: number): T {
    const talk = this.#sink.opened(this.#connection, this.#client === 'ingress', opening, false, atUs, tgid || this.#connection.open.tgid);
    talk.protocol = this.#protocol;
    talk.framed = true;
    if (opening !== 'request') talk.unasked = talk.requestDone = true;
    return talk;
  }

  #cut(cut: Cut, half: Half<T>): void {
    if (cut.what === 'part') return this.#part(cut, half);
    const talk = this.#streams.get(cut.stream);
    if (talk === undefined) return;
    if (cut.what === 'fields') {
      this.#fields(talk, cut.side, cut.block?.fields, cut.block?.unknown ?? 0);
      // What it asks for is known now, as far as it ever will be from its head.
      return this.#isCall(talk);
    }
    half.handOn();
    if (cut.side === 'client') talk.requestDone = talk.requestFramed = true;
    else talk.responseDone = true;
    if (cut.reset !== undefined && cut.reset !== NO_ERROR) talk.end = { kind: 'reset', by: this.#directionOf(cut.side) === 'egress' ? 'local' : 'remote' };
    this.#isCall(talk);
    if (cut.reset !== undefined || (talk.requestDone && talk.responseDone)) this.#over(cut.stream, talk);
  }

  #part({ side, stream, start, end, role }: Cut & { what: 'part' }, half: Half<T>): void {
    half.handOn();
    const from = half.base + start;
    const first = half.at(from);
    const known = this.#streams.get(stream);
    const talk = known ?? this.#begin(side, stream, role, half, first, from);
    if (stream !== 0 && !half.begun) {
      half.begun = true;
      if (this.#halves.client.begun && this.#halves.server.begun) this.#endPrologue(true);
    }
    half.part = { talk: talk ?? (half.begun ? undefined : this.#prologue), end: half.base + end, role };
    if (known !== undefined && role !== 'control') this.#says(side, known, first.atUs, first.tid, half.tgid);
    half.handOn();
    if (known === undefined && talk !== undefined && side === 'server') this.#says(side, talk, first.atUs, first.tid, half.tgid);
  }

  /** A stream's first frame. Undefined: it is of none that goes on. */
  #begin(side: Side, stream: number, role: PartRole, half: Half<T>, { atUs, tid }: Piece, position: number): T | undefined {
    if (stream === 0 || role === 'control') return undefined;
    const talk = side === 'client' ? this.#request(stream, role, half, atUs, tid, position) : this.#unasked(stream, role, atUs);
    if (talk !== undefined) this.#streams.set(stream, talk);
    return talk;
  }

  #request(stream: number, role: PartRole, { tgid }: Half<T>, atUs: number, tid: number, position: number): T | undefined {
    if (role !== 'opens' || stream % 2 === 0 || stream <= this.#lastStream) return undefined;
    this.#lastStream = stream;
    this.#firstStream = Math.min(this.#firstStream, stream);
    if (this.#client === 'egress') return this.#standIn(stream, atUs, tid, tgid, position);
    const talk = this.#open('request', atUs, tgid);
    this.#sink.spoke(talk, 'request', atUs, tid, tgid);
    return talk;
  }

  /** Outbound: what stood in for it since its write began. */
  #standIn(stream: number, atUs: number, tid: number, tgid: number, position: number): T {
    const asker = this.#openings.has(stream) ? undefined : this.#sink.askerOf(tid, stream);
    if (asker !== undefined) return this.#askedBy(asker, atUs, tgid);
    const found = this.#openings.take(stream, position);
    if (found === undefined) return this.#asked(atUs, tid, tgid);
    return found.beside ? this.#alongside(found.talk, atUs, tgid) : found.talk;
  }

  /** The server speaks on a stream that no client was seen to open: it pushes, or the recorder came too late. */
  #unasked(stream: number, role: PartRole, atUs: number): T | undefined {
    if (stream % 2 === 0) return role === 'opens' ? this.#open('push', atUs, 0) : undefined;
    if (this.#connection.whole || stream >= this.#firstStream || this.#late.has(stream) || this.#late.size > maxStreams) return undefined;
    this.#late.add(stream);
    return this.#open('late', atUs, 0);
  }

  #says(side: Side, talk: T, atUs: number, tid: number, tgid: number): void {
    if (side === 'server') {
      talk.responded = true;
      if (!this.#told.has(talk)) this.#sink.spoke(talk, 'response', atUs, tid, tgid);
    } else if (talk.inbound) this.#sink.spoke(talk, 'request', atUs, tid, tgid);
  }

  #fields(talk: T, side: Side, fields: readonly Field[] | undefined, unknown: number): void {
    const known = (talk.fields ??= { request: [], response: [] });
    if (fields === undefined || unknown > 0) known.unknown ??= this.#connection.whole ? 'header fields that bytes are missing of' : 'header fields that refer to what was said before the recorder came';
    if (fields === undefined || (side === 'server' && isInterim(fields))) return;
    const whose = side === 'client' ? 'request' : 'response';
    known[whose] = [...known[whose], ...fields];
  }

  /** A send is handed on up to `end`: what it might have opened, it has. */
  #written(end: number): void {
    this.#told.clear();
    for (const talk of this.#openings.written(end)) this.#sink.dropped(talk);
  }

  #forgetOpenings(): void {
    this.#told.clear();
    for (const talk of this.#openings.forget()) this.#sink.dropped(talk);
  }

  #endPrologue(whole: boolean): void {
    const prologue = this.#prologue;
    this.#prologue = undefined;
    if (prologue === undefined || prologue.over) return;
    prologue.over = whole;
    this.#sink.over(prologue);
    if (whole) this.#unsettled.add(prologue);
  }

  #isCall(talk: T): void {
    if (talk.inbound || talk.unasked || talk.called) return;
    talk.called = true;
    this.#sink.called(talk);
  }

  #over(stream: number, talk: T): void {
    this.#streams.delete(stream);
    this.#finish(talk, true);
  }

  /** `whole` false: the recording ended before the talk did. */
  #finish(talk: T, whole: boolean): void {
    this.#told.delete(talk);
    talk.over = whole;
    talk.end ??= this.#connection.end;
    this.#sink.over(talk);
    if (whole) this.#unsettled.add(talk);
  }
}

/** 1xx: another head follows. */
function isInterim(fields: readonly Field[]): boolean {
  return fields.some(([name, value]) => name === ':status' && value.startsWith('1'));
}
