/**
 * The talks of a connection that carries one after the other: those that are not over, oldest first, and the one that was over last.
 * Opens them, says what they are (set-up, call), and hands them on when they are over.
 */
import type { Connection } from '../connections/connection.ts';
import type { ConnectionEnd } from '../connections/sink.ts';
import type { Memory } from '../protocols/memory.ts';
import type { Turns } from '../protocols/protocol.ts';
import type { OpenTalk } from './open-talk.ts';
import type { Opening, TalkSink } from './sink.ts';
import type { Unsettled } from './unsettled.ts';

/** Of an answer: what tells the number of a statement that was prepared. */
const REMEMBERED_BYTES = 64;

export class TalkQueue<T extends OpenTalk> {
  /** Not over. */
  readonly talks: T[] = [];
  /** Those that set the connection up, in order: its prologue. */
  readonly setups: T[] = [];
  /** Of a protocol that is opaque: who asks. Undefined: whoever speaks. */
  turns: Turns | undefined;
  #inbound: boolean | undefined;
  readonly #connection: Connection;
  readonly #sink: TalkSink<T>;
  readonly #unsettled: Unsettled<T>;
  /** The one that was over last, and whether it lacked bytes. */
  #over: T | undefined;
  #doubt = false;
  #calls = 0;
  #opened = 0;
  /** Of a connection that is older than the recorder, where its protocol has one. */
  #memory: Memory | undefined;

  constructor(connection: Connection, sink: TalkSink<T>, unsettled: Unsettled<T>) {
    this.#connection = connection;
    this.#sink = sink;
    this.#unsettled = unsettled;
  }

