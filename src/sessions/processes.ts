/** What sessions share with the other sessions of their process. */
import type { Connection } from '../connections/connection.ts';
import { endpointText } from '../connections/endpoint.ts';
import { Allocation } from '../contexts/allocation.ts';
import { Errands } from '../contexts/errands.ts';
import type { Refusal } from '../contexts/helper-datagram.ts';
import { Discipline } from '../contexts/discipline.ts';
import { HandedOver } from '../contexts/handed-over.ts';
import type { Around, Hindsight } from '../contexts/hindsight.ts';
import { hindsights } from '../contexts/hindsights.ts';
import { Queue } from '../contexts/queue.ts';
import { Task } from '../contexts/task.ts';
import type { ProcessEvent, UdpEvent } from '../events/event.ts';
import { Background } from './background.ts';
import { Held } from './held.ts';
import { isDns, Names } from './names.ts';
import { SEATS } from './open-session.ts';
import type { OpenSession } from './open-session.ts';
import { Roster } from './roster.ts';
import type { Spoken } from './spoken.ts';
import { Undecided } from './undecided.ts';

/** Processes held at a time. Past that the one first seen is forgotten. */
const maxProcesses = 65_536;
export const QUIC_PORT = 443;
const NONE: readonly never[] = [];

/** Counters that only grow: a session subtracts what they were when it opened. */
export interface OutOfSight {
  readonly unattributed: number;
  /** Datagrams that came in, and those sent that are not wholly in one session. */
  readonly udp: number;
  readonly udpSent: number;
  readonly quic: number;
  /** Helper datagrams without effect. */
  readonly refused: number;
}

export class Process implements Around<OpenSession> {
  readonly tgid: number;
  command: string;
  /** When it was that, Unix µs. */
  commandAtUs = 0;
  names = new Names();
  readonly sessions = new Roster<OpenSession>(SEATS.ofProcess);
  /** Those of which no response has begun. */
  readonly unanswered = new Roster<OpenSession>(SEATS.unanswered);
  /** Their answer has begun, and nothing of it was known to be taken then: who wrote it, and when, may not be known yet. */
  readonly answering = new Roster<OpenSession>(SEATS.answering);
  readonly background = new Background();
  /** Outbound talks of no session that have no answer. */
  readonly strays = new Set<Spoken>();
  /** Sessions that are not given out, in the order in which they began. */
  readonly held = new Held();
  /** Outbound talks of no session that are not decided, in the order in which they began; and those of which that is not the order: a tie that fell, or that something speaks against. */
  readonly untied = new Undecided();
  readonly contested = new Set<Spoken>();
  /** Number of the event at which the last session was over in every respect. */
  lastOverSeq = 0;
  /** Calls that could be tied to no session. */
  unattributed = 0;
  /** Outbound talks without a tie of which it is not known yet whether they are calls. */
  undecided = 0;
  udp = 0;
  udpSent = 0;
  quic = 0;
  udpDetail = '';
  udpSentDetail = '';
  quicDetail = '';
  refused = 0;
  readonly refusals = new Set<Refusal>();
  /** Code inside of it says which request its calls are of. */
  asked = false;
  /** A response was written, or an answer read, by another thread than the one that began it: threads here don't keep to a request. */
  moves = false;

  /** Five of its hindsights. */
  readonly task = new Task<OpenSession>();
  readonly allocation = new Allocation<OpenSession>();
  readonly errands = new Errands<OpenSession>();
  readonly handedOver = new HandedOver<OpenSession>();
  readonly queue = new Queue<OpenSession>(this.handedOver);

  readonly #disciplines: Disciplines;
  readonly #hide: ((text: string) => string) | undefined;
  #hindsights: readonly Hindsight<OpenSession>[] | undefined;
  #listener: string | number | undefined;
  #discipline: Discipline<OpenSession> | undefined;
  #outOfSight: OutOfSight = { unattributed: 0, udp: 0, udpSent: 0, quic: 0, refused: 0 };
  #shown: { readonly tgid: number; readonly command: string };

  constructor(tgid: number, command: string, disciplines: Disciplines, hide: ((text: string) => string) | undefined) {
    this.#disciplines = disciplines;
    this.#hide = hide;
    this.tgid = tgid;
    this.command = command;
    this.#shown = { tgid, command };
  }

  /** The one session that has no answer; undefined where there are several, or none. */
  get only(): OpenSession | undefined {
    const { first, size } = this.unanswered;
    return size === 1 && first?.answered === false ? first : undefined;
  }

