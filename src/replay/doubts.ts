/**
 * Sessions were played at the same time, and not every call was proven to be of its session: then a difference found in one
 * may be another's. Who made a call that is new, who left one out, can't be told. So where any of them differs, all that were
 * in play with it and had such calls are to be played again, each alone. Pure.
 */

export interface Finished {
  readonly number: number;
  /** Numbers of its beginning and its end among those of the run. */
  readonly began: number;
  readonly ended: number;
  /** It is not the same as recorded, or was given an answer that might have been another's. */
  readonly differs: boolean;
  /** It had calls that were found by content, or by less than a proof. */
  readonly unproven: boolean;
}

export class Doubts {
  #finished: Finished[] = [];
  #undecided: Finished[] = [];

  add(finished: Finished): void {
    this.#finished.push(finished);
    this.#undecided.push(finished);
  }

  /** Those of which it is known now: nothing is in play that began before `oldest`. */
  decide(oldest: number): { readonly sure: readonly number[]; readonly again: readonly number[] } {
    const sure: number[] = [];
    const again: number[] = [];
    this.#undecided = this.#undecided.filter((one) => {
      if (one.ended >= oldest) return true;
      (this.#isDoubtful(one) ? again : sure).push(one.number);
      return false;
    });
    const needed = this.#undecided.reduce((least, { began }) => Math.min(least, began), oldest);
    this.#finished = this.#finished.filter(({ ended }) => ended > needed);
    return { sure, again };
  }

  #isDoubtful(one: Finished): boolean {
    if (!one.differs && !one.unproven) return false;
    const others = this.#finished.filter((other) => other !== one && other.began < one.ended && one.began < other.ended);
    if (one.differs) return others.length > 0 && (one.unproven || others.some(({ unproven }) => unproven));
    return others.some(({ differs }) => differs);
  }
}
