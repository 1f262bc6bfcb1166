/** The virtual threads of all processes, by the names that these gave them. */
import { FIRST_GOROUTINE } from '../connections/piece.ts';
import { Context } from './context.ts';
import type { Job } from './context.ts';

/** Of one process. Past that the one first named that works for nobody is forgotten; where all work, no more are made. */
export const maxVirtualThreads = 16_384;
/** Their numbers begin where no thread's can be. */
const FIRST = 2 ** 32;
/** Looked at to find one that works for nobody. */
const maxLookedAt = 64;

export function isVirtual(tid: number): boolean {
  return tid >= FIRST && tid < FIRST_GOROUTINE;
}

export class VirtualThreads<J extends Job> {
  readonly #ofProcess = new Map<number, Map<string, Context<J>>>();
  readonly #byNumber = new Map<number, Context<J>>();
  #next = FIRST;

  find(tgid: number, name: string): Context<J> | undefined {
    return this.#ofProcess.get(tgid)?.get(name);
  }

  byNumber(number: number): Context<J> | undefined {
    return this.#byNumber.get(number);
  }

  /** Undefined: there are too many, and all of them work. */
  make(tgid: number, name: string): Context<J> | undefined {
    let named = this.#ofProcess.get(tgid);
    if (named === undefined) this.#ofProcess.set(tgid, (named = new Map<string, Context<J>>()));
    if (named.size >= maxVirtualThreads && !this.#makeRoom(named)) return undefined;
    const context = new Context<J>(this.#next++, tgid, name);
    named.set(name, context);
    this.#byNumber.set(context.tid, context);
    return context;
  }

  end(context: Context<J>): void {
    context.ended = true;
    this.#byNumber.delete(context.tid);
    const named = this.#ofProcess.get(context.tgid);
    named?.delete(context.name);
    if (named?.size === 0) this.#ofProcess.delete(context.tgid);
  }

  of(tgid: number): readonly Context<J>[] {
    return [...(this.#ofProcess.get(tgid)?.values() ?? [])];
  }

  all(): IterableIterator<Context<J>> {
    return this.#byNumber.values();
  }

  #makeRoom(named: Map<string, Context<J>>): boolean {
    let looked = 0;
    for (const context of named.values()) {
      if (!context.busy) {
        this.end(context);
        return true;
      }
      if (++looked >= maxLookedAt) return false;
    }
    return false;
  }
}
