/**
 * Goroutines, as contexts: each has a number of its own, beyond all thread ids, and stands for itself wherever a thread would. Some
 * do another's work, and then they stand for that one:
 *
 *   reads-ahead   net/http's server: reads the first byte of the next request, for the goroutine that serves the connection
 *   writes-for    net/http's client: writes the requests of whoever has its connection at the time
 *
 * Of one that opens streams of HTTP/2 for others, each is told with who asked for it: the stream is that one's work, and nothing else is.
 */
import { dropFirst } from '../bounded.ts';
import { FIRST_GOROUTINE } from '../connections/piece.ts';
import type { GoroutineEvent, GoroutineRole, OnBehalfEvent } from '../events/event.ts';
import { Oldest } from './oldest.ts';

/** Goroutines remembered that are nothing in particular. Past that the one first met is forgotten, with what it came of. */
const maxOthers = 131_072;
/** Those that serve, read or write for others, or read a connection of several calls, live long and are few. Past that, likewise. */
const maxParticular = 131_072;
/** Streams of one goroutine that are told of and not opened yet: more can't be open at a time. Past that the first is forgotten. */
const maxOpenings = 10_000;

/** What is known of all goroutines that began with one function. */
export class GoroutineKind {
  /** One of them was met when the request of the one that began it had its answer: they may be met late. */
  late = false;
  /** One of them went on to work after what it was begun for: a pool's worker. */
  outlives = false;
  /** So many were begun for a session. */
  begun = 0;
}

export class Goroutine {
  readonly number: number;
  /** As its program has it. */
  readonly id: number;
  /** Undefined: where it began is not known. */
  kind: GoroutineKind | undefined;
  role: GoroutineRole = 'unknown';
  parent: Goroutine | undefined;
  /** Of one that writes for others: for whom it does now. */
  whose: Goroutine | undefined;
  /** So much of the answers had been read on its connection when it began to write that; undefined: it has not begun. */
  answeredAt: number | undefined;
  /** Of one that opens streams of HTTP/2 for others: who asked for those that it is about to open. Undefined: it does not. */
  openings: Map<number, Goroutine> | undefined;

  constructor(number: number, id: number) {
    this.number = number;
    this.id = id;
  }

  /** Whom it stands for. */
  get stands(): Goroutine {
    if (this.role === 'reads-ahead') return this.parent ?? this;
    return this.whose ?? this;
  }
}

interface Entry {
  readonly tgid: number;
  readonly id: number;
  readonly goroutine: Goroutine;
}

interface GoProcess {
  readonly byId: Map<number, Goroutine>;
  readonly kinds: Map<string, GoroutineKind>;
}

export class Goroutines {
  readonly #processes = new Map<number, GoProcess>();
  /** By number, in the order in which they were met. */
  readonly #others = new Map<number, Entry>();
  readonly #particular = new Map<number, Entry>();
  readonly #oldest = new Map([this.#others, this.#particular].map((those) => [those, new Oldest(those)]));
  #next = FIRST_GOROUTINE;

  /** Whom goroutine `id` of a process stands for: under that one's number is known what it does. */
  standing(tgid: number, id: number): Goroutine {
    return this.#get(tgid, id).stands;
  }

  /** Undefined for threads, and for one that is forgotten. */
  get(number: number): Goroutine | undefined {
    return number < FIRST_GOROUTINE ? undefined : (this.#others.get(number) ?? this.#particular.get(number))?.goroutine;
  }

  /** Undefined where it was known already. */
  met({ tgid, context, parent, role, function: began }: GoroutineEvent): Goroutine | undefined {
    const goroutine = this.#get(tgid, context);
    if (goroutine.kind !== undefined || goroutine.role !== 'unknown') return undefined;
    const process = this.#process(tgid);
    goroutine.role = role;
    if (parent !== 0) goroutine.parent = this.#get(tgid, parent);
    if (began !== '') {
      let kind = process.kinds.get(began);
      if (kind === undefined) process.kinds.set(began, kind = new GoroutineKind());
      goroutine.kind = kind;
    }
    if (role !== 'other' && role !== 'unknown') this.lasts(goroutine);
    return goroutine;
  }

  /** It is something in particular, and lives long. */
  lasts({ number }: Goroutine): void {
    const entry = this.#others.get(number);
    this.#others.delete(number);
    if (entry !== undefined) this.#keep(this.#particular, maxParticular, number, entry);
  }

  onBehalf({ tgid, context, whose, stream }: OnBehalfEvent): void {
    const writer = this.#get(tgid, context);
    if (stream !== undefined) return opens(writer, stream, this.#get(tgid, whose));
    writer.whose = whose === 0 ? undefined : this.#get(tgid, whose);
    writer.answeredAt = undefined;
  }

  /** Who asked for `stream`, which the goroutine of `number` opens now; undefined: that was not told. */
  askerOf(number: number, stream: number): number | undefined {
    const openings = this.get(number)?.openings;
    const asker = openings?.get(stream);
    openings?.delete(stream);
    return asker?.stands.number;
  }

  /**
   * It begins to send, where `answered` bytes have been read of its connection. One request is handed over at a time, and its
   * answer comes before the next: what is sent after more was read is another's, and for whom was not told (the kernel skipped
   * the probe that says so).
   */
  sends(tgid: number, id: number, answered: number): void {
    const writer = this.#processes.get(tgid)?.byId.get(id);
    if (writer?.whose === undefined) return;
    writer.answeredAt ??= answered;
    if (writer.answeredAt !== answered) writer.whose = undefined;
  }

  /** The process is gone, or runs something else. */
  forget(tgid: number): void {
    const process = this.#processes.get(tgid);
    if (process === undefined) return;
    this.#processes.delete(tgid);
    for (const { number } of process.byId.values()) {
      this.#others.delete(number);
      this.#particular.delete(number);
    }
  }

  #process(tgid: number): GoProcess {
    let process = this.#processes.get(tgid);
    if (process === undefined) this.#processes.set(tgid, process = { byId: new Map(), kinds: new Map() });
    return process;
  }

  #get(tgid: number, id: number): Goroutine {
    const { byId } = this.#process(tgid);
    let goroutine = byId.get(id);
    if (goroutine === undefined) {
      goroutine = new Goroutine(this.#next++, id);
      byId.set(id, goroutine);
      this.#keep(this.#others, maxOthers, goroutine.number, { tgid, id, goroutine });
    }
    return goroutine;
  }

  #keep(those: Map<number, Entry>, most: number, number: number, entry: Entry): void {
    those.set(number, entry);
    if (those.size <= most) return;
    const oldest = this.#oldest.get(those)?.next();
    if (oldest === undefined) return;
    those.delete(oldest.goroutine.number);
    this.#processes.get(oldest.tgid)?.byId.delete(oldest.id);
  }
}

function opens(writer: Goroutine, stream: number, asker: Goroutine): void {
  const openings = (writer.openings ??= new Map());
  openings.set(stream, asker);
  dropFirst(openings, maxOpenings);
}
