/** Who is working for whom: told what each thread reads and writes, asked at each call whose it is. */
import { Birth, born } from './born.ts';
import { Context } from './context.ts';
import type { Job } from './context.ts';
import { carrierOf } from './carrier.ts';
import { continuation } from './continuation.ts';
import { elimination } from './elimination.ts';
import { goroutine } from './goroutine.ts';
import { Goroutines } from './goroutines.ts';
import type { Goroutine } from './goroutines.ts';
import { heritageOf, works } from './heritage.ts';
import type { Evidence } from './evidence.ts';
import { FIRST_GOROUTINE } from '../connections/piece.ts';
import type { Discipline } from './discipline.ts';
import { thread } from './thread.ts';
import { delegation } from './delegation.ts';
import { helper } from './helper.ts';
import type { Refusal } from './helper-datagram.ts';
import type { Tie } from './tie.ts';
import { virtualThread } from './virtual-thread.ts';
import { isVirtual, VirtualThreads } from './virtual-threads.ts';
import { Oldest } from './oldest.ts';

/** Strongest first. */
const KINDS: readonly Evidence[] = [thread, born, continuation, elimination];
/** Of a virtual thread, and of a thread that works for another. */
const OF_VIRTUAL: readonly Evidence[] = [virtualThread, helper, born, continuation];
const OF_DELEGATE: readonly Evidence[] = [delegation, born];
/** A goroutine is woken by the scheduler, not by what it read last: that says nothing. */
const OF_GOROUTINES: readonly Evidence[] = [goroutine];
/** Contexts looked at to find one that may be forgotten. */
const maxSpared = 64;

/** Threads held at a time. Past that the one first seen is forgotten (its exit was lost). */
export const maxContexts = 131_072;

const NONE: readonly never[] = [];

export class Contexts<J extends Job> {
  readonly #contexts = new Map<number, Context<J>>();
  readonly #oldest = new Oldest(this.#contexts);
  readonly #virtual = new VirtualThreads<J>();
  readonly #ofProcess = new Map<number, Set<number>>();
  readonly goroutines = new Goroutines();
  /** Processes that run goroutines. */
  readonly #go = new Set<number>();
  /** Some thread was seen to carry virtual threads of Java's. */
  #carriers = false;
  readonly #onMovedOn: (job: J, tid: number) => void;
  readonly #now: () => number;

  /**
   * `onMovedOn`: the thread that read a session's request reads another one, or is gone (then 0 where it may still be sending).
   * `now`: Unix µs of the event at hand.
   */
  constructor(onMovedOn: (job: J, tid: number) => void, now: () => number) {
    this.#onMovedOn = onMovedOn;
    this.#now = now;
  }

  /** By whose number it was told (`Context.tid`). */
  known(tid: number): Context<J> | undefined {
    return isVirtual(tid) ? this.#virtual.byNumber(tid) : this.#contexts.get(tid);
  }

  /** Whom thread `tid` works for: itself, unless it said otherwise. */
  of(tid: number, tgid: number): Context<J> {
    const own = this.own(tid, tgid);
    return own.delegate === undefined ? own : own.actor;
  }

