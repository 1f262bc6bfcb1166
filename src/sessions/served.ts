/**
 * HTTP/2 in Go: one goroutine reads a connection, and each stream is served by one of its own, which is told of with the number of the
 * stream and with who reads the connection, or has begun the one that does. From then on it works for that session, as one does that
 * reads its request itself; where it is one of a pool, until it is told of with the next.
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
  /** The connection that a goroutine reads; that one reads which it began. */
  readonly #own = new WeakMap<Goroutine, Connection>();
  readonly #childs = new WeakMap<Goroutine, Connection>();
  readonly #contexts: Contexts<OpenSession>;

  constructor(contexts: Contexts<OpenSession>) {
    this.#contexts = contexts;
  }

  /** `context` reads requests from `connection`, which carries several at a time. */
  reads(context: Context<OpenSession>, connection: Connection): void {
    const { goroutine, tgid } = context;
    if (goroutine === undefined || this.#own.get(goroutine) === connection) return;
    const { parent } = goroutine;
    this.#own.set(goroutine, connection);
    if (parent !== undefined) this.#childs.set(parent, connection);
    for (const one of parent === undefined ? [goroutine] : [goroutine, parent]) {
      this.#contexts.goroutines.lasts(one);
      this.#contexts.readsSeveral(this.#contexts.own(one.number, tgid));
    }
  }

  serves({ tgid, context, reader, stream }: ServesEvent): void {
    const { goroutines } = this.#contexts;
    const connection = this.#readBy(goroutines.standing(tgid, reader));
    const session = connection === undefined ? undefined : cutterOf(connection).talkOf(stream)?.session;
    this.#contexts.serves(this.#contexts.own(goroutines.standing(tgid, context).number, tgid), session);
  }

  /** The first requests may have come with the preface: read by the one that then began the reader. */
  #readBy(reader: Goroutine): Connection | undefined {
    const before = reader.parent === undefined ? undefined : this.#own.get(reader.parent);
    return this.#own.get(reader) ?? this.#childs.get(reader) ?? before;
  }
}

/** Who cuts it: every connection was given one. */
export function cutterOf(connection: Connection): Cutter<Spoken> {
  return connection.sink as Cutter<Spoken>;
}
