/**
 * The first entry of a map whose first entries are removed one after the other. Looked for from where the last one stood: a map is
 * walked over all that was removed from its beginning (in V8 until it is made anew), which is quadratic.
 */
export class Oldest<V> {
  readonly #map: ReadonlyMap<unknown, V>;
  #walk: Iterator<V>;

  constructor(map: ReadonlyMap<unknown, V>) {
    this.#map = map;
    this.#walk = map.values();
  }

  /** Each entry once, in the order in which they were put in; it must be removed, or put in again, before the next. Undefined: there is none. */
  next(): V | undefined {
    const found = this.#walk.next();
    if (found.done !== true) return found.value;
    this.#walk = this.#map.values();
    return this.#walk.next().value as V | undefined;
  }
}
