/**
 * A pool's thread that has read an answer wakes the thread that waits for what it was given to do: whom that one works for, it has
 * worked for.
 *
 *   request's thread   read A   hand over   wait ......................... goes on
 *   pool's thread                  call A   read answer   wake
 *
 * The other way round says nothing: who is woken to take work takes what stands first in the queue, not what its waker put there
 * (docs/decisions/handed-over.md). Told are only wake-ups of threads that slept since before the answer was read. That is said of the
 * last call before the wake-up alone: those before it may have been another task's, whose end nobody waited for.
 *
 * A thread may wait for something else that the pool's thread lets go of: a connection, room in a queue, a lock. Then one call wakes
 * the threads of two sessions, or who was woken goes on with a call over the same connection, or content knows better: where that is
 * seen more than now and then, this says nothing of that process. Waits that began only shortly before the answer was read are judged
 * by themselves: a thread that has let go of CPython's lock, for instance, sleeps until another one has taken it, whichever that is.
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';

/** Who waited shorter than that, when the answer was read, waited shortly. */
export const shortlyUs = 1_000;
/** So many calls must have woken somebody, and at most one of so many may have woken whom it should not have. */
const ENOUGH = 16;
const ONE_IN = 64;
/** One call woke one session's thread that waited long and another's that waited shortly: that is most likely this one's fault. */
const LONG_SHARE = 1 / 4;

/** Whose thread was woken; undefined: threads of several, or for something else. */
interface Woken<J> {
  readonly job: J | undefined;
  readonly kind: Kind;
}

/** How far a kind of wake-ups is to be believed. */
class Kind {
  told = 0;
  belied = 0;

  get holds(): boolean {
    return this.told >= ENOUGH && this.belied * ONE_IN <= this.told;
  }
}

const NONE: readonly never[] = [];

export class HandedOver<J extends Past> implements Hindsight<J> {
  readonly attribution = 'handed-over';
  readonly refutes = true;
  readonly #long = new Kind();
  readonly #short = new Kind();
  #woken: WeakMap<OpenTalk, Woken<J>> | undefined;

  proves(): boolean {
    return false;
  }

  /** Who made `call`, and no other since, has woken a thread that is at work for `job`. `shortly`: see `shortlyUs`. */
  woke(call: OpenTalk, job: J, shortly: boolean): void {
    const kind = shortly ? this.#short : this.#long;
    const woken = (this.#woken ??= new WeakMap<OpenTalk, Woken<J>>()).get(call);
    if (woken === undefined) {
      kind.told += 1;
      this.#woken.set(call, { job, kind });
    } else if (woken.job !== job && woken.kind === kind) this.#belie(call);
    else if (woken.job !== job && woken.job !== undefined) {
      this.#short.belied += 1;
      this.#long.belied += LONG_SHARE;
      this.#woken.set(call, { job: undefined, kind });
    }
  }

  /** The thread that `call`'s has woken goes on with a call over the same connection: it waited for that. */
  waitedForConnection(call: OpenTalk): void {
    this.#belie(call);
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const woken = this.#woken?.get(call);
    return woken?.job === undefined || !woken.kind.holds || !candidates.includes(woken.job) ? undefined : { job: woken.job, alternatives: NONE };
  }

  decided(call: OpenTalk, job: J | undefined): void {
    const woken = this.#woken?.get(call)?.job;
    if (woken !== undefined && job !== undefined && woken !== job) this.#belie(call);
  }

  whyNot(call: OpenTalk): WhyNot | undefined {
    if (this.#woken === undefined) return undefined;
    const woken = this.#woken.get(call);
    return woken === undefined ? 'woke-nobody' : woken.job === undefined ? 'woke-several' : woken.kind.holds ? undefined : 'wakes-unsure';
  }

  #belie(call: OpenTalk): void {
    const woken = this.#woken?.get(call);
    if (woken?.job === undefined) return;
    woken.kind.belied += 1;
    this.#woken?.set(call, { job: undefined, kind: woken.kind });
  }
}
