/**
 * What stands for calls between the moment at which the write that opens them begins and the one at which it is handed on: by the number
 * of their stream, where the write could be looked at; else one talk for whatever the write will open.
 */
interface Write<T> {
  readonly position: number;
  readonly talk: T;
  used: boolean;
}

export class Openings<T> {
  readonly #announced = new Map<number, T>();
  #writes: Write<T>[] = [];

  has(stream: number): boolean {
    return this.#announced.has(stream);
  }

  announce(stream: number, talk: T): void {
    this.#announced.set(stream, talk);
  }

  /** A write begins at `position` that can't be looked at. */
  stand(position: number, talk: T): void {
    this.#writes.push({ position, talk, used: false });
  }

  /** What stood for `stream`, whose first byte is at `position`; `beside`: the write opened another one already. Undefined: nothing did. */
  take(stream: number, position: number): { readonly talk: T; readonly beside: boolean } | undefined {
    const announced = this.#announced.get(stream);
    if (announced !== undefined) {
      this.#announced.delete(stream);
      return { talk: announced, beside: false };
    }
    const write = this.#writes.findLast((one) => one.position <= position);
    if (write === undefined) return undefined;
    const beside = write.used;
    write.used = true;
    return { talk: write.talk, beside };
  }

  /** Writes are handed on up to `end`: what stood for nothing. */
  written(end: number): readonly T[] {
    if (this.#writes.length === 0) return [];
    const idle = this.#writes.filter(({ position, used }) => position < end && !used);
    this.#writes = this.#writes.filter(({ position }) => position >= end);
    return idle.map(({ talk }) => talk);
  }

  /** Everything that stands for something that never came. */
  forget(): readonly T[] {
    const idle = [...this.written(Infinity), ...this.#announced.values()];
    this.#announced.clear();
    return idle;
  }
}
