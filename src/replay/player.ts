/** Plays sessions, several at a time: says when each begins, is its client, gives its calls time to be made, tells what came. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '../sessions/session.ts';
import type { Entry } from './schedule.ts';
import { Schedule } from './schedule.ts';
import type { Engine } from './engine.ts';
import { ClientPlaces } from './client-places.ts';
import { FaultRules } from './fault-rules.ts';
import { failedCalls, faultsOf } from './faults.ts';
import type { ClientOptions, Heard } from './inbound.ts';
import type { TcpSocket } from '../kernel/tcp-table.ts';
import type { Play } from './play.ts';
import { coarseDemands } from './demands.ts';
import type { Result, Task } from './task.ts';
import { isFarewell } from './judge-calls.ts';

/** Calls that were recorded after the response are waited for this long; others only until they can be taken for not made. */
const AFTER_RESPONSE_MS = 2_000;
const MISSING_MS = 100;
/** Calls made so soon after a session was over are told of as its own; after the last one a little longer. */
const LATE_MS = 20;
/** The same where the next session waits for that, since nobody can tell whose a call is. */
const HELD_MS = 50;
const LAST_LATE_MS = 100;
/** Not in a run of more sessions than these, which would take minutes longer. */
const MAX_HELD = 64;
/** Of those that are played alone to be sure so many are held. */
const MAX_HELD_ALONE = 1_000;
const LOOK_EVERY_MS = 5;
const LOOK_AT_RULES_MS = 50;
/** Sessions that have their answer and wait for their last calls; so many are no burden. */
const MAX_SETTLING = 256;
const LOOK_AHEAD = 64;

export interface PlayerOptions {
  readonly engine: Engine;
  readonly concurrency: number;
  /** The firewall chain that is for faults, and the sockets of the SUT's network. */
  readonly faultChain: string;
  readonly sockets: () => readonly TcpSocket[];
  /** Whether the SUT, when recorded, failed to connect there for no session: it may do so at any time. */
  failsByItself(destination: string): boolean;
  /** The run can't go on. */
  failed(error: unknown): void;
  /** Plays the client of a session. */
  client(task: Task, line: ClientLine): Promise<Heard>;
  /** Whether the kernel is asked whose a call is. */
  readonly tracked: boolean;
  /** Whether some connection holds the beginning of a request. */
  hasPending(): boolean;
  report(result: Result): void;
}

export type ClientLine = Pick<ClientOptions, 'line' | 'dialled' | 'goesOn' | 'isUnderWay'>;

class Turn implements Entry {
  readonly task: Task;
  readonly line: string;
  readonly #engine: Engine;
  #coarse: ReadonlyMap<string, string> | undefined;

  constructor(task: Task, engine: Engine) {
    this.task = task;
    this.#engine = engine;
    const { id, local, remote } = task.session.inbound.connection;
    this.line = `${id} ${remote} ${local}`;
  }

  get alone(): boolean {
    return this.task.alone;
  }

  demands(coarse: boolean): ReadonlyMap<string, string> {
    if (!coarse) return this.task.demands;
    return (this.#coarse ??= coarseDemands(this.task.session, (name) => this.#engine.knowledge.protocol(name)));
  }
}

export class Player {
  readonly #options: PlayerOptions;
  readonly #schedule: Schedule<Turn>;
  readonly #places = new ClientPlaces();
  /** When each session in play began. */
  readonly #began = new Map<Turn, number>();
  #clock = 0;
  #held = 0;
  /** Sessions of the run so far; those that are played twice count once. */
  #taken = 0;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#schedule = new Schedule({ concurrency: options.concurrency, settling: options.concurrency > 1 ? MAX_SETTLING : 0, lookAhead: LOOK_AHEAD });
  }

  get serialised(): number {
    return this.#schedule.serialised;
  }

  /** Whatever ended before this number is not overlapped by anything to come. */
  get oldest(): number {
    for (const began of this.#began.values()) return began;
    return this.#clock + 1;
  }

  /** As `ClientPlaces.playOf`. */
  playOf(client: string, position: number, openedAtUs: number): Play | undefined {
    return this.#places.playOf(client, position, openedAtUs);
  }

  take(tasks: readonly Task[]): void {
    this.#taken += tasks.filter(({ first }) => !first).length;
    for (const task of tasks) this.#schedule.add(new Turn(task, this.#options.engine), task.first);
    this.#pump();
  }

  #pump(): void {
    const { engine } = this.#options;
    for (;;) {
      const turn = this.#schedule.next(engine.trusted, engine.evenAmbiguous);
      if (turn === undefined) return;
      this.#play(turn).catch((error: unknown) => { this.#options.failed(error); });
    }
  }

