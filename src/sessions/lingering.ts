/** Sessions that have answered and may still act, the one that did least lately first. A list through the sessions: moving one is O(1). */
import type { OpenSession } from './open-session.ts';

export class Lingering {
  #first: OpenSession | undefined;
  #last: OpenSession | undefined;

  get first(): OpenSession | undefined {
    return this.#first;
  }

  /** Enters it, or moves it to the end. */
  touch(session: OpenSession, atUs: number): void {
    session.lastAtUs = atUs;
    if (session === this.#last) return;
    if (session.lingers) this.remove(session);
    session.lingers = true;
    session.previous = this.#last;
    if (this.#last === undefined) this.#first = session;
    else this.#last.next = session;
    this.#last = session;
  }

  remove(session: OpenSession): void {
    if (!session.lingers) return;
    if (session.previous === undefined) this.#first = session.next;
    else session.previous.next = session.next;
    if (session.next === undefined) this.#last = session.previous;
    else session.next.previous = session.previous;
    session.previous = session.next = undefined;
    session.lingers = false;
  }
}
