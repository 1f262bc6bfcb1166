/**
 * What is alive while a recording is written: connections, processes, listeners. A new segment repeats it, so that each
 * segment stands alone. Kept encoded, as it will be written.
 */
import { dropFirst } from '../bounded.ts';
import type { Event, ListenEvent, ProcessEvent } from '../events/event.ts';
import { encodeEvent } from '../events/message.ts';

/** Entries of a kind; beyond it the oldest is forgotten: it takes lost close events to come here. */
const MAX_ENTRIES = 1 << 18;

export interface LiveEntry {
  readonly atUs: number;
  /** As `encodeEvent` makes it, without `snapshot`. */
  readonly message: Uint8Array;
}

export class LiveState {
  readonly #connections = new Map<number, LiveEntry>();
  readonly #processes = new Map<number, LiveEntry & { readonly event: ProcessEvent }>();
  readonly #listeners = new Map<string, LiveEntry>();

  get connections(): number {
    return this.#connections.size;
  }

  /** Takes note of an event that is being written as `message`; payload kinds need not come here. */
  note(event: Event, message: Uint8Array): void {
    if (event.kind === 'open') {
      bounded(this.#connections, event.connection, { atUs: event.atUs, message });
    } else if (event.kind === 'close') {
      if (event.phase === 'done' || event.phase === 'failed') this.#connections.delete(event.connection);
    } else if (event.kind === 'listen') {
      const key = listenerKey(event);
      if (event.open) bounded(this.#listeners, key, { atUs: event.atUs, message });
      else this.#listeners.delete(key);
    } else if (event.kind === 'process') {
      this.#process(event);
    }
  }

  #process(event: ProcessEvent): void {
    if (event.what === 'exit') {
      this.#processes.delete(event.tgid);
      return;
    }
    if (event.what === 'thread' || event.what === 'thread-exit') return;
    const tgid = event.what === 'fork' ? event.childTgid : event.tgid;
    const before = this.#processes.get(event.tgid)?.event;
    // A forked child runs its parent's program until it execs; exec keeps the parent.
    const seen: ProcessEvent = {
      ...event, what: 'seen', tgid, tid: tgid, childTgid: tgid, childTid: tgid, context: 0, exitCode: 0,
      parentTgid: event.what === 'fork' ? event.tgid : event.parentTgid || (before?.parentTgid ?? 0),
      command: event.command || (before?.command ?? ''),
      path: event.path || (before?.path ?? ''),
    };
    bounded(this.#processes, tgid, { atUs: seen.atUs, message: encodeEvent(seen), event: seen });
  }

  /** Processes first, then listeners, then connections, each in the order it came. */
  *entries(): Generator<LiveEntry> {
    yield* this.#processes.values();
    yield* this.#listeners.values();
    yield* this.#connections.values();
  }
}

const listenerKey = (event: ListenEvent): string => `${event.netns} ${event.local.host} ${event.local.port}`;

function bounded<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.set(key, value);
  dropFirst(map, MAX_ENTRIES);
}
