/** What the runtime inside a service says of its calls, tied to the sessions and connections that the recorder sees. */
import { dropFirst } from '../bounded.ts';
import type { Connection } from '../connections/connection.ts';
import type { Ground } from '../contexts/evidence.ts';
import type { WhyNot } from '../contexts/reasons.ts';
import { runtimeCall, RuntimeNotes, runtimeWrite, wordOf } from '../contexts/runtime.ts';
import type { Heard } from '../contexts/runtime.ts';
import type { HelperEvent } from '../events/event.ts';
import type { OpenSession } from './open-session.ts';
import type { Processes } from './processes.ts';

/** Connections known by their inode. Past that the oldest is forgotten. */
const maxConnections = 262_144;

/** Whose a call is: a session that goes on; one that is over; no request's at all. */
export type Asked =
  | { readonly session: OpenSession; readonly evidence: Ground }
  | { readonly session: undefined; readonly evidence?: undefined; readonly why: WhyNot };

export class AskedRuntimes {
  readonly #processes: Processes;
  readonly #notes = new RuntimeNotes();
  readonly #connections = new Map<number, Connection>();
  /** Unix sockets older than the recorder: how far its positions are from the service's. */
  readonly #shifts = new WeakMap<Connection, number>();

  constructor(processes: Processes) {
    this.#processes = processes;
  }

  opened(connection: Connection): void {
    const { socketInode } = connection.open;
    if (socketInode === 0) return;
    this.#connections.set(socketInode, connection);
    dropFirst(this.#connections, maxConnections);
  }

  over(connection: Connection): void {
    const { socketInode } = connection.open;
    if (this.#connections.get(socketInode) !== connection) return;
    this.#connections.delete(socketInode);
    this.#notes.forget(socketInode);
  }

  exit(tgid: number): void {
    this.#notes.exit(tgid);
  }

  /** False: it is no word of a runtime. */
  heard(event: HelperEvent): boolean {
    const word = wordOf(event);
    if (word === undefined) return false;
    this.#processes.of(event.tgid).asked = true;
    if ('beat' in word) this.#notes.take(event.tgid, word, 0);
    else this.#notes.take(event.tgid, word, this.#positionOf(word.out, word.note.at), this.#connections.get(word.out)?.ingress.account.next);
    return true;
  }

  /** Of the call that `connection` carries from `position` on; undefined: the runtime doesn't tell. */
  of(connection: Connection, position: number, tgid: number): Asked | undefined {
    // What is written on a connection of several calls, and when, is not the caller's to say.
    if (connection.multiplexed || !this.#notes.speaks(tgid)) return undefined;
    const note = this.#notes.at(connection.open.socketInode, position, connection.ingress.account.next);
    if (note === undefined) return undefined;
    const { request, sure } = note;
    if (request === undefined) return sure ? { session: undefined, why: 'asked-none' } : undefined;
    const { session, exact } = this.#sessionOf(request, tgid);
    if (session !== undefined) return { session, evidence: sure && exact ? runtimeCall : runtimeWrite };
    return sure && exact ? { session: undefined, why: 'session-over' } : undefined;
  }

  /** The recorder counts from where it came; a unix socket's own positions nobody tells. */
  #positionOf(inode: number, at: number): number {
    const connection = this.#connections.get(inode);
    if (connection === undefined) return Math.max(at, 0);
    const announced = connection.egress.announced;
    if (at < 0) return announced;
    if (connection.open.family !== 'unix' || connection.whole) return at;
    // What is announced lies at most at the position that is meant, and there when nothing waits inside the service.
    const shift = Math.max(this.#shifts.get(connection) ?? -Infinity, announced - at);
    this.#shifts.set(connection, shift);
    return at + shift;
  }

  /** `exact`: no other can be meant. */
  #sessionOf({ inode, read, nth }: Heard, tgid: number): { session: OpenSession | undefined; exact: boolean } {
    const connection = this.#connections.get(inode);
    if (connection === undefined) return { session: undefined, exact: true };
    if (connection.multiplexed) return { session: undefined, exact: false };
    const last = connection.work as OpenSession | undefined;
    const known = read >= 0 && (connection.open.family !== 'unix' || connection.whole);
    if (!known) return { session: last === undefined || last.gone || last.answered ? undefined : last, exact: false };
    const { sessions } = this.#processes.of(tgid);
    const begun: OpenSession[] = [];
    if (last !== undefined && beginningOf(last) < read && !last.pipelined && nth === 0) return { session: last.gone ? undefined : last, exact: true };
    for (const session of sessions) if (session.talk.connection === connection && beginningOf(session) < read) begun.push(session);
    const found = begun[begun.length - 1];
    if (found === undefined) return { session: undefined, exact: true };
    if (nth === 0 && !found.pipelined) return { session: found, exact: true };
    // Several heads came at once: the nth of those that follow each other.
    let first = begun.length - 1;
    while (first > 0 && (begun[first] as OpenSession).pipelined) first -= 1;
    return { session: begun[Math.min(first + nth, begun.length - 1)], exact: false };
  }
}

/** Stream position of its request, also before a byte of it was handed on. */
function beginningOf({ talk }: OpenSession): number {
  return talk.request.empty ? talk.connection.ingress.account.next : talk.request.from;
}
