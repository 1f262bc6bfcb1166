/** Which virtual thread of Java's began which: the one that waits for it (bpf/java-waits.bpf.c). */
import { dropFirst } from '../bounded.ts';

/** Remembered, of one process. Past that the one first told of is forgotten. */
const maxWaited = 65_536;

export interface Made {
  /** The context in which it was made; 0: none that is known. */
  readonly parent: number;
  readonly atUs: number;
}

export class Waited {
  readonly #of = new Map<number, Made>();

  told(thread: number, by: Made): void {
    if (this.#of.has(thread)) return;
    this.#of.set(thread, by);
    dropFirst(this.#of, maxWaited);
  }

  by(thread: number): Made | undefined {
    return this.#of.get(thread);
  }

  /** The process runs another program. */
  executed(): void {
    this.#of.clear();
  }
}
