/**
 * Has a list of sessions played by whoever plays them, some of them ahead of time, and gives a verdict each, in the order of the
 * list. What differs though nobody can say whose difference it is (see doubts.ts) is played again, alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '../bytes/address.ts';
import type { Session } from '../sessions/session.ts';
import { Doubts } from './doubts.ts';
import type { Played } from './played.ts';
import type { Replayed } from './replayed.ts';
import { taskOf, type Result, type Task } from './task.ts';
import { unplayed } from './verdict.ts';

/** Sessions that the player holds at a time, and their bytes, so that it need not wait for us. */
const MAX_SENT = 256;
/** At first so many, or twice what is played at a time: making hundreds ready would have the first one wait. */
const FIRST_SENT = 16;
const MAX_SENT_BYTES = 64 << 20;
/** Sessions between the first that has no verdict and the last that was sent. */
const MAX_AHEAD = 2_048;
/** From so many sessions on that were played again, being one in so many of all, the rest is played one at a time. */
const MANY_AGAIN = 16;
const ONE_IN = 4;

export interface PlayedMessage {
  readonly results: readonly Result[];
  /** What ended before it is overlapped by nothing that is still to come. */
  readonly oldest: number;
}

/** A session that differs is played again not sooner than this: clocks that count seconds move. */
const SECOND_RUN_AFTER_MS = 1_100;

export interface Stage {
  /** Sessions that are played at a time. */
  readonly concurrency: number;
  /** Which sessions are played twice. */
  readonly twice: 'never' | 'different' | 'always';
  /** The verdict that two runs give. */
  settle(first: Replayed, second: Replayed): Replayed;
  /** Where to play it, or the verdict on a session that can't be played. */
  place(session: Session): Promise<Address | Replayed>;
  send(tasks: readonly Task[]): void;
  /** The next results; undefined: nothing comes any more. */
  receive(): Promise<PlayedMessage | undefined>;
  judge(session: Session, played: Played): Promise<Replayed>;
  /** Something a person should know. */
  note(text: string): void;
}

interface Sent {
  readonly alone: boolean;
  readonly sut: Address;
  readonly bytes: number;
}

export class Conductor {
  readonly #stage: Stage;
  readonly #sessions: readonly Session[];
  readonly #sent = new Map<number, Sent>();
  readonly #verdicts = new Map<number, Replayed>();
  /** Verdicts that may be another session's doing. */
  readonly #unsure = new Map<number, { readonly replayed: Replayed; readonly sut: Address }>();
  readonly #doubts = new Doubts();
  /** First runs whose second one is to come, or is under way. */
  readonly #firstRuns = new Map<number, { readonly replayed: Replayed; readonly sut: Address }>();
  readonly #due: { readonly number: number; readonly atMs: number }[] = [];
  #sentBytes = 0;
  #mostSent: number;
  #next = 0;
  #first = 0;
  #again = 0;
  #oneByOne = false;

  constructor(sessions: readonly Session[], stage: Stage) {
    this.#sessions = sessions;
    this.#stage = stage;
    this.#mostSent = Math.min(MAX_SENT, Math.max(FIRST_SENT, 2 * stage.concurrency));
  }

  /** How many sessions were played twice. */
  get again(): number {
    return this.#again;
  }

