/** Who is working for whom: told what each thread reads and writes, asked at each call whose it is. */
import { Birth, born } from './born.ts';
import { Context } from './context.ts';
import type { Job } from './context.ts';
import { continuation } from './continuation.ts';
import { elimination } from './elimination.ts';
import type { Evidence } from './evidence.ts';
import type { Discipline } from './discipline.ts';
import { thread } from './thread.ts';
import type { Tie } from './tie.ts';

/** Strongest first. */
const KINDS: readonly Evidence[] = [thread, born, continuation, elimination];

/** Threads held at a time. Past that the one first seen is forgotten (its exit was lost). */
export const maxContexts = 131_072;

const NONE: readonly never[] = [];

export class Contexts<J extends Job> {
  readonly #contexts = new Map<number, Context<J>>();
  readonly #ofProcess = new Map<number, Set<number>>();
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

  of(tid: number, tgid: number): Context<J> {
    const known = this.#contexts.get(tid);
    if (known !== undefined) return known;
    const context = new Context<J>(tid, tgid);
    this.#contexts.set(tid, context);
    const others = this.#ofProcess.get(tgid);
    if (others === undefined) this.#ofProcess.set(tgid, new Set([tid]));
    else others.add(tid);
    if (this.#contexts.size > maxContexts) for (const oldest of this.#contexts.values()) return this.#evict(oldest, context);
    return context;
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
      if (context.busy) this.#isLoop(context);
      if (before !== undefined) {
        context.reading = undefined;
        this.#onMovedOn(before, context.tid);
      }
      context.discipline = discipline;
      if (context.loop) discipline.loop = true;
      if (fresh) context.connections += 1;
      discipline.take(context, fresh);
    }
    if (juggles) context.juggles = true;
    context.reading = job;
    context.wake(job, 'request', this.#now());
  }

  /** Bytes were read that may be a request: whom it works for from here on is not known. */
  readUnknown(context: Context<J>): void {
    const before = context.reading;
    context.reading = undefined;
    if (before !== undefined) this.#onMovedOn(before, context.tid);
    context.wake(undefined, 'request', this.#now());
  }

  /** Bytes of an answer were read; `job`: whose call it answers, where that is known. */
  readAnswer(context: Context<J>, job: J | undefined): void {
    if (job !== undefined && context.reading !== job && context.busy) this.#isLoop(context);
    context.wake(job, 'answer', this.#now());
  }

  /** Bytes of `job`'s response were written. */
  respond(context: Context<J>, job: J): void {
    if (context.reading !== job && context.busy) this.#isLoop(context);
    context.act();
  }

  /** The best answer so far to whose call it is that `context` begins. `only`: the one session of its process that has no answer. */
  tie(context: Context<J>, only: J | undefined): Tie<J> | undefined {
    context.rouse(this.#now());
    for (const evidence of KINDS) {
      const job = evidence.find(context, context.loop, only);
      if (job === undefined) continue;
      const tie = { job, evidence, context, inLoop: context.loop ? evidence : this.#inLoop(context, job, only), alternatives: NONE };
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
    const child = this.of(tid, tgid);
    return (child.birth = new Birth(tie, child));
  }

  /** A process has become another program. */
  executed(tgid: number): void {
    const birth = this.#contexts.get(tgid)?.birth;
    if (birth !== undefined) birth.executed = true;
  }

  exitThread(tid: number): void {
    const context = this.#contexts.get(tid);
    if (context === undefined) return;
    this.#contexts.delete(tid);
    const others = this.#ofProcess.get(context.tgid);
    others?.delete(tid);
    if (others?.size === 0) this.#ofProcess.delete(context.tgid);
    const { reading } = context;
    context.discipline?.left(context);
    context.forget();
    context.ended = true;
    if (reading !== undefined) this.#onMovedOn(reading, tid);
  }

  exitProcess(tgid: number): void {
    for (const tid of [...(this.#ofProcess.get(tgid) ?? [])]) this.exitThread(tid);
  }

  /** The recorder was away: whatever a thread did meanwhile, it may work for somebody else now. */
  pause(): void {
    for (const context of this.#contexts.values()) {
      const { reading } = context;
      context.forget();
      if (reading !== undefined) this.#onMovedOn(reading, 0);
    }
  }

  get size(): number {
    return this.#contexts.size;
  }

  #inLoop(context: Context<J>, job: J, only: J | undefined): Evidence | undefined {
    return context.discipline?.blocking === true ? undefined : KINDS.find((evidence) => evidence.find(context, true, only) === job);
  }

  #isLoop(context: Context<J>): void {
    context.loop = true;
    if (context.discipline !== undefined) context.discipline.loop = true;
  }

  #evict(oldest: Context<J>, context: Context<J>): Context<J> {
    this.exitThread(oldest.tid);
    return context;
  }
}