  /** Decided when first asked for: of a connection that was met in mid-stream it may be learnt late. */
  get inbound(): boolean {
    return (this.#inbound ??= this.#connection.role === 'inbound');
  }

  get last(): T | undefined {
    return this.talks[this.talks.length - 1];
  }

  /** The oldest that is not answered. */
  get unanswered(): T | undefined {
    for (const talk of this.talks) if (!talk.responseDone) return talk;
    return undefined;
  }

  /** Those whose bytes may be taken back yet, or be named. */
  get recent(): T[] {
    return this.#over === undefined ? this.talks : [...this.talks, this.#over];
  }

  get nothingCalled(): boolean {
    return this.#calls === 0;
  }

  /** `opening` but for a request: the server speaks and nobody asked. */
  open(atUs: number, tgid: number, opening: Opening = 'request'): T {
    const { last } = this;
    const follows = last !== undefined && !last.responseDone;
    const talk = this.#sink.opened(this.#connection, this.inbound, opening, follows, atUs, tgid || this.#connection.open.tgid);
    talk.joined = this.#opened === 0 && !this.#connection.whole;
    talk.doubtful = this.#doubt;
    if (opening !== 'request') talk.unasked = talk.requestDone = true;
    this.#opened += 1;
    this.talks.push(talk);
    return talk;
  }

  /** What the server's words are when nobody has asked: its greeting, a push, or the answer to what was asked before the recorder came. */
  get unaskedOpening(): Opening {
    if (this.#opened > 0) return 'push';
    return this.#connection.whole ? 'greeting' : 'late';
  }

  isSetup(talk: T): void {
    talk.setup = true;
    this.setups.push(talk);
  }

  /** An error stands where its server's greeting would: whoever connected was refused, and that is what was called. */
  refused(talk: T): void {
    if (talk.inbound || !talk.setup) return;
    this.setups.splice(this.setups.indexOf(talk), 1);
    talk.setup = talk.unasked = false;
    const { open } = this.#connection;
    this.#sink.spoke(talk, 'request', open.atUs, open.tid, open.tgid);
  }

  isCall(talk: T): void {
    if (talk.inbound || talk.unasked || talk.called) return;
    talk.called = true;
    this.#calls += 1;
    this.#sink.called(talk);
  }

  /** `talk` is over by turn: what is sent from `position` on is another's. */
  cut(talk: T, position: number): void {
    talk.requestDone = talk.responseDone = true;
    const { egress } = this.#connection;
    talk.cutAt = this.inbound ? egress.announced : position;
    if (egress.account.next >= talk.cutAt || talk.unasked) this.finish(talk);
  }

  /** `whole` false: the recording ended before the talk did. */
  finish(talk: T, whole = true): void {
    if (this.talks[0] === talk) this.talks.shift();
    else {
      const at = this.talks.indexOf(talk);
      if (at < 0) return;
      this.talks.splice(at, 1);
    }
    if (!this.#connection.whole) this.#remember(talk);
    this.#over = talk;
    this.#doubt = talk.request.holed || (talk.response.holed && !talk.requestFramed);
    if (talk.request.holed || talk.response.holed) for (const behind of this.talks) behind.doubtful = true;
    if (talk.empty && talk.end?.errno === undefined && talk.end?.kind !== 'reset') return this.#sink.dropped(talk);
    if (this.#isGoodbye(talk)) return this.#sink.dropped(talk);
    if (!talk.unasked && !talk.setup) this.isCall(talk);
    talk.over = whole;
    talk.end ??= this.#connection.end;
    this.#sink.over(talk);
    if (whole) this.#unsettled.add(talk);
  }

  /** The connection is over, by `end`, or the recording. */
  closed(end: ConnectionEnd | undefined): void {
    // Who spoke before the end is who met it: the talk at hand, or, where there is none, the one that was over last.
    if (end !== undefined && this.#over !== undefined && this.talks.every((talk) => talk.empty || this.#isGoodbye(talk))) this.#over.end = end;
    if (end?.by === 'remote') this.#onlyToldOff();
    for (const talk of [...this.talks]) {
      if (end !== undefined) talk.end = end;
      this.finish(talk, end !== undefined);
    }
    if (this.#calls === 0 && end !== undefined) this.#onlySetUp();
    this.#over = undefined;
  }

  /** The client says no more. What it only set up comes to nothing, though the other side may take its time to end it. */
  saidAll(): void {
    if (this.#calls === 0 && this.talks.length === 0) this.#onlySetUp();
  }

  /** Its connection failed: before it carried a byte, that is a call that failed. */
  failed(end: ConnectionEnd): void {
    if (this.inbound || this.#opened > 0) return;
    const { open } = this.#connection;
    const talk = this.open(open.atUs, open.tgid);
    this.#sink.spoke(talk, 'request', open.atUs, open.tid, open.tgid);
    talk.end = end;
    this.isCall(talk);
  }

  /** Copies bytes out of the recording's blocks; forgets what was given out. */
  own(copy: (bytes: Uint8Array) => Uint8Array, isGone: (talk: T) => boolean): void {
    if (this.#over !== undefined && isGone(this.#over)) this.#over = undefined;
    for (const talks of [this.talks, this.setups]) {
      for (const talk of talks) {
        talk.request.own(copy);
        talk.response.own(copy);
      }
    }
  }

  /** What it refers to may be from before the recorder. */
  #remember(talk: T): void {
    if (talk.unasked || !talk.framed) return;
    const { request, response, protocol } = talk;
    if (typeof protocol?.memory === 'function') this.#memory ??= protocol.memory();
    talk.standsAlone = this.#memory?.hear(request.head(request.kept), response.head(REMEMBERED_BYTES)) === true && !request.holed;
  }

  /** It asked nothing, on a connection where others did: an alert. */
  #isGoodbye(talk: T): boolean {
    return this.turns?.everAsked === true && !talk.inbound && !talk.called;
  }

  /** Where no framer can tell: the server spoke first, was asked nothing, and ended it. */
  #onlyToldOff(): void {
    const [talk] = this.talks;
    if (this.#opened === 1 && talk !== undefined && !talk.framed && !talk.response.empty) this.refused(talk);
  }

  /** Nothing but set-up, and then it ended, while somebody was still at work who had opened it: it is what was called (a login that failed). */
  #onlySetUp(): void {
    if (!this.setups.some((talk) => this.#sink.isAwaited(talk))) return;
    for (const talk of this.setups.splice(0)) {
      if (talk.negotiates || talk.unasked) {
        this.setups.push(talk);
        continue;
      }
      if (talk.inbound) continue;
      talk.setup = false;
      this.isCall(talk);
      this.#sink.over(talk);
      if (talk.settled) this.#sink.settled(talk);
    }
  }
}
