/**
 * Talks of one connection that are over, and of which it is not proven yet that the kernel took all that was sent. Proof is the
 * connection's, however it is cut at the time.
 */
import type { Naming } from '../connections/sink.ts';
import type { OpenTalk } from './open-talk.ts';
import type { TalkSink } from './sink.ts';

export class Unsettled<T extends OpenTalk> {
  readonly #sink: TalkSink<T>;
  readonly #talks: T[] = [];
  /** What was sent before this position has been taken. */
  #proven = 0;

  constructor(sink: TalkSink<T>) {
    this.#sink = sink;
  }

  /** `talk` is over: settled, at once or when that is proven. */
  add(talk: T): void {
    if (talk.sent.empty || talk.sent.end <= this.#proven) this.#settle(talk);
    else this.#talks.push(talk);
  }

  proven(position: number): void {
    this.#proven = position;
    const talks = this.#talks;
    let kept = 0;
    for (let at = 0; at < talks.length; at += 1) {
      const talk = talks[at] as T;
      if (talk.sent.end > position) talks[kept++] = talk;
      else this.#settle(talk);
    }
    shorten(talks, kept);
  }

  /** Who sent bytes that were known from packets only. `others`: talks of the connection that may hold some of them, too. */
  named(call: Naming, others: Iterable<T>): void {
    for (const talk of new Set([...this.#talks, ...others])) {
      const run = talk.sent;
      if (run.empty || run.end <= call.position || run.from >= call.end) continue;
      run.name(call);
      this.#sink.spoke(talk, talk.inbound ? 'response' : 'request', call.atUs, call.tid, talk.connection.open.tgid);
    }
  }

  #settle(talk: T): void {
    talk.settled = true;
    this.#sink.settled(talk);
  }
}

/** Setting the length gives the array's room back, to be made again for the next element. */
export function shorten(array: unknown[], length: number): void {
  while (array.length > length) array.pop();
}