  /** A verdict for each session, in their order; fewer where the stage has nothing more to say because the run is `over`. */
  async* play(over: AbortSignal): AsyncGenerator<Replayed> {
    while (this.#first < this.#sessions.length && !over.aborted) {
      const known = this.#verdicts.get(this.#first);
      if (known !== undefined) {
        this.#verdicts.delete(this.#first);
        this.#first += 1;
        yield known;
        continue;
      }
      await this.#fill();
      await this.#secondRuns(over);
      if (this.#sent.size === 0) {
        // Nothing comes any more that would tell: something that was given up is in play still.
        if (this.#due.length === 0) this.#settleUnsure();
        continue;
      }
      const message = await this.#stage.receive();
      if (over.aborted) return;
      if (message === undefined) this.#giveUp();
      else await this.#take(message);
    }
  }

  async #fill(): Promise<void> {
    if (this.#sent.size > this.#mostSent / 2) return;
    const tasks: Task[] = [];
    const end = Math.min(this.#sessions.length, this.#first + MAX_AHEAD);
    while (this.#next < end && this.#sent.size < this.#mostSent && this.#sentBytes < MAX_SENT_BYTES) {
      const number = this.#next;
      this.#next += 1;
      const place = await this.#stage.place(this.#sessions[number] as Session);
      if ('event' in place) this.#verdicts.set(number, place);
      else tasks.push(this.#task(number, place, false));
    }
    this.#mostSent = Math.min(MAX_SENT, 2 * this.#mostSent);
    if (tasks.length > 0) this.#stage.send(tasks);
  }

  /** Sends those that are due; waits for the next one where nothing else is to be done. */
  async #secondRuns(over: AbortSignal): Promise<void> {
    const [next] = this.#due;
    if (next === undefined) return;
    if (this.#sent.size === 0) await sleep(Math.max(0, next.atMs - performance.now()), undefined, { signal: over }).catch(() => undefined);
    if (over.aborted) return;
    const nowMs = performance.now();
    const tasks: Task[] = [];
    while (this.#due[0] !== undefined && this.#due[0].atMs <= nowMs && this.#sent.size < MAX_SENT) {
      const { number } = this.#due.shift() as { number: number };
      tasks.push(this.#task(number, (this.#firstRuns.get(number) as { sut: Address }).sut, true));
    }
    if (tasks.length > 0) this.#stage.send(tasks);
  }

  #task(number: number, sut: Address, again: boolean): Task {
    const session = this.#sessions[number] as Session;
    const bytes = sizeOf(session);
    const task = taskOf(number, session, sut, { again, alone: again || this.#oneByOne });
    this.#sent.set(number, { sut, bytes, alone: task.alone });
    this.#sentBytes += bytes;
    return task;
  }

  async #take({ results, oldest }: PlayedMessage): Promise<void> {
    for (const { number, began, ended, played } of results) {
      const sent = this.#sent.get(number);
      // What comes after it was given up may be of the list before this one.
      if (sent === undefined || played.session !== this.#sessions[number]?.id) continue;
      this.#sent.delete(number);
      this.#sentBytes -= sent.bytes;
      const replayed = await this.#stage.judge(this.#sessions[number] as Session, played);
      const first = this.#firstRuns.get(number);
      if (first !== undefined) {
        this.#firstRuns.delete(number);
        this.#verdicts.set(number, this.#stage.settle(first.replayed, replayed));
        continue;
      }
      this.#unsure.set(number, { replayed, sut: sent.sut });
      if (sent.alone) {
        this.#decide(number);
        continue;
      }
      // One without an answer says so whatever the others did: to wait for that again would be in vain. What the process kept may be another's call.
      const differs = replayed.verdict === 'different' || played.calls.some(({ ambiguous }) => ambiguous === true)
        || replayed.calls.some(({ verdict }) => verdict === 'state' || verdict === 'cached');
      const unproven = played.calls.some(({ certainty }) => certainty !== undefined && certainty !== 'proven');
      this.#doubts.add({ number, began, ended, differs, unproven });
    }
    const { sure, again } = this.#doubts.decide(oldest);
    for (const number of sure) this.#decide(number);
    if (again.length === 0) return;
    this.#again += again.length;
    const tasks = again.map((number) => this.#task(number, (this.#unsure.get(number) as { sut: Address }).sut, true));
    this.#stage.send(tasks);
    if (this.#oneByOne || this.#again < MANY_AGAIN || this.#again * ONE_IN < this.#first + this.#sent.size) return;
    this.#oneByOne = true;
    this.#stage.note('too many sessions differ, and whose calls are whose is not proven: the rest is played one at a time');
  }

  #decide(number: number): void {
    const known = this.#unsure.get(number);
    if (known === undefined) return;
    this.#unsure.delete(number);
    const { verdict } = known.replayed;
    if (this.#stage.twice === 'never' || (verdict !== 'different' && !(this.#stage.twice === 'always' && verdict === 'same'))) {
      this.#verdicts.set(number, known.replayed);
      return;
    }
    this.#firstRuns.set(number, known);
    this.#due.push({ number, atMs: performance.now() + SECOND_RUN_AFTER_MS });
  }

  #giveUp(): void {
    for (const [number, { replayed }] of this.#firstRuns) this.#verdicts.set(number, replayed);
    for (const number of this.#sent.keys()) if (!this.#firstRuns.has(number)) this.#verdicts.set(number, unplayed(this.#sessions[number] as Session, 'error', 'the replayer got stuck'));
    this.#sent.clear();
    this.#sentBytes = 0;
    this.#settleUnsure();
    this.#firstRuns.clear();
    this.#due.length = 0;
  }

  #settleUnsure(): void {
    for (const [number, { replayed }] of this.#unsure) this.#verdicts.set(number, replayed);
    this.#unsure.clear();
  }
}

function sizeOf({ inbound, outbound }: Session): number {
  let bytes = 0;
  for (const talk of [inbound, ...outbound]) {
    for (const chunk of talk.request) if ('bytes' in chunk) bytes += chunk.bytes.length;
    if (talk !== inbound) for (const chunk of talk.response) if ('bytes' in chunk) bytes += chunk.bytes.length;
  }
  return bytes;
}
