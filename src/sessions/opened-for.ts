/** Outbound connections on which nothing was said yet, and what their connect was tied to. */
import type { Connection } from '../connections/connection.ts';
import type { Context } from '../contexts/context.ts';
import type { Contexts } from '../contexts/contexts.ts';
import type { WhyNot } from '../contexts/reasons.ts';
import type { Tie } from '../contexts/tie.ts';
import type { OpenSession } from './open-session.ts';
import type { Spoken } from './spoken.ts';

interface Opened {
  readonly tie: Tie<OpenSession> | undefined;
  /** Of the context that connected. */
  readonly tid: number;
  /** Why it has no tie, where somebody asks. */
  readonly whyNot: readonly WhyNot[] | undefined;
}

export class OpenedFor {
  readonly #opened = new WeakMap<Connection, Opened>();

  connected(connection: Connection, opened: Opened): void {
    this.#opened.set(connection, opened);
    if (opened.tie !== undefined) (opened.tie.job.opened ??= []).push(connection);
  }

  of(connection: Connection): Opened | undefined {
    return this.#opened.get(connection);
  }

  /** The first call of a connection that a loop opened is of the session it was opened for. */
  tieOf(talk: Spoken, context: Context<OpenSession>, contexts: Contexts<OpenSession>, only: OpenSession | undefined, forAnother: boolean): Tie<OpenSession> | undefined {
    const opened = this.#opened.get(talk.connection);
    if (opened === undefined) return undefined;
    this.#opened.delete(talk.connection);
    const { tie } = opened;
    if (tie === undefined || tie.job.gone || context.excluded) return undefined;
    if (!context.loop && context.tid === opened.tid) return contexts.tie(context, only, forAnother) ?? tie;
    if (context.tid !== opened.tid) return undefined;
    const now = context.suspect;
    return now === undefined || now.gone || now === tie.job ? tie : { ...tie, alternatives: [now] };
  }
}
