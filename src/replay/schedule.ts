/**
 * Which session is played next, when several are at a time. Nearly in recorded order; held back are
 *
 *   a session of a client connection of which an earlier one has no answer yet
 *   one that must be alone in play (its connects fail by rules that hold for every process; it is played again to be sure)
 *   one that makes the same call as one in play, and was answered otherwise: unless `trusted`, nobody could keep them apart
 *
 * Pure. Costs one look-up a call, and no more than `lookAhead` sessions are looked at for the next one.
 */

export interface Entry {
  /** The client connection that it came in by: these keep their order. */
  readonly line: string;
  readonly alone: boolean;
  /** What is asked for, and what was answered: equal keys are equal calls. `coarse`: equal to their protocol, and maybe more. */
  demands(coarse: boolean): ReadonlyMap<string, string>;
}

export interface ScheduleLimits {
  /** Sessions that wait for their answer at a time. */
  readonly concurrency: number;
  /** Sessions that have their answer, and are given time for what they still lack. */
  readonly settling: number;
  readonly lookAhead: number;
}

/** What a session answers a key with that answers it in several ways: it agrees with nobody. */
export const SEVERAL = '';

/** So many that have begun may stay in the list of those that wait. */
const MAX_BEGUN = 64;

interface Waiting<T> {
  readonly entry: T;
  held: boolean;
  overtaken: number;
}

export class Schedule<T extends Entry> {
  readonly #limits: ScheduleLimits;
  readonly #waiting: Waiting<T>[] = [];
  /** Where the first one is that waits: what lies before it has begun. */
  #from = 0;
  readonly #active = new Set<T>();
  readonly #inPlay = new Map<T, ReadonlyMap<string, string>>();
  readonly #lines = new Set<string>();
  /** How many wait, by their line. */
  readonly #toCome = new Map<string, number>();
  readonly #answers = new Map<string, { answer: string; count: number }>();
  /** Sessions that are done, of which late calls may come yet: one that is to be alone waits for those too. */
  late = 0;
  #alone = false;
  #coarse = false;
  #serialised = 0;

  constructor(limits: ScheduleLimits) {
    this.#limits = limits;
  }

  /** Sessions that were held back so far although there was room for them. */
  get serialised(): number {
    return this.#serialised;
  }

  get waiting(): number {
    return this.#waiting.length - this.#from;
  }

  get inPlay(): number {
    return this.#inPlay.size;
  }

  /** Whether one of this line waits. */
  goesOn(line: string): boolean {
    return this.#toCome.has(line);
  }

  /** `first`: before all that wait. */
  add(entry: T, first = false): void {
    const waiting = { entry, held: false, overtaken: 0 };
    this.#toCome.set(entry.line, (this.#toCome.get(entry.line) ?? 0) + 1);
    if (!first) this.#waiting.push(waiting);
    else this.#waiting.splice(this.#from, 0, waiting);
  }

  /** The one to begin now, if any; it is in play from here on. `coarse`: from now on calls count as equal that only may be. */
  next(trusted: boolean, coarse: boolean): T | undefined {
    const { concurrency, settling, lookAhead } = this.#limits;
    if (coarse && !this.#coarse) this.#becomeCoarse();
    if (this.#alone || this.#active.size >= concurrency || this.#inPlay.size >= concurrency + settling) return undefined;
    const ahead = new Set<string>();
    const end = Math.min(this.#waiting.length, this.#from + lookAhead);
    for (let at = this.#from; at < end; at += 1) {
      const one = this.#waiting[at] as Waiting<T>;
      const { entry } = one;
      const inLine = this.#lines.has(entry.line) || ahead.has(entry.line);
      const demands = entry.demands(this.#coarse);
      if (!inLine && (entry.alone ? this.#inPlay.size + this.late === 0 : trusted || this.#agrees(demands))) return this.#begin(at, demands);
      ahead.add(entry.line);
      // One that is to be alone waits for that, not since its calls could be another's.
      if (!inLine && !entry.alone) one.held = true;
      // Nothing is overtaken for ever, and what waits for everybody else lets nobody pass once it is first.
      if (one.overtaken >= lookAhead || (entry.alone && at === this.#from)) return undefined;
    }
    return undefined;
  }

  /** Its client has its answer. */
  answered(entry: T): void {
    if (this.#active.delete(entry)) this.#lines.delete(entry.line);
  }

  /** Nothing is answered from it any more. */
  done(entry: T): void {
    this.answered(entry);
    const demands = this.#inPlay.get(entry);
    if (demands === undefined) return;
    this.#inPlay.delete(entry);
    if (entry.alone) this.#alone = false;
    for (const key of demands.keys()) {
      const known = this.#answers.get(key);
      if (known === undefined) continue;
      known.count -= 1;
      if (known.count === 0) this.#answers.delete(key);
    }
  }

  #begin(at: number, demands: ReadonlyMap<string, string>): T {
    const { entry, held } = this.#waiting[at] as Waiting<T>;
    for (let before = this.#from; before < at; before += 1) (this.#waiting[before] as Waiting<T>).overtaken += 1;
    if (at === this.#from) {
      this.#from += 1;
      if (this.#from > MAX_BEGUN && this.#from * 2 > this.#waiting.length) {
        this.#waiting.splice(0, this.#from);
        this.#from = 0;
      }
    } else this.#waiting.splice(at, 1);
    if (held) this.#serialised += 1;
    const left = (this.#toCome.get(entry.line) ?? 1) - 1;
    if (left === 0) this.#toCome.delete(entry.line);
    else this.#toCome.set(entry.line, left);
    this.#active.add(entry);
    this.#lines.add(entry.line);
    this.#alone = entry.alone;
    this.#enter(entry, demands);
    return entry;
  }

  #enter(entry: T, demands: ReadonlyMap<string, string>): void {
    this.#inPlay.set(entry, demands);
    for (const [key, answer] of demands) {
      const known = this.#answers.get(key);
      if (known === undefined) this.#answers.set(key, { answer, count: 1 });
      else {
        known.count += 1;
        if (known.answer !== answer) known.answer = SEVERAL;
      }
    }
  }

  #agrees(demands: ReadonlyMap<string, string>): boolean {
    for (const [key, answer] of demands) {
      const known = this.#answers.get(key);
      if (known !== undefined && (answer === SEVERAL || known.answer !== answer)) return false;
    }
    return true;
  }

  #becomeCoarse(): void {
    this.#coarse = true;
    this.#answers.clear();
    for (const entry of [...this.#inPlay.keys()]) this.#enter(entry, entry.demands(true));
  }
}
