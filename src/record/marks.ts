/**
 * When a recording is to say that time has passed although nothing happened. Who reads it decides much by time (a thread that was quiet so
 * long works for nobody any more), and an idle service's last sessions would not be over before something else happens.
 */

/**
 * So long after what was written last, and then no more: a recording does not grow while nothing happens. What waits for the next report of
 * losses is over by the first, what waits for doubts (2 s) by the second, and what waits for quiet (5 s) and then for doubts by the last.
 */
const AFTER_MS = [1_000, 3_000, 9_000] as const;

export class Marks {
  #events = 0;
  #sinceMs = 0;
  #made = 0;

  /** Whether a mark is to be made now. `events`: how many were written so far, marks among them; `nowMs`: of a clock that is never set. */
  due(events: number, nowMs: number): boolean {
    if (events !== this.#events) {
      this.#events = events;
      this.#sinceMs = nowMs;
      this.#made = 0;
    }
    return nowMs - this.#sinceMs >= (AFTER_MS[this.#made] ?? Infinity);
  }

  /** The one that is due now is the last. */
  get last(): boolean {
    return this.#made === AFTER_MS.length - 1;
  }

  /** It was made, as the last of so many events. */
  made(events: number): void {
    this.#events = events;
    this.#made += 1;
  }
}
