/** What set a connection up, as its sessions refer to it: made once it is whole, and then shared by them all. */
import type { Chunk } from '../connections/account.ts';
import type { Connection } from '../connections/connection.ts';
import type { Direction } from '../events/event.ts';
import type { Prologue } from './session.ts';
import type { Spoken } from './spoken.ts';

const NONE: readonly Connection[] = [];

export class Prologues {
  /** The talks that set a connection up, in order. */
  readonly setupsOf: (connection: Connection) => readonly Spoken[];
  readonly #made = new WeakMap<Connection, Prologue>();

  constructor(setupsOf: (connection: Connection) => readonly Spoken[]) {
    this.setupsOf = setupsOf;
  }

  /** Of the connections of a session, and of those that were opened for it, the ones that were set up in any way. */
  connectionsOf(inbound: Spoken, calls: readonly Spoken[], opened: readonly Connection[] = NONE): readonly Connection[] {
    let setUp = opened.length > 0 || this.#isSetUp(inbound.connection);
    for (const call of calls) setUp ||= this.#isSetUp(call.connection);
    if (!setUp) return NONE;
    const connections = new Set([...[inbound, ...calls].map((talk) => talk.connection), ...opened]);
    return [...connections].filter((connection) => this.setupsOf(connection).length > 0);
  }

  #isSetUp(connection: Connection): boolean {
    return this.setupsOf(connection).length > 0;
  }

  of(connection: Connection): Prologue {
    const known = this.#made.get(connection);
    if (known !== undefined) return known;
    const setups = this.setupsOf(connection);
    const prologue = { connection: connection.id, destination: connection.remote, chunks: chunksOf(setups) };
    if (setups.every((talk) => talk.settled)) this.#made.set(connection, prologue);
    return prologue;
  }
}

/** In the order of time: what was said and heard takes turns. */
function chunksOf(setups: readonly Spoken[]): Prologue['chunks'] {
  const chunks: (Chunk & { readonly direction: Direction })[] = setups.flatMap((talk) => [
    ...talk.sent.chunks().map((chunk) => ({ ...chunk, direction: 'egress' as const })),
    ...talk.received.chunks().map((chunk) => ({ ...chunk, direction: 'ingress' as const })),
  ]);
  return chunks.sort((a, b) => a.atUs - b.atUs);
}
