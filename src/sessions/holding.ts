/**
 * Which connections a thread has accepted and holds. TCP says when one is closed. A unix socket is often reported long after,
 * so one whose peer has ended, or whose thread has answered on it and accepted another, counts as ended until it is read again.
 */
import type { Connection } from '../connections/connection.ts';
import type { Context, Job } from '../contexts/context.ts';

export class Holding<J extends Job> {
  readonly #onAccept: (context: Context<J>) => void;
  readonly #lastUnix = new WeakMap<Context<J>, Connection>();

  constructor(onAccept: (context: Context<J>) => void) {
    this.#onAccept = onAccept;
  }

  accepted(context: Context<J>, connection: Connection): void {
    if (connection.open.family === 'unix') {
      const last = this.#lastUnix.get(context);
      if (last?.work?.answered === true) this.ended(context, last);
      this.#lastUnix.set(context, connection);
    }
    connection.held = true;
    this.#onAccept(context);
  }

  ended(context: Context<J>, connection: Connection): void {
    if (!connection.held) return;
    connection.held = false;
    if (context.accepted > 0) context.accepted -= 1;
  }

  /** `context` reads a request from `connection`: whether it is one of several that it accepted and holds. */
  juggles(context: Context<J>, connection: Connection): boolean {
    if (connection.openerTid !== context.tid || connection.open.learnt !== 'accept') return false;
    if (!connection.held && !connection.endedForSure) {
      connection.held = true;
      context.accepted += 1;
    }
    return context.accepted > 1;
  }
}
