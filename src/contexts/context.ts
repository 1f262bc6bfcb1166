/** What executes, and what it is known to be working on: a thread, or a goroutine. */
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Birth } from './born.ts';
import type { Discipline } from './discipline.ts';
import type { Goroutine } from './goroutines.ts';
import type { Heritage } from './heritage.ts';

/** A session, as far as contexts know it. */
export interface Job {
  /** Its response has begun, or it is over without one. */
  readonly answered: boolean;
  /** Nothing comes after its response any more. */
  readonly done: boolean;
  /** Its response has begun, and who read its request need not be at work for it any more: another thread answered, or in its process work moves between threads. */
  readonly handedOn: boolean;
  /** Nothing can be tied to it any more. */
  readonly gone: boolean;
  /** It is the only one of its process that has no answer, and it waits for no call. */
  readonly isOnlyOneToAct: boolean;
}

/**
 * What a thread does within this time of what it read may be its consequence. Of what event loops did first after a read, and
 * for that session, 99% came within 1 ms on a machine with ten times more work than it can do; a timer's work comes at any time.
 */
export const maxTurnUs = 1_000;

export class Context<J extends Job> {
  /** Of a virtual thread: a number that no thread has. */
  readonly tid: number;
  readonly tgid: number;
  /** Of a virtual thread: as its process calls it. Else empty. */
  readonly name: string;
  /** It said that it works for this one. */
  delegate: Context<J> | undefined;
  /** It said that what it does is of no session. */
  excluded = false;
  /** A virtual thread that got its name after its request was read. */
  namedLate = false;
  /**
   * It works for several sessions at a time: it was seen reading another's request or answer while the one it read had no
   * answer. Once an event loop, always one: what its thread says proves nothing.
   */
  loop = false;
  /** It reads from several connections that it accepted and holds: a loop too, unless its like work for one request at a time. */
  juggles = false;
  /** The session whose request it read last, or was given (`given`: a goroutine, by the one that reads the connection). */
  reading: J | undefined;
  given = false;
  /** It was started for a session, and has taken no other work since. */
  birth: Birth<J> | undefined;
  /** The stream that it wrote to last. */
  wrote: { flush(): void } | undefined;
  /** A call that it wrote and whose answer it has read, and since which it has begun no other. */
  done: OpenTalk | undefined;
  /** When it last read of that answer, Unix µs. */
  doneAtUs = 0;
  /** The call of the thread that woke it, since which it has begun none. */
  awaited: OpenTalk | undefined;
  /** It is no more. */
  ended = false;
  /** It was made to end, for its process did. */
  cutShort = false;
  /** Requests that it has read. */
  requests = 0;
  /** Undefined for a thread. */
  goroutine: Goroutine | undefined;
  heritage: Heritage<J> | undefined;
  /** A thread of a process that was seen to run goroutines, or one that carries virtual threads of Java's: which of them ran on it was not known, so it says nothing. */
  mute = false;
  /** Of a carrier: what stands for it where it is known which virtual thread it carries, and where it is not, each the other's (carrier.ts). */
  other: Context<J> | undefined;
  /** Of a carrier: the virtual thread that it carried last; 0: that is not known. */
  carried = 0;
  /** The listener that this came from. */
  discipline: Discipline<J> | undefined;
  /** Connections that it accepted and that are open. */
  accepted = 0;
  /** Connections that it took up a request of, which it had not before. */
  connections = 0;
  /** The session (undefined: none that we know) whose bytes it read last, and whether it read another's since it last did something. */
  #last: J | undefined;
  #several = false;
  #woke: 'request' | 'answer' | undefined;
  #wokeAtUs = 0;
  #acted = true;

  constructor(tid: number, tgid: number, name = '') {
    this.tid = tid;
    this.tgid = tgid;
    this.name = name;
  }

  get virtual(): boolean {
    return this.name !== '';
  }

  /** Whom it works for in the end: itself, unless it said otherwise. */
  get actor(): Context<J> {
    let actor: Context<J> = this; // eslint-disable-line @typescript-eslint/no-this-alias
    for (let next = actor.delegate; next !== undefined && !next.ended; next = actor.delegate) actor = next;
    return actor;
  }

  get loops(): boolean {
    const { discipline } = this;
    return this.loop || (this.juggles && discipline?.handsOver !== true && discipline?.blocking !== true);
  }

  /** The request it read last has no answer yet. */
  get busy(): boolean {
    return this.reading !== undefined && !this.reading.answered && !this.reading.gone;
  }

  /** What it read last: a request, or an answer. */
  get woke(): 'request' | 'answer' | undefined {
    return this.#woke;
  }

  /** It has written or connected since. */
  get acted(): boolean {
    return this.#acted;
  }

  /** It read for several sessions before it acted. */
  get ambiguous(): boolean {
    return this.#several;
  }

  /** The session it woke up for, where that is not ambiguous. */
  get resumed(): J | undefined {
    const job = this.#last;
    return !this.#several && job !== undefined && !job.gone ? job : undefined;
  }

  /** The session whose request it has just read, or is at: what a name that it takes now stands for. */
  get atHand(): J | undefined {
    if (this.loops) return this.#woke === 'request' && !this.#acted ? this.resumed : undefined;
    return this.busy ? this.reading : undefined;
  }

  /** The session it seems to act for, however weak the evidence. */
  get suspect(): J | undefined {
    return this.loops ? this.#last : this.reading;
  }

  wake(job: J | undefined, by: 'request' | 'answer', atUs: number): void {
    this.#several = !this.#acted && (this.#several || (this.#woke !== undefined && this.#last !== job));
    this.#acted = false;
    this.#woke = by;
    this.#wokeAtUs = atUs;
    this.#last = job;
    if (this.birth !== undefined && this.birth.job !== job) this.birth = undefined;
  }

  /** At `atUs` it is about to do something. Whoever does nothing for so long has gone to sleep, and something unseen (a timer) woke it. */
  rouse(atUs: number): void {
    if (this.slept(atUs)) this.#acted = true;
  }

  /** What it read last is too long ago, at `atUs`, for what it does now to follow from that. */
  slept(atUs: number): boolean {
    return atUs - this.#wokeAtUs > maxTurnUs;
  }

  /** What it does at `atUs` follows from having read `job`'s request, unless a timer comes in between. */
  isAtRequest(job: J, atUs: number): boolean {
    return this.#woke === 'request' && this.#last === job && !this.#several && !this.slept(atUs);
  }

  /** It has read something after `atUs`. */
  wokeSince(atUs: number): boolean {
    return this.#wokeAtUs > atUs;
  }

  /** It wrote or connected: what it reads from now on is a new wake-up. */
  act(): void {
    this.#acted = true;
  }

  forget(): void {
    this.reading = this.birth = undefined;
    if (this.heritage !== undefined) this.heritage.over = true;
    this.#last = this.#woke = undefined;
    this.#several = false;
  }
}
