/** What is said on one connection, in the order in which it was asked, although one thing may have to be waited for longer than the next. */
export class Replies {
  #tail: Promise<void> | undefined;

  /** Something is still to be said. */
  get waiting(): boolean {
    return this.#tail !== undefined;
  }

  /** At once where nothing waits and nothing is to be waited for. `ready` is called when its turn has come, never rejects, and gives what `say` gets. */
  add(say: () => void): void;
  add<T>(say: (value: T) => void, ready: () => Promise<T>): void;
  add<T>(say: (value?: T) => void, ready?: () => Promise<T>): void {
    if (this.#tail === undefined && ready === undefined) {
      say();
      return;
    }
    const before = this.#tail ?? Promise.resolve();
    const tail = before.then(() => ready?.()).then((value) => {
      say(value);
      if (this.#tail === tail) this.#tail = undefined;
    });
    this.#tail = tail;
  }
}
