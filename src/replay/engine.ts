/**
 * Decides what a live call is answered with. Several sessions may be in play: a call that is known to be of one is answered
 * from that one alone; one that only seems to be, from it first; any other by content, from the session that began first. What
 * comes while none is in play (the SUT's start, its background threads) is answered from all sessions by content and consumes
 * nothing. No sockets here, only values and a clock.
 */
import type { Clocks, Pair } from '../compare/index.ts';
import { canonicalDestination } from './destination.ts';
import { Answers, SILENCE, type Answer } from './answers.ts';
import { AnySession } from './any-session.ts';
import type { Judge, RecordedCall } from './calls.ts';
import { inPlay, type CallOwner, type OwnedInPlay } from './call-owner.ts';
import { DriftProof } from './drift-proof.ts';
import { likeOf, nearestOf } from './likeness.ts';
import { Play } from './play.ts';
import type { How, IdleCall, LiveCall, Played, World } from './played.ts';
import { ProcessState } from './process-state.ts';
import { isRefusal, isTurnedAway } from './refused-logins.ts';
import { SetupBook } from './setup-book.ts';
import { setupOf, type Setup } from './setups.ts';
import { Prepareds } from './statements/catalogue.ts';
import { liveStatements, type LiveStatements } from './statements/statements.ts';
import type { Protocol, ProtocolName } from '../protocols/protocol.ts';
import type { Session } from '../sessions/session.ts';

/** What `src/protocols` knows; given, so that deciding stays apart from it. */
export interface Knowledge {
  protocol(name: ProtocolName): Protocol | undefined;
  /** The protocol of a live client's first bytes, where nothing was recorded to go by. */
  recognise(client: Uint8Array, serverPort: number): ProtocolName | undefined;
}

export type { Answer } from './answers.ts';
export type { CallOwner } from './call-owner.ts';

export interface Request {
  readonly destination: string;
  readonly protocol: ProtocolName;
  readonly bytes: Uint8Array;
  readonly oneway: boolean;
  readonly setup: boolean;
  /** Absent: nobody can tell. */
  readonly owner?: CallOwner;
  /** What its connection was set up to be (`Settings.text`). */
  readonly settings?: string;
}

/** So many calls, the last ones, whose session was proven: this service's ties can be relied on. */
const TRUSTED_AFTER = 64;

export class Engine {
  readonly #world: World;
  readonly #judge: Judge;
  readonly #knowledge: Knowledge;
  readonly #now: () => number;
  readonly #wallMs: () => number;
  readonly #state = new ProcessState();
  readonly #proof = new DriftProof();
  readonly #answers: Answers;
  readonly #setups: SetupBook;
  readonly #any: AnySession;
  /** In the order in which they began. */
  readonly #plays: Play[] = [];
  /** Over, and still told of. */
  readonly #late: Play[] = [];
  #hasBegun = false;
  #provenInARow = 0;
  #evenAmbiguous = false;

