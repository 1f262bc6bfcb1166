/** All connections of a recording: events in, ordered streams out, bounded by what is open. */
import type { AcceptedEvent, CloseEvent, DataEvent, GapEvent, IntentEvent, OpenEvent, SentEvent } from '../events/event.ts';
import type { ConnectionAccount } from './account.ts';
import { Connection } from './connection.ts';
import { Listeners } from './listeners.ts';
import { LossLedger } from './loss.ts';
import type { StreamSink } from './sink.ts';

/** Connections held at a time. Past that the oldest is given up as `open` (its close was lost, or the recorder's map is larger). */
export const maxConnections = 262_144;

export interface ConnectionsOptions {
  /** Compute SHA-256 of every stream. */
  readonly digests: boolean;
  /** Who cuts a new connection. Its role may still be undecided: ask `roleOf`. */
  readonly sink: (connection: Connection) => StreamSink;
  /** A connection is over, or the recording is. */
  readonly onAccount: (account: ConnectionAccount) => void;
}

export type StreamEvent = IntentEvent | DataEvent | AcceptedEvent | SentEvent | GapEvent;

export class Connections {
  readonly listeners = new Listeners();
  readonly ledger = new LossLedger();
  readonly #options: ConnectionsOptions;
  readonly #open = new Map<number, Connection>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Undefined where the event repeats what is known. */
  open(event: OpenEvent): Connection | undefined {
    const known = this.#open.get(event.connection);
    if (known !== undefined) {
      if (sameSocket(known.open, event)) return undefined;
      this.#giveUp(known);
    }
    const connection = new Connection(event);
    connection.start(this.#options.sink(connection), this.ledger, this.#options.digests);
    this.#open.set(event.connection, connection);
    if (this.#open.size > maxConnections) for (const oldest of this.#open.values()) { this.#giveUp(oldest); break; }
    return connection;
  }

  /** Undefined for connections that nobody opened: the caller counts those. */
  get(number: number): Connection | undefined {
    return this.#open.get(number);
  }

  stream(connection: Connection, event: StreamEvent): void {
    this.roleOf(connection);
    if (event.kind === 'intent' || event.kind === 'sent' || (event.kind === 'data' && event.direction === 'egress')) connection.ingress.settle();
    switch (event.kind) {
      case 'intent': return connection.egress.intent(event);
      case 'accepted': return connection.egress.accepted(event);
      case 'sent': return connection.egress.sent(event);
      default:
        if (event.direction === 'egress') return connection.egress.data(event);
        connection.egress.received(event.tid);
        connection.ingress.data(event);
    }
  }

  /** True when the connection is over: its account was given out and it is forgotten. */
  close(connection: Connection, event: CloseEvent): boolean {
    this.roleOf(connection);
    if (!connection.close(event)) return false;
    this.#forget(connection);
    return true;
  }

  /** The recording ends: what is open is `open`. */
  finish(): void {
    for (const connection of [...this.#open.values()]) this.#giveUp(connection);
  }

  all(): IterableIterator<Connection> {
    return this.#open.values();
  }

  roleOf(connection: Connection): 'inbound' | 'outbound' {
    return (connection.role ??= this.listeners.owns(connection.open.local, connection.open.netns) ? 'inbound' : 'outbound');
  }

  #giveUp(connection: Connection): void {
    this.roleOf(connection);
    connection.stop();
    this.#forget(connection);
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection.number);
    this.#options.onAccount(connection.account());
  }
}

/** A snapshot repeats the facts of the open; another socket under the same number differs in inode or in endpoints. */
function sameSocket(a: OpenEvent, b: OpenEvent): boolean {
  if (a.netns !== b.netns || (a.socketInode !== b.socketInode && a.socketInode !== 0 && b.socketInode !== 0)) return false;
  return a.local.port === b.local.port && a.remote.port === b.remote.port && a.local.host === b.local.host && a.remote.host === b.remote.host;
}
