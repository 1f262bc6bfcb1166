/**
 * HTTP/2 in Go: one goroutine reads a connection, and each stream is served by one of its own, which is told of with the number of the
 * stream and with who reads the connection, or has begun the one that does. From then on it works for that session, as one does that
 * reads its request itself.
 */
import type { Connection } from '../connections/connection.ts';
import type { Context } from '../contexts/context.ts';
import type { Contexts } from '../contexts/contexts.ts';
import type { Goroutine } from '../contexts/goroutines.ts';
import type { ServesEvent } from '../events/event.ts';
import type { Cutter } from '../talks/cutter.ts';
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

export class Served {
  /** The connection that a goroutine, or one that it began, reads. */
  readonly #connections = new WeakMap<Goroutine, Connection>();
  readonly #contexts: Contexts<OpenSession>;

  constructor(contexts: Contexts<OpenSession>) {
    this.#contexts = contexts;
  }

  /** `context` reads requests from `connection`, which carries several at a time. */
  reads(context: Context<OpenSession>, connection: Connection): void {
    const { goroutine, tgid } = context;
    if (goroutine === undefined || this.#connections.get(goroutine) === connection) return;
    for (const one of goroutine.parent === undefined ? [goroutine] : [goroutine, goroutine.parent]) {
      this.#connections.set(one, connection);
      this.#contexts.goroutines.lasts(one);
      this.#contexts.readsSeveral(this.#contexts.own(one.number, tgid));
    }
  }

  serves({ tgid, context, reader, stream }: ServesEvent): void {
    const { goroutines } = this.#contexts;
    const connection = this.#connections.get(goroutines.standing(tgid, reader));
    const session = connection === undefined ? undefined : cutterOf(connection).talkOf(stream)?.session;
    if (session !== undefined) this.#contexts.serves(this.#contexts.own(goroutines.standing(tgid, context).number, tgid), session);
  }
}

/** Who cuts it: every connection was given one. */
export function cutterOf(connection: Connection): Cutter<Spoken> {
  return connection.sink as Cutter<Spoken>;
}
