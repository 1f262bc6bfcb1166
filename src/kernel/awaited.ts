/** Processes that have only begun to run what they run, and may yet load the library by which they are known. */
import { existsSync } from 'node:fs';

/** How often each is looked at before it is given up. */
const MAX_LOOKS = 20;

export class Awaited {
  /** How often each was looked at. */
  readonly #looks = new Map<number, number>();

  get size(): number {
    return this.#looks.size;
  }

  /** It was looked at once. */
  add(tgid: number): void {
    this.#looks.set(tgid, 1);
  }

  delete(tgid: number): void {
    this.#looks.delete(tgid);
  }

  /** Each is looked at once more. `look`: true where there is no more to await. */
  look(look: (tgid: number) => boolean): void {
    for (const [tgid, looks] of [...this.#looks]) {
      if (look(tgid) || looks >= MAX_LOOKS || !existsSync(`/proc/${tgid}`)) this.#looks.delete(tgid);
      else this.#looks.set(tgid, looks + 1);
    }
  }
}
