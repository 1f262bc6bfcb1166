/**
 * What the service asks for by itself: it starts, it has timers, it goes on after an answer. While no session is in play that is
 * answered from all recorded calls by content, and uses nothing up; while one is, each call of no session may be made once more.
 */
import { CallBook, type Judge, type RecordedCall } from './calls.ts';
import type { IdleCall } from './played.ts';
import type { Session } from '../sessions/session.ts';

const MAX_IDLE_CALLS = 1_000;

export class AnySession {
  readonly #judge: Judge;
  readonly #learnt: Session[] = [];
  /** Every session's calls as one book; never used up. Made when first asked for. */
  #all: CallBook | undefined;
  #background: CallBook | undefined;
  /** Of the time before any session was recorded: each is made once, while the service starts or a little later. */
  #start: CallBook | undefined;
  #idle: IdleCall[] = [];

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  learn(session: Session): void {
    this.#learnt.push(session);
    this.#all = undefined;
  }

  /** `session`: the calls of none; it began when the first one was recorded that is one. `starts`: what came before that will be made. */
  learnBackground(session: Session, starts: boolean): void {
    const beganBefore = ({ request }: Session['outbound'][number]): boolean => (request[0]?.atUs ?? Infinity) < session.startedAtUs;
    this.#background = new CallBook({ ...session, outbound: session.outbound.filter((talk) => !beganBefore(talk)) }, this.#judge);
    if (starts) this.#start = new CallBook({ ...session, outbound: session.outbound.filter(beganBefore) }, this.#judge);
  }

  /** All recorded calls; undefined where nothing was learnt. */
  get book(): CallBook | undefined {
    const [first] = this.#learnt;
    if (first === undefined) return undefined;
    return (this.#all ??= new CallBook({ ...first, outbound: this.#learnt.flatMap((session) => session.outbound) }, this.#judge));
  }

  find(destination: string, bytes: Uint8Array): RecordedCall | undefined {
    take(this.#start, destination, bytes);
    return this.book?.exact(destination, bytes) ?? this.book?.equal(destination, bytes);
  }

  /** Whether a call like it was recorded, of whatever session or of none: it may be the service's own, which it makes again and again. */
  resembles(destination: string, bytes: Uint8Array): boolean {
    return this.book?.resembles(destination, bytes) ?? false;
  }

  /** A call of no session, which is used up. */
  takeBackground(destination: string, bytes: Uint8Array): RecordedCall | undefined {
    return take(this.#background, destination, bytes) ?? take(this.#start, destination, bytes);
  }

  note(call: IdleCall): void {
    if (this.#idle.length < MAX_IDLE_CALLS) this.#idle.push(call);
  }

  /** Calls made while no session was played, since last asked; bounded. */
  takeIdle(): readonly IdleCall[] {
    const idle = this.#idle;
    this.#idle = [];
    return idle;
  }
}

function take(book: CallBook | undefined, destination: string, bytes: Uint8Array): RecordedCall | undefined {
  const call = book?.exact(destination, bytes) ?? book?.equal(destination, bytes);
  if (call !== undefined) book?.use(call);
  return call;
}
