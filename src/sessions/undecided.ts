/** Outbound talks of one process that are of no session and not decided, in the order in which they came to be so. */
import { Roster } from './roster.ts';
import { SEATS } from './spoken.ts';
import type { Spoken } from './spoken.ts';

export class Undecided {
  readonly #all = new Roster<Spoken>(SEATS.untied);
  /** Those of them that were not looked at before their turn. Few, where there are many of the others. */
  readonly #unripe = new Roster<Spoken>(SEATS.unripe);

  get size(): number {
    return this.#all.size;
  }

  add(call: Spoken): void {
    this.#all.add(call);
    this.#unripe.add(call);
  }

  /** Nothing happens where it isn't in. */
  delete(call: Spoken): void {
    this.#all.delete(call);
    this.#unripe.delete(call);
  }

  /** Nobody may enter or leave meanwhile. */
  [Symbol.iterator](): Generator<Spoken> {
    return this.#all[Symbol.iterator]();
  }

  /** Those that are over, began before the event `untilSeq`, and were not looked at: they are ripe from here on. */
  ripening(untilSeq: number): Spoken[] {
    const found: Spoken[] = [];
    for (const call of this.#unripe) {
      if (call.beganSeq > untilSeq) break;
      if (!call.over || call.doubt === undefined || call.doubt.ripe) continue;
      call.doubt.ripe = true;
      found.push(call);
    }
    for (const call of found) this.#unripe.delete(call);
    return found;
  }
}
