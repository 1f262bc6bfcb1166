/**
 * Sessions of a process that are not given out, in the order in which they began. A list through them: entering and leaving are O(1). No
 * `Roster`: they wait here, and a seat for each took a tenth of the speed of loops (bench/derive.ts).
 */
import type { OpenSession } from './open-session.ts';

export class Held {
  #first: OpenSession | undefined;
  #last: OpenSession | undefined;

  /** The one that began last. */
  get last(): OpenSession | undefined {
    return this.#last;
  }

  get empty(): boolean {
    return this.#first === undefined;
  }

  add(session: OpenSession): void {
    session.ahead = this.#last;
    if (this.#last === undefined) this.#first = session;
    else this.#last.behind = session;
    this.#last = session;
  }

  remove(session: OpenSession): void {
    if (session.ahead === undefined && this.#first !== session) return;
    if (session.ahead === undefined) this.#first = session.behind;
    else session.ahead.behind = session.behind;
    if (session.behind === undefined) this.#last = session.ahead;
    else session.behind.ahead = session.ahead;
    session.ahead = session.behind = undefined;
  }

  *[Symbol.iterator](): Generator<OpenSession> {
    for (let session = this.#first; session !== undefined; session = session.behind) yield session;
  }
}