  /** `now`: milliseconds, monotonic. `wallMs`: what the service's clock says, milliseconds since 1970. */
  constructor(world: World, judge: Judge, knowledge: Knowledge, now: () => number, wallMs: () => number = Date.now) {
    this.#world = world;
    this.#judge = judge;
    this.#knowledge = knowledge;
    this.#now = now;
    this.#wallMs = wallMs;
    this.#answers = new Answers((name) => knowledge.protocol(name));
    this.#any = new AnySession(judge);
    this.#setups = new SetupBook(world.prologues.map((prologue) => {
      const name = world.protocols[canonicalDestination(prologue.destination)] ?? 'unknown';
      return setupOf(prologue, name, knowledge.protocol(name));
    }), judge, world.inquiries);
  }

  get knowledge(): Knowledge {
    return this.#knowledge;
  }

  /** What may be asked for while no session is played. `bytes`: of its calls, about, which then are read when they are asked for. */
  learn(session: Session, bytes?: number): void {
    this.#state.learn(session);
    this.#proof.learn(session, bytes);
    this.#any.learn(session);
  }

  /** What the SUT did by itself when it was recorded: as `learn`, and also asked for, once each, what no session in play answers. `starts`: it starts now, too. */
  learnBackground(session: Session, starts = true): void {
    this.learn(session);
    this.#any.learnBackground(session, starts);
  }

  /** Every call that was recorded, for whoever makes it and however often: in play from now on. See `World.repeats`. */
  beginMock(session: Session): Play {
    const play = new Play(session, this.#judge, this.#now(), 'mock');
    this.#plays.push(play);
    return play;
  }

  begin(session: Session): Play {
    this.#state.learn(session);
    this.#proof.learn(session);
    const play = new Play(session, this.#judge, this.#now());
    this.#plays.push(play);
    this.#hasBegun = true;
    return play;
  }

  /** Recorded calls of the session that were not made, and need not be: the process keeps what another one fetched. */
  cachedOf({ book, session, beganAt }: Play): NonNullable<Played['cached']> {
    return [...book.unused].flatMap((call) => {
      const kept = this.#state.keptFor(session, call, beganAt, this.#now());
      return kept === undefined ? [] : [{ recorded: call.index, ...kept }];
    });
  }

  /** Ends a session that is in play, but for calls that come late. */
  over(play: Play): void {
    play.over = true;
    const at = this.#plays.indexOf(play);
    if (at < 0) return;
    this.#plays.splice(at, 1);
    play.late = true;
    this.#late.push(play);
  }

  /** Ends a session for good; its calls. */
  finish(play: Play | undefined = this.#plays[0]): readonly LiveCall[] {
    if (play === undefined) return [];
    this.over(play);
    play.late = false;
    this.#late.splice(this.#late.indexOf(play), 1);
    return play.calls;
  }

  /** Calls made while no session was played, since last asked; bounded. */
  takeIdle(): readonly IdleCall[] {
    return this.#any.takeIdle();
  }

  /** Recorded calls of the sessions in play that nobody made yet. */
  get awaited(): readonly RecordedCall[] {
    return this.#plays.flatMap((play) => play.awaited);
  }

  /** The calls of this service were proven to be of their sessions, all the last ones. */
  get trusted(): boolean {
    return this.#provenInARow >= TRUSTED_AFTER;
  }

  /** Some call was equal to calls of two sessions in play, by its protocol and not by its bytes, and they had different answers. */
  get evenAmbiguous(): boolean {
    return this.#evenAmbiguous;
  }

  protocolOf(destination: string): ProtocolName | undefined {
    return this.#world.protocols[destination];
  }

  /** The set-up to play on a new connection. */
  setupFor(destination: string): Setup | undefined {
    return this.#setups.newConnection(destination, this.protocolOf(destination));
  }

  /** The prepared statements of a new live connection, where its protocol has any. */
  statementsFor(destination: string, protocol: ProtocolName): LiveStatements | undefined {
    return liveStatements(protocol, new Prepareds(this.#world.prepared[destination] ?? [], this.#judge, this.#world.threshold));
  }

  /** The recorded answer to what a driver asks because its connection is new. */
  inquire(destination: string, bytes: Uint8Array): Uint8Array | undefined {
    return this.#setups.inquiry(destination, bytes, this.protocolOf(destination));
  }

  /** Whether `bytes` are exactly what some recorded request of the destination was, and none goes on from there. */
  isWhole(destination: string, bytes: Uint8Array): boolean {
    const books = this.#plays.length === 0 ? [this.#any.book ?? []].flat() : this.#plays.map(({ book }) => book);
    if (books.some((book) => book.goesOn(destination, bytes))) return false;
    return books.some((book) => book.exact(destination, bytes) !== undefined) || this.#setupAnswer(destination, bytes) !== undefined;
  }

  /** The answer to a live request; remembers the call. */
  ask(request: Request): Answer {
    const { destination, bytes } = request;
    const owner = inPlay(request.owner);
    if (owner === 'elsewhere') return this.#askIdle(request);
    if (owner?.play.late === true || this.#plays.length === 0) return this.#askLate(request, owner);
    const askedAt = this.#now();
    const plays = this.#candidates(owner);
    for (const play of plays) {
      const exact = play.book.exact(destination, bytes);
      if (exact !== undefined) return this.#use(request, play, exact, 'exact', askedAt);
    }
    const setup = this.#setupAnswer(destination, bytes);
    if (setup !== undefined) return { bytes: setup, then: 'keep' };
    for (const play of plays) {
      const equal = play.book.equal(destination, bytes);
      if (equal !== undefined) return this.#use(request, play, equal, 'equal', askedAt);
    }
    const again = this.#again(request, plays, askedAt);
    if (again !== undefined) return again;
    const background = owner?.certainty === 'proven' ? undefined : this.#any.takeBackground(destination, bytes);
    if (background !== undefined) {
      this.#noteIdle(request, true, true);
      return this.#answers.recorded(background);
    }
    for (const play of plays) {
      const drift = play.book.drift(destination, bytes, this.#clocksOf(play, askedAt));
      if (drift !== undefined) return this.#use(request, play, drift.call, 'drift', askedAt, undefined, drift.made);
    }
    if (request.setup) return this.#answers.agreed(request);
    return this.#driftAgain(request, plays, askedAt) ?? this.#unequal(request, owner === undefined ? plays : [owner.play], askedAt);
  }

  #again(request: Request, plays: readonly Play[], askedAt: number): Answer | undefined {
    const { repeats = 'none' } = this.#world;
    const [play] = plays;
    const call = repeats === 'none' ? undefined : play?.book.again(request.destination, request.bytes, repeats);
    if (play === undefined || call === undefined) return undefined;
    this.#note(request, play, Buffer.compare(call.request, request.bytes) === 0 ? 'exact' : 'equal', askedAt, { recorded: call.index, repeated: true });
    return this.#answers.recorded(call);
  }

  #driftAgain(request: Request, plays: readonly Play[], askedAt: number): Answer | undefined {
    const { repeats = 'none' } = this.#world;
    const [play] = plays;
    const drift = repeats === 'none' ? undefined : play?.book.driftAgain(request.destination, request.bytes, repeats, this.#clocksOf(play, askedAt));
    if (play === undefined || drift === undefined) return undefined;
    play.book.use(drift.call, drift.made);
    this.#note(request, play, 'drift', askedAt, { recorded: drift.call.index, repeated: true });
    return this.#answers.recorded(drift.call);
  }

  /** The error with which this login (without bytes: whoever connects) was refused when recorded, as often as it was; undefined: its client is let in. */
  refusedLogin(request: Request): Answer | undefined {
    const owner = inPlay(request.owner);
    if (owner === 'elsewhere' || owner?.play.late === true) return undefined;
    for (const play of this.#candidates(owner)) {
      // Of a mock, logins that never went through: each time.
      const login = play.book.exact(request.destination, request.bytes) ?? (this.#world.repeats === undefined ? undefined : play.book.again(request.destination, request.bytes, 'last'));
      if (login !== undefined && (isTurnedAway(login.talk) || isRefusal(request.protocol, login.response))) return this.#use(request, play, login, 'exact', this.#now());
    }
    return undefined;
  }

  /**
   * A call after the answer, that was not waited for. It is new where its session is known, or was the last one; but not where the
   * service may have made it by itself.
   */
  #askLate(request: Request, owner: OwnedInPlay | undefined): Answer {
    const { destination, bytes } = request;
    const play = owner?.play ?? this.#late.at(-1);
    if (play === undefined || request.setup || this.#setupAnswer(destination, bytes) !== undefined) return this.#askIdle(request);
    const askedAt = this.#now();
    const exact = play.book.exact(destination, bytes);
    const own = exact ?? play.book.equal(destination, bytes);
    if (own !== undefined && owner !== undefined) return this.#use(request, play, own, exact === undefined ? 'equal' : 'exact', askedAt);
    if (owner?.certainty !== 'proven' && this.#any.resembles(destination, bytes)) return this.#askIdle(request);
    this.#note(request, play, 'none', askedAt);
    return this.#idleAnswer(request) ?? this.#answers.miss(request);
  }

  /** No recorded call of `plays` is this one: what another session kept, one like it where that is asked for, else a miss. */
  #unequal(request: Request, plays: readonly Play[], askedAt: number): Answer {
    const { destination, bytes, protocol } = request;
    // A call made once more than recorded must not take another call's answer, however alike the two are.
    const repeats = plays.find(({ book }) => book.repeats(destination, bytes));
    const play = repeats ?? (plays.length > 1 ? nearestOf(plays, destination, bytes)?.play : undefined) ?? plays[0];
    if (play === undefined) return this.#answers.miss(request);
    if (repeats !== undefined) return this.#missed(request, play, askedAt, { repeated: true });
    const kept = this.#state.answerFor(play.session, { destination, request: bytes, protocol }, askedAt, play.calls.filter(({ how }) => how === 'state'));
    if (kept !== undefined) {
      this.#state.answered(play.session.id, kept.call, askedAt);
      this.#note(request, play, 'state', askedAt, { kept: { session: kept.session, agoMs: kept.agoMs } });
      return this.#answers.recorded(kept.call);
    }
    const like = likeOf(request, plays, this.#world);
    if (like !== undefined) return this.#use(request, like.play, like.call, like.how, askedAt, like.score);
    return this.#missed(request, play, askedAt);
  }

  #missed(request: Request, play: Play, askedAt: number, more: Pick<LiveCall, 'repeated'> = {}): Answer {
    const call = this.#note(request, play, 'none', askedAt, more);
    return { ...this.#answers.miss(request), call };
  }

  /** When the session began, by the service's clock: as recorded, and now. */
  #clocksOf({ session, beganAt }: Play, nowMs: number): Clocks {
    const sinceMs = this.#world.repeats === undefined ? nowMs - beganAt : 0;
    return { recordedMs: session.startedAtUs / 1000, liveMs: this.#wallMs() - sinceMs };
  }

  /** The sessions that may answer, in the order in which they are asked. */
  #candidates(owner: OwnedInPlay | undefined): readonly Play[] {
    if (owner === undefined) return this.#plays;
    if (owner.certainty === 'proven') return [owner.play];
    return [owner.play, ...this.#plays.filter((play) => play !== owner.play)];
  }

  #use(request: Request, play: Play, call: RecordedCall, how: How, askedAt: number, score?: number, made: readonly Pair[] = []): Answer {
    const ambiguous = this.#isAmbiguous(request, play, call, how, askedAt);
    if (ambiguous && how !== 'exact') this.#evenAmbiguous = true;
    play.book.use(call, made);
    if (how === 'exact' || how === 'equal' || how === 'drift') this.#state.answered(play.session.id, call, askedAt);
    const unproven = made.length === 0 || this.#world.repeats !== undefined ? [] : this.#proof.unproven(made, play, call, this.#wallMs(), askedAt - play.beganAt);
    this.#note(request, play, how, askedAt, { recorded: call.index, ...(unproven.length === 0 ? {} : { unproven }), ...(score === undefined ? {} : { score }), ...(ambiguous ? { ambiguous: true as const } : {}) });
    return this.#answers.recorded(call);
  }

  /** It can't be told whose call it is, and another session in play has another answer to it. */
  #isAmbiguous({ destination, bytes, owner }: Request, play: Play, call: RecordedCall, how: How, askedAt: number): boolean {
    if (owner?.certainty === 'proven' || this.#plays.length < 2 || (how !== 'exact' && how !== 'equal' && how !== 'drift')) return false;
    return this.#plays.some((other) => {
      if (other === play) return false;
      const same = how === 'exact' ? other.book.exact(destination, bytes) : how === 'equal' ? other.book.equal(destination, bytes)
        : other.book.drift(destination, bytes, this.#clocksOf(other, askedAt))?.call;
      return same !== undefined && Buffer.compare(same.response, call.response) !== 0;
    });
  }

  #note(request: Request, play: Play, how: How, askedAt: number, more: Pick<LiveCall, 'recorded' | 'score' | 'repeated' | 'ambiguous' | 'kept' | 'unproven'> = {}): LiveCall {
    const { destination, protocol, bytes, owner, settings } = request;
    const alone = this.#plays.length <= 1;
    const certainty = owner?.certainty ?? 'unknown';
    if (owner?.certainty === 'proven') this.#provenInARow += 1;
    else if (!alone) this.#provenInARow = 0;
    const call: LiveCall = {
      destination, protocol, request: bytes, how, beganMs: askedAt - play.beganAt, endedMs: this.#now() - play.beganAt,
      ...(alone && owner === undefined ? {} : { certainty }), ...(settings === undefined ? {} : { settings }), ...more,
    };
    play.add(call);
    return call;
  }

  #setupAnswer(destination: string, bytes: Uint8Array): Uint8Array | undefined {
    return this.#setups.answer(destination, bytes, this.protocolOf(destination));
  }

  #askIdle(request: Request): Answer {
    const answer = this.#idleAnswer(request) ?? (request.setup ? this.#answers.agreed(request) : this.#answers.miss(request));
    this.#noteIdle(request, answer.missed !== true && answer !== SILENCE);
    return answer;
  }

  #noteIdle(request: Request, answered: boolean, during = false): void {
    const odd = !answered && !request.setup && this.#hasBegun && request.owner === undefined && !this.#any.resembles(request.destination, request.bytes);
    this.#any.note({ destination: request.destination, summary: this.#answers.summaryOf(request), answered, ...(odd ? { odd } : {}), ...(during ? { during } : {}) });
  }

  #idleAnswer({ destination, bytes }: Request): Answer | undefined {
    const setup = this.#setupAnswer(destination, bytes);
    if (setup !== undefined) return { bytes: setup, then: 'keep' };
    const call = this.#any.find(destination, bytes);
    if (call !== undefined) this.#state.answered('', call, this.#now());
    return call === undefined ? undefined : this.#answers.recorded(call);
  }
}
