/** What services say of themselves by helper datagrams: whom a thread works for, and what belongs into its session. */
import type { Contexts } from '../contexts/contexts.ts';
import { readHelperDatagram } from '../contexts/helper-datagram.ts';
import type { Refusal, Said } from '../contexts/helper-datagram.ts';
import type { HelperEvent } from '../events/event.ts';
import type { OpenSession } from './open-session.ts';
import { tieAtHand } from './owner.ts';
import type { Processes } from './processes.ts';

/** Kept of one session. What comes after is refused. */
const maxTold = 10_000;
const maxToldBytes = 16 << 20;
const maxHeaders = 64;
const maxHeaderChars = 4_096;

export type ToldCommand = 'read-storage' | 'call-function' | 'return-function';

/** What a session's service said while it worked for it. */
export interface Told {
  readonly command: ToldCommand;
  /** Unix µs. */
  readonly atUs: number;
  readonly tid: number;
  readonly bytes: Uint8Array;
}

export class Listener {
  readonly #contexts: Contexts<OpenSession>;
  readonly #processes: Processes;
  readonly #onShutDown: (session: OpenSession) => void;

  constructor(contexts: Contexts<OpenSession>, processes: Processes, onShutDown: (session: OpenSession) => void) {
    this.#contexts = contexts;
    this.#processes = processes;
    this.#onShutDown = onShutDown;
  }

  hear(event: HelperEvent): void {
    const whole = event.length === undefined || event.length <= event.bytes.length;
    const said = readHelperDatagram(event.flags, event.bytes, whole);
    const refusal = typeof said === 'string' ? said : this.#obey(event, said);
    if (refusal !== undefined) this.#processes.of(event.tgid).refuse(refusal);
  }

  #obey(event: HelperEvent, said: Said): Refusal | undefined {
    const own = this.#contexts.own(event.tid, event.tgid);
    switch (said.command) {
      case 'set-delegated-from-thread-id':
        return this.#contexts.delegate(own, said.thread);
      case 'thread-shutdown': {
        const done = this.#contexts.shutDown(own, said.thread);
        if (typeof done === 'string') return done;
        if (done !== undefined) this.#onShutDown(done);
        return undefined;
      }
      case 'exclude': case 'include':
        own.actor.excluded = said.command === 'exclude';
        return undefined;
      case 'read-storage': case 'call-function': case 'return-function':
        return this.#tell(event, { command: said.command, atUs: event.atUs, tid: event.tid, bytes: said.body });
      case 'set-trace-header-key':
        return this.#header(event, said.key, said.value);
      case 'get-trace-header-key': case 'get-trace-header':
        return undefined; // nobody can answer into a process that is only watched
    }
  }

  #tell(event: HelperEvent, told: Told): Refusal | undefined {
    const session = this.#sessionOf(event);
    if (session === undefined) return 'no-session';
    const kept = (session.told ??= []);
    session.toldBytes += told.bytes.length;
    if (kept.length >= maxTold || session.toldBytes > maxToldBytes) return 'too-many';
    kept.push(told);
    return undefined;
  }

  #header(event: HelperEvent, key: string, value: string): Refusal | undefined {
    const session = this.#sessionOf(event);
    if (session === undefined) return 'no-session';
    const headers = (session.traceHeader ??= new Map<string, string>());
    if (key.length + value.length > maxHeaderChars || (!headers.has(key) && headers.size >= maxHeaders)) return 'too-many';
    headers.set(key, value);
    return undefined;
  }

  /** As a call's would be found. */
  #sessionOf({ tid, tgid }: HelperEvent): OpenSession | undefined {
    return tieAtHand(this.#contexts, this.#processes, tid, tgid)?.job;
  }
}
