/**
 * Who is in, in the order of entering; entering and leaving are O(1). Instead of a Set: that one grows a new table every so many
 * entries, each table that was discarded names the next, and once one of them is old the young collections keep what all later
 * ones ever held. Sessions come and go by the hundred thousand: half of the time went into copying those that were long gone.
 */
export interface Seated<T> {
  /** By the roster's index, its place there. Kept by rosters. */
  readonly seats: (Seat<T> | undefined)[];
}

export interface Seat<T> {
  readonly item: T;
  previous: Seat<T> | undefined;
  next: Seat<T> | undefined;
}

export class Roster<T extends Seated<T>> {
  size = 0;
  readonly #index: number;
  #first: Seat<T> | undefined;
  #last: Seat<T> | undefined;

  /** `index`: which of its items' seats are this roster's. An item is in one roster of an index at a time. */
  constructor(index: number) {
    this.#index = index;
  }

  get first(): T | undefined {
    return this.#first?.item;
  }

  /** Nothing happens where it is in. It is in no other roster of this index. */
  add(item: T): void {
    if (this.has(item)) return;
    const seat: Seat<T> = { item, previous: this.#last, next: undefined };
    item.seats[this.#index] = seat;
    if (this.#last === undefined) this.#first = seat;
    else this.#last.next = seat;
    this.#last = seat;
    this.size += 1;
  }

  has(item: T): boolean {
    return item.seats[this.#index] !== undefined;
  }

  /** Nothing happens where it isn't in. */
  delete(item: T): void {
    const seat = item.seats[this.#index];
    if (seat === undefined) return;
    item.seats[this.#index] = undefined;
    const { previous, next } = seat;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // Gone, and maybe old by now: it must not keep others.
    seat.previous = seat.next = undefined;
    this.size -= 1;
  }

  /** Nobody may enter or leave meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let seat = this.#first; seat !== undefined; seat = seat.next) yield seat.item;
  }
}