  own(tid: number, tgid: number): Context<J> {
    const known = this.#contexts.get(tid);
    if (known !== undefined) return known;
    const context = new Context<J>(tid, tgid);
    this.#contexts.set(tid, context);
    // Somebody said that it works for this thread before that one did anything: it is no virtual one.
    const meant = this.#virtual.find(tgid, String(tid));
    if (meant !== undefined && meant.reading === undefined) meant.delegate = context;
    const others = this.#ofProcess.get(tgid);
    if (others === undefined) this.#ofProcess.set(tgid, new Set([tid]));
    else others.add(tid);
    context.goroutine = this.goroutines.get(tid);
    if (context.goroutine === undefined) context.mute = this.#go.has(tgid);
    else if (!this.#go.has(tgid)) this.#runsGoroutines(tgid);
    if (this.#contexts.size > maxContexts) this.#evict();
    return context;
  }

  /** Thread `tid` does something, and carries `virtual` of Java's virtual threads (0: none of which it is known which it is). */
  carries(tid: number, tgid: number, virtual: number): void {
    if (virtual === 0 && !this.#carriers) return;
    this.#carriers = true;
    const context = virtual !== 0 ? this.own(tid, tgid) : this.#contexts.get(tid);
    if (context === undefined) return;
    const carrier = carrierOf(context, virtual);
    if (carrier !== context) this.#contexts.set(tid, carrier);
  }

  /** A goroutine is met for the first time: it works for what the one that began it works for now. `began`: which it does at this moment. */
  begun(goroutine: Goroutine, tgid: number, began: boolean): void {
    const by = goroutine.parent === undefined ? undefined : this.#contexts.get(goroutine.parent.stands.number);
    const heritage = by === undefined ? undefined : heritageOf(goroutine, by, began);
    if (heritage !== undefined) this.of(goroutine.number, tgid).heritage = heritage;
  }

  /** It accepted a connection: while it has a request to answer, a thread that serves one at a time does not. */
  accept(context: Context<J>): void {
    context.accepted += 1;
    if (context.busy) this.#isLoop(context);
  }

  /**
   * Bytes of `job`'s request were read from a connection behind the listener of `discipline`. `fresh`: this thread does not
   * know the connection; `juggles`: it accepted it, and holds others that it accepted.
   */
  readRequest(context: Context<J>, job: J, discipline: Discipline<J>, fresh: boolean, juggles: boolean): void {
    const before = context.reading;
    if (before !== job) {
      context.requests += 1;
      context.heritage = undefined;
      if (context.busy) this.#isLoop(context);
      if (before !== undefined) {
        context.reading = undefined;
        this.#onMovedOn(before, context.virtual ? 0 : context.tid);
      }
      if (!context.virtual && !context.mute) this.#takes(context, discipline, fresh);
    }
    if (juggles) context.juggles = true;
    context.reading = job;
    context.wake(job, 'request', this.#now());
  }

  /** It reads a connection that carries several requests at a time. */
  readsSeveral(context: Context<J>): void {
    this.#isLoop(context);
  }

  /** It begins to serve `job` (undefined: one that is not known), whose request another goroutine has read, and nothing that it has served before. */
  serves(context: Context<J>, job: J | undefined): void {
    context.heritage = undefined;
    context.reading = job;
    context.given = job !== undefined;
  }

  /** Bytes were read that may be a request: whom it works for from here on is not known. */
  readUnknown(context: Context<J>): void {
    const before = context.reading;
    context.reading = undefined;
    if (before !== undefined) this.#onMovedOn(before, context.tid);
    context.wake(undefined, 'request', this.#now());
  }

  /**
   * Bytes of an answer were read; `job`: whose call it answers, where that is known. `forAnother`: by a thread that said it
   * works for `context`, and may have forgotten to say that it does no more.
   */
  readAnswer(context: Context<J>, job: J | undefined, forAnother: boolean): void {
    if (!forAnother && job !== undefined && context.reading !== job && context.busy) this.#isLoop(context);
    context.wake(job, 'answer', this.#now());
  }

  /** Bytes of `job`'s response were written. */
  respond(context: Context<J>, job: J, forAnother: boolean): void {
    if (!forAnother && context.reading !== job && context.busy) this.#isLoop(context);
    context.act();
  }

  /**
   * The best answer so far to whose call it is that `context` begins. `only`: the one session of its process that has no answer.
   * `forAnother`: it is made by a thread that said it works for `context`.
   */
  tie(context: Context<J>, only: J | undefined, forAnother = false): Tie<J> | undefined {
    if (context.excluded) return undefined;
    context.rouse(this.#now());
    if (context.mute) return undefined;
    works(context);
    const kinds = context.goroutine !== undefined ? OF_GOROUTINES : context.virtual ? OF_VIRTUAL : forAnother ? OF_DELEGATE : KINDS;
    for (const evidence of kinds) {
      const job = evidence.find(context, context.loop, only);
      if (job === undefined) continue;
      const tie = { job, evidence, context, inLoop: context.loop ? evidence : this.#inLoop(context, job, only, kinds), atRequest: context.isAtRequest(job, this.#now()), alternatives: NONE };
      if (evidence !== born || context.birth === undefined) return tie;
      const otherwise = continuation.find(context, false, only) === job ? { otherwise: continuation } : {};
      return { ...tie, birth: context.birth, ...otherwise };
    }
    return undefined;
  }

  /** `creator` starts thread `tid` of `tgid` (another process: its first), which works for the same session, if for any. */
  bear(creator: Context<J>, only: J | undefined, tid: number, tgid: number): Birth<J> | undefined {
    this.exitThread(tid);
    const tie = this.tie(creator, only);
    if (tie === undefined) return undefined;
    const child = this.own(tid, tgid);
    return (child.birth = new Birth(tie, child));
  }

  /**
   * `own` works for whom its process calls `name` from here on: a thread of that process, or a virtual thread; `0`, and itself:
   * for nobody else any more.
   */
  delegate(own: Context<J>, name: string): Refusal | undefined {
    if (name === '0' || name === String(own.tid)) {
      own.delegate = undefined;
      return undefined;
    }
    const known = this.#named(own.tgid, name);
    for (let next = known; next !== undefined; next = next.delegate) if (next === own) return 'cycle';
    const named = known ?? this.#virtual.make(own.tgid, name);
    if (named === undefined) return 'too-many';
    const atHand = own.actor === own ? own.atHand : undefined;
    own.delegate = named;
    if (!named.virtual || named.delegate !== undefined || named.busy || atHand === undefined) return undefined;
    if (named.reading !== undefined && named.reading !== atHand) this.#onMovedOn(named.reading, 0);
    named.reading = atHand;
    named.namedLate = true;
    if (own.reading === atHand) own.reading = undefined;
    own.act();
    return undefined;
  }

  /** Whom `name` means in its process; undefined: nobody that is known. */
  #named(tgid: number, name: string): Context<J> | undefined {
    const virtual = this.#virtual.find(tgid, name);
    if (virtual !== undefined) return virtual;
    const thread = this.#contexts.get(Number(name));
    return thread?.tgid === tgid ? thread : undefined;
  }

  /** `context` (`name`: whom `context`'s process calls so) is done with its session, which is returned. */
  shutDown(context: Context<J>, name: string): J | undefined | Refusal {
    const meant = name === '0' ? context.actor : this.#named(context.tgid, name);
    if (meant === undefined) return 'unknown-id';
    const { reading } = meant;
    meant.forget();
    if (meant.virtual) this.#virtual.end(meant);
    return reading;
  }

  /** A process has become another program. */
  executed(tgid: number): void {
    const birth = this.#contexts.get(tgid)?.birth;
    if (birth !== undefined) birth.executed = true;
    // A thread's context may be its process' birth; goroutines are those of what ran before.
    if (this.#go.delete(tgid)) for (const tid of [...(this.#ofProcess.get(tgid) ?? [])]) if (tid >= FIRST_GOROUTINE) this.exitThread(tid);
    this.goroutines.forget(tgid);
  }

  /** `cutShort`: it did not end by itself. */
  exitThread(tid: number, cutShort = false): void {
    const context = this.#contexts.get(tid);
    if (context === undefined) return;
    this.#contexts.delete(tid);
    const others = this.#ofProcess.get(context.tgid);
    others?.delete(tid);
    if (others?.size === 0) this.#ofProcess.delete(context.tgid);
    this.#ended(context, cutShort);
    if (context.other !== undefined) this.#ended(context.other, cutShort);
  }

  exitProcess(tgid: number): void {
    for (const tid of [...(this.#ofProcess.get(tgid) ?? [])]) this.exitThread(tid, true);
    for (const context of this.#virtual.of(tgid)) {
      const { reading } = context;
      context.forget();
      this.#virtual.end(context);
      if (reading !== undefined) this.#onMovedOn(reading, 0);
    }
    this.#go.delete(tgid);
    this.goroutines.forget(tgid);
  }

  /** The recorder was away: whatever a thread did meanwhile, it may work for somebody else now. */
  pause(): void {
    for (const context of [...this.#contexts.values(), ...this.#others(), ...this.#virtual.all()]) {
      const { reading } = context;
      context.forget();
      context.delegate = undefined;
      if (reading !== undefined) this.#onMovedOn(reading, 0);
    }
  }

  get size(): number {
    return this.#contexts.size;
  }

  #ended(context: Context<J>, cutShort: boolean): void {
    const { reading, tid } = context;
    context.discipline?.left(context);
    context.forget();
    context.ended = true;
    context.cutShort = cutShort;
    if (reading !== undefined) this.#onMovedOn(reading, tid);
  }

  /** What stands for carriers at other times. */
  *#others(): Generator<Context<J>> {
    if (this.#carriers) for (const { other } of this.#contexts.values()) if (other !== undefined) yield other;
  }

  #takes(context: Context<J>, discipline: Discipline<J>, fresh: boolean): void {
    context.discipline = discipline;
    if (context.loop) discipline.loop = true;
    if (fresh) context.connections += 1;
    discipline.take(context, fresh);
  }

  #inLoop(context: Context<J>, job: J, only: J | undefined, kinds: readonly Evidence[]): Evidence | undefined {
    return context.discipline?.blocking === true ? undefined : kinds.find((evidence) => evidence.find(context, true, only) === job);
  }

  /** Threads on which it was not known what ran have said nothing. */
  #runsGoroutines(tgid: number): void {
    this.#go.add(tgid);
    for (const tid of this.#ofProcess.get(tgid) ?? []) {
      const context = this.#contexts.get(tid);
      if (context !== undefined && context.goroutine === undefined) context.mute = true;
    }
  }

  #isLoop(context: Context<J>): void {
    context.loop = true;
    if (context.discipline !== undefined && !context.mute) context.discipline.loop = true;
  }

  /** No goroutine's end is ever told. One that serves a connection has been there long, and is spared. */
  #evict(): void {
    let spared = 0;
    for (let oldest = this.#oldest.next(); oldest !== undefined; oldest = this.#oldest.next()) {
      if (oldest.goroutine === undefined || oldest.requests === 0 || ++spared > maxSpared) return this.exitThread(oldest.tid, true);
      this.#contexts.delete(oldest.tid);
      this.#contexts.set(oldest.tid, oldest);
    }
  }
}