  async #play(turn: Turn): Promise<void> {
    const { task } = turn;
    const { engine } = this.#options;
    const began = this.#clock += 1;
    this.#began.set(turn, began);
    const faults = task.alone ? faultsOf(task.session) : [];
    const rules = faults.length === 0 ? undefined : new FaultRules(faults, this.#options.faultChain, this.#options.sockets);
    await rules?.impose();
    const play = engine.begin(task.session);
    const beganAt = performance.now();
    const sinceUs = Number(process.hrtime.bigint() / 1000n);
    const places: string[] = [];
    const { response, end } = await this.#options.client(task, {
      line: turn.line,
      dialled: (local, position) => {
        this.#places.know(local, position, play, sinceUs);
        places.push(local);
      },
      goesOn: () => this.#schedule.goesOn(turn.line), isUnderWay: () => play.calls.length > 0,
    });
    const durationMs = performance.now() - beganAt;
    if (play.awaited.length > 0 || this.#isPending()) {
      this.#schedule.answered(turn);
      this.#pump();
      await this.#settle(play);
    }
    if (rules !== undefined) await untilMet(rules, task.session);
    const refused = failedCalls(await rules?.lift() ?? [], (destination) => this.#options.failsByItself(destination));
    engine.over(play);
    // Where nobody can tell whose a call is, and where it is played alone to be sure, the next session waits: or it would be taken for its own.
    const holds = (task.alone && this.#held < MAX_HELD_ALONE) || (!this.#options.tracked && this.#taken <= MAX_HELD);
    if (holds) {
      this.#held += 1;
      await this.#lateCalls(this.#options.tracked ? LATE_MS : HELD_MS);
    }
    // Whoever begins after that meets nothing of it.
    const heldUntil = holds ? this.#clock += 1 : undefined;
    this.#schedule.done(turn);
    this.#schedule.late += 1;
    this.#pump();
    if (this.#schedule.inPlay === 0 && this.#schedule.waiting === 0) await this.#lateCalls(LAST_LATE_MS);
    else if (!holds) await sleep(LATE_MS);
    const cached = engine.cachedOf(play);
    const calls = [...engine.finish(play), ...refused];
    for (const local of places) this.#places.leave(local, play);
    this.#schedule.late -= 1;
    this.#began.delete(turn);
    const ended = heldUntil ?? (this.#clock += 1);
    this.#options.report({ number: task.number, began, ended, played: { session: task.session.id, response, responseEnd: end, calls, cached, durationMs } });
    this.#pump();
  }

  /** Gives the calls that the session still lacks time to be made, and those on their way time to be answered. */
  async #settle(play: Play): Promise<void> {
    const since = performance.now();
    for (;;) {
      const awaited = play.awaited.filter(({ talk }) => !isFarewell(talk));
      const boundMs = awaited.some(({ talk }) => talk.afterResponse === true) ? AFTER_RESPONSE_MS : awaited.length > 0 ? MISSING_MS : 0;
      const pending = this.#isPending();
      const leftMs = (pending ? Math.max(boundMs, MISSING_MS) : boundMs) - (performance.now() - since);
      if (leftMs <= 0) return;
      await this.#called(play, pending ? Math.min(LOOK_EVERY_MS, leftMs) : leftMs);
    }
  }

  /** So long, and until what was begun meanwhile is whole. */
  async #lateCalls(ms: number): Promise<void> {
    const since = performance.now();
    await sleep(ms);
    while (this.#options.hasPending() && performance.now() - since < ms + MISSING_MS) await sleep(LOOK_EVERY_MS);
  }

  /** Some call is on its way. Whose the beginning of a request is, is known where nobody else is in play. */
  #isPending(): boolean {
    return this.#schedule.inPlay === 1 && this.#options.hasPending();
  }

  /** Until a call of the session is made; at most `ms`. */
  #called(play: Play, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        play.onCall = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      play.onCall = done;
    });
  }
}

/** Gives connects that failed when recorded time to be made. */
async function untilMet(rules: FaultRules, session: Session): Promise<void> {
  const since = performance.now();
  for (;;) {
    const awaited = (await rules.met()).flatMap(({ fault, attempts }) => fault.indexes.slice(attempts));
    const isLate = awaited.some((index) => session.outbound[index]?.afterResponse === true);
    if (awaited.length === 0 || performance.now() - since > (isLate ? AFTER_RESPONSE_MS : MISSING_MS)) return;
    await sleep(LOOK_AT_RULES_MS);
  }
}
