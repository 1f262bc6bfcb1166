/** What the client of a connection told its server that later requests refer to. */

/** Of a connection that is older than the recorder. Pure but for its own state; never throws on input. Hears whole talks in the order of their answers. */
export interface Memory {
  /** Whether the request means what it says by itself, and by what was heard before. `response`: its first bytes, at least 64 where there are as many. */
  hear(request: Uint8Array, response: Uint8Array): boolean;
}

/** Names or numbers of statements, by far more than a connection has. */
const maxKnown = 65_536;

/** What was heard of; bounded: what does not fit counts as unheard. */
export class Known<K> {
  readonly #known = new Set<K>();

  add(key: K): void {
    if (this.#known.size < maxKnown) this.#known.add(key);
  }

  has(key: K): boolean {
    return this.#known.has(key);
  }

  delete(key: K): void {
    this.#known.delete(key);
  }

  clear(): void {
    this.#known.clear();
  }
}