  /** What is known when whole talks are looked at. */
  get hindsights(): readonly Hindsight<OpenSession>[] {
    return (this.#hindsights ??= hindsights(this.#hide, this.task, this.allocation, this.errands, this.handedOver, this.queue));
  }

  /** `session` is given out. */
  given(session: OpenSession): void {
    this.held.remove(session);
    this.unlearn(session);
  }

  /** A call of `session` is its own no more: what was learnt of it was partly another's. */
  unlearn(session: OpenSession): void {
    for (const kind of this.#hindsights ?? NONE) kind.forget?.(session);
  }

  *withoutTie(): Generator<Spoken> {
    yield* this.untied;
    for (const call of this.contested) if (call.tie === undefined) yield call;
  }

  countWithoutTie(): number {
    let count = this.untied.size;
    for (const call of this.contested) if (call.tie === undefined) count += 1;
    return count;
  }

  /** `session` begins. */
  begins(session: OpenSession): void {
    const before = this.held.last;
    if (before?.crowded === false && before.answered) this.queue.ranAlone(before);
    this.sessions.add(session);
    this.held.add(session);
    session.crowded = this.unanswered.size > 0;
    if (session.crowded) this.crowd();
    this.unanswered.add(session);
  }

  /** A session begins: whoever waits for an answer is not alone any more. */
  crowd(): void {
    if (this.unanswered.size === 1) for (const other of this.unanswered) other.crowded = true;
  }

  /** A session that is not given out may have made `call`. */
  mayHaveMade(call: Spoken): boolean {
    return this.lastOverSeq > call.beganSeq ? !this.held.empty : (this.oldest?.talk.beganSeq ?? Infinity) < call.beganSeq;
  }

  /** The session that has been open longest. */
  get oldest(): OpenSession | undefined {
    return this.sessions.first;
  }

  /** The same object as long as nothing has changed. */
  outOfSight(): OutOfSight {
    const unattributed = this.unattributed + this.undecided;
    const last = this.#outOfSight;
    if (last.unattributed === unattributed && last.udp === this.udp && last.udpSent === this.udpSent && last.quic === this.quic && last.refused === this.refused) return last;
    return (this.#outOfSight = { unattributed, udp: this.udp, udpSent: this.udpSent, quic: this.quic, refused: this.refused });
  }

  /** What sessions show of it, shared while it runs the same command. */
  get shown(): { readonly tgid: number; readonly command: string } {
    if (this.#shown.command !== this.command) this.#shown = { tgid: this.tgid, command: this.command };
    return this.#shown;
  }

  /** Of the listener that accepted `connection`, shared by all processes that accept from it. */
  disciplineOf({ open: { family, local, netns } }: Connection): Discipline<OpenSession> {
    const listener = family === 'unix' ? local.host : local.port;
    if (this.#discipline !== undefined && this.#listener === listener) return this.#discipline;
    this.#listener = listener;
    return (this.#discipline = this.#disciplines.of(`${netns} ${listener}`, this.tgid));
  }

  refuse(why: Refusal): void {
    this.refused += 1;
    this.refusals.add(why);
  }

  /** `kept`: all of it is in the session that sent it. */
  datagram(event: UdpEvent, kept: boolean): void {
    if (isDns(event)) return this.names.event(event);
    const text = endpointText(event.remote);
    if (event.remote.port === QUIC_PORT) {
      this.quic += 1;
      this.quicDetail = text;
    } else if (event.direction === 'ingress') {
      this.udp += 1;
      this.udpDetail = text;
    } else if (!kept) {
      this.udpSent += 1;
      this.udpSentDetail = text;
    }
  }
}

/** Listeners, each with the processes that were seen to serve it: forgotten with the last of these. */
class Disciplines {
  readonly #listeners = new Map<string, { readonly discipline: Discipline<OpenSession>; readonly members: Set<number> }>();
  readonly #ofProcess = new Map<number, Set<string>>();

  of(listener: string, tgid: number): Discipline<OpenSession> {
    let known = this.#listeners.get(listener);
    if (known === undefined) this.#listeners.set(listener, (known = { discipline: new Discipline(), members: new Set() }));
    known.members.add(tgid);
    const listeners = this.#ofProcess.get(tgid);
    if (listeners === undefined) this.#ofProcess.set(tgid, new Set([listener]));
    else listeners.add(listener);
    return known.discipline;
  }

  exit(tgid: number): void {
    for (const listener of this.#ofProcess.get(tgid) ?? []) {
      const known = this.#listeners.get(listener);
      known?.members.delete(tgid);
      if (known?.members.size === 0) this.#listeners.delete(listener);
    }
    this.#ofProcess.delete(tgid);
  }
}

export class Processes {
  readonly #disciplines = new Disciplines();
  readonly #processes = new Map<number, Process>();
  readonly #hide: ((text: string) => string) | undefined;

  /** `hide`: takes out of a text what calls must not be tied by. */
  constructor(hide?: (text: string) => string) {
    this.#hide = hide;
  }

  of(tgid: number, command = ''): Process {
    const known = this.#processes.get(tgid);
    if (known !== undefined) {
      if (known.command === '' && command !== '') known.command = command;
      return known;
    }
    const process = new Process(tgid, command, this.#disciplines, this.#hide);
    this.#processes.set(tgid, process);
    if (this.#processes.size > maxProcesses) for (const oldest of this.#processes.keys()) { this.#forget(oldest); break; }
    return process;
  }

  /** Empty where it is not known. */
  commandOf(tgid: number): string {
    return this.#processes.get(tgid)?.command ?? '';
  }

  event(event: ProcessEvent): void {
    if (event.what === 'exit') this.#forget(event.tgid);
    else if (event.what === 'fork') this.#fork(event);
    else if (event.what === 'exec' || event.what === 'seen') {
      const process = this.of(event.tgid);
      // What the host's list of processes said is told after what they have become since.
      if (event.command === '' || event.atUs < process.commandAtUs) return;
      process.command = event.command;
      process.commandAtUs = event.atUs;
    }
  }

  get size(): number {
    return this.#processes.size;
  }

  #forget(tgid: number): void {
    this.#processes.delete(tgid);
    this.#disciplines.exit(tgid);
  }

  /** A child knows the names that its parent resolved. */
  #fork(event: ProcessEvent): void {
    const parent = this.#processes.get(event.tgid);
    const child = this.of(event.childTgid, event.command || parent?.command);
    if (parent !== undefined) child.names.table = parent.names.table;
  }
}
