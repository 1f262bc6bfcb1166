/** A connection's talks by its messages: the k-th request and the k-th response are a talk, however they arrive (pipelining, early answers). */
import type { Frame, Framer, Side, Turns } from '../protocols/protocol.ts';
import type { OpenTalk } from './open-talk.ts';
import type { TalkQueue } from './queue.ts';
import type { RunLimits } from './run.ts';
import type { TalkSink } from './sink.ts';
import { shorten } from './unsettled.ts';

/** Begins the talk that bytes belong to which no open one has room for. */
export interface Opener<T extends OpenTalk> {
  open(atUs: number, tgid: number): T;
  /** The server speaks and nobody asked. */
  openUnasked(atUs: number, tgid: number): T;
}

export class Framing<T extends OpenTalk> {
  readonly #framer: Framer;
  readonly #talks: TalkQueue<T>;
  readonly #opener: Opener<T>;
  readonly #sink: TalkSink<T>;
  readonly #limits: RunLimits;
  readonly #frames: Frame[] = [];
  /** Stream positions of the first byte that the framer was given. */
  #clientBase = -1;
  #serverBase = -1;

  constructor(framer: Framer, talks: TalkQueue<T>, opener: Opener<T>, sink: TalkSink<T>, limits: RunLimits) {
    this.#framer = framer;
    this.#talks = talks;
    this.#opener = opener;
    this.#sink = sink;
    this.#limits = limits;
  }

  get sure(): boolean {
    return this.#framer.sure;
  }

  get unsureBecause(): string {
    return this.#framer.unsureBecause ?? 'not framed';
  }

  get turns(): Turns | undefined {
    return this.#framer.turns;
  }

  /** `bytes` undefined: they are missing. */
  push(side: Side, position: number, length: number, bytes: Uint8Array | undefined): void {
    if (side === 'client') {
      if (this.#clientBase < 0) this.#clientBase = position;
    } else if (this.#serverBase < 0) this.#serverBase = position;
    if (bytes === undefined) this.#framer.gap(side, length, this.#frames);
    else this.#framer.push(side, bytes, this.#frames);
    this.#take();
  }

  end(side: Side): void {
    this.#framer.end(side, this.#frames);
    this.#take();
  }

  /** Its talks are cut otherwise from now on, also where that is found out while one of them begins. */
  stop(): void {
    this.#frames.length = 0;
  }

  #take(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    for (let at = 0; at < frames.length; at += 1) {
      const frame = frames[at] as Frame;
      if (frame.side === 'client') this.#request(frame);
      else this.#response(frame);
    }
    shorten(frames, 0);
  }

  #request(frame: Frame): void {
    const talk = this.#talks.last;
    if (talk === undefined || talk.requestDone) return;
    const rest = talk.request.splitAt(this.#clientBase + frame.end);
    talk.requestDone = talk.requestFramed = true;
    if (frame.role === 'oneway') talk.responseDone = true;
    talk.negotiates = frame.negotiates === true;
    if (frame.setup === true && this.#talks.nothingCalled && !talk.inbound) this.#talks.isSetup(talk);
    else this.#talks.isCall(talk);
    if (talk.responseDone) this.#talks.finish(talk);
    const first = rest[0];
    if (first === undefined) return;
    const next = this.#opener.open(first.atUs, talk.begunTgid);
    for (const piece of rest) next.request.add(piece, this.#limits);
    this.#sink.spoke(next, 'request', first.atUs, first.tid, talk.begunTgid);
  }

  #response(frame: Frame): void {
    if (frame.role === 'interim') return;
    const talk = this.#talks.unanswered;
    if (talk === undefined) return;
    if (frame.role === 'push' && !talk.unasked) return this.#pushed(talk, frame);
    if (frame.role === 'greeting' && !talk.unasked) return;
    if (frame.refuses === true) this.#talks.refused(talk);
    const rest = talk.response.splitAt(this.#serverBase + frame.end);
    talk.responseDone = true;
    if (talk.requestDone) this.#talks.finish(talk);
    const first = rest[0];
    if (first === undefined) return;
    const next = this.#talks.unanswered ?? this.#opener.openUnasked(first.atUs, talk.begunTgid);
    for (const piece of rest) next.response.add(piece, this.#limits);
    next.responded = true;
    this.#sink.spoke(next, 'response', first.atUs, first.tid, talk.begunTgid);
  }

  /** What the server said unasked, in the middle of `talk`, is a talk of its own. */
  #pushed(talk: T, frame: Frame): void {
    const pushed = talk.response.splitAt(this.#serverBase + frame.start);
    const first = pushed[0];
    if (first === undefined) return;
    const push = this.#opener.openUnasked(first.atUs, talk.begunTgid);
    for (const piece of pushed) push.response.add(piece, this.#limits);
    for (const piece of push.response.splitAt(this.#serverBase + frame.end)) talk.response.add(piece, this.#limits);
    talk.responded = !talk.response.empty;
    push.responseDone = true;
    this.#talks.finish(push);
  }
}
