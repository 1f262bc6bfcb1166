/**
 * Decides what a live call is answered with. One session is played at a time; what comes while none is (the SUT's start, its
 * background threads) is answered from all sessions by content and consumes nothing. No sockets here, only values and a clock.
 */
import { canonicalDestination } from './destination.ts';
import { CallBook, type Judge, type RecordedCall } from './calls.ts';
import { loginOf } from './logins.ts';
import { missAnswer } from './misses.ts';
import type { How, IdleCall, LiveCall, World } from './played.ts';
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

export interface Answer {
  readonly bytes: Uint8Array;
  /** What happens to the connection after them. */
  readonly then: 'keep' | 'fin' | 'reset';
  /** It is an error of ours: nothing recorded answers the request. */
  readonly missed?: true;
}

export interface Request {
  readonly destination: string;
  readonly protocol: ProtocolName;
  readonly bytes: Uint8Array;
  readonly oneway: boolean;
  readonly setup: boolean;
}

const SILENCE: Answer = { bytes: new Uint8Array(0), then: 'keep' };
const MAX_IDLE_CALLS = 1_000;

export class Engine {
  readonly #world: World;
  readonly #judge: Judge;
  readonly #knowledge: Knowledge;
  readonly #now: () => number;
  readonly #setups: readonly Setup[];
  /** Every session's calls, for what comes while no session is played; never used up. */
  readonly #all: CallBook[] = [];
  #book: CallBook | undefined;
  #beganAt = 0;
  #live: LiveCall[] = [];
  #idle: IdleCall[] = [];

  /** `now`: milliseconds, monotonic. */
  constructor(world: World, judge: Judge, knowledge: Knowledge, now: () => number) {
    this.#world = world;
    this.#judge = judge;
    this.#knowledge = knowledge;
    this.#now = now;
    this.#setups = world.prologues.map((prologue) => {
      const name = world.protocols[canonicalDestination(prologue.destination)] ?? 'unknown';
      return setupOf(prologue, name, knowledge.protocol(name));
    });
  }

  get knowledge(): Knowledge {
    return this.#knowledge;
  }

  /** What may be asked for while no session is played. */
  learn(session: Session): void {
    this.#all.push(new CallBook(session, this.#judge));
  }

  begin(session: Session): void {
    this.#book = new CallBook(session, this.#judge);
    this.#beganAt = this.#now();
    this.#live = [];
  }

  /** Ends the session that is played; its calls so far. */
  finish(): readonly LiveCall[] {
    this.#book = undefined;
    return this.#live;
  }

  /** Calls made while no session was played, since last asked; bounded. */
  takeIdle(): readonly IdleCall[] {
    const idle = this.#idle;
    this.#idle = [];
    return idle;
  }

  /** Recorded calls of the session in play that nobody made yet. */
  get awaited(): readonly RecordedCall[] {
    return [...this.#book?.unused ?? []];
  }

  protocolOf(destination: string): ProtocolName | undefined {
    return this.#world.protocols[destination];
  }

  /**
   * The set-up to play on a new connection: the first recorded one of the destination, else one of the same protocol, else
   * (every connection was older than the recorder) one that is made up.
   */
  setupFor(destination: string): Setup | undefined {
    const protocol = this.protocolOf(destination);
    const recorded = this.#setups.find((setup) => setup.destination === destination)
      ?? this.#setups.find((setup) => setup.protocol === protocol && setup.login !== undefined);
    const login = protocol === undefined ? undefined : loginOf(protocol, undefined);
    return recorded ?? (protocol === undefined || login === undefined ? undefined : { destination, protocol, pairs: [], login });
  }

  /** The prepared statements of a new live connection, where its protocol has any. */
  statementsFor(destination: string, protocol: ProtocolName): LiveStatements | undefined {
    return liveStatements(protocol, new Prepareds(this.#world.prepared[destination] ?? [], this.#judge, this.#world.threshold));
  }

  /** Whether `bytes` are exactly what some recorded request of the destination was, and none goes on from there. */
  isWhole(destination: string, bytes: Uint8Array): boolean {
    const books = this.#book === undefined ? this.#all : [this.#book];
    if (books.some((book) => book.goesOn(destination, bytes))) return false;
    return books.some((book) => book.exact(destination, bytes) !== undefined) || this.#setupAnswer(destination, bytes) !== undefined;
  }

  /** The answer to a live request; remembers the call. */
  ask(request: Request): Answer {
    const beganMs = this.#now() - this.#beganAt;
    if (this.#book === undefined) return this.#askIdle(request);
    const { destination, bytes } = request;
    const exact = this.#book.exact(destination, bytes);
    if (exact !== undefined) return this.#use(request, exact, 'exact', beganMs);
    const setup = this.#setupAnswer(destination, bytes);
    if (setup !== undefined) return { bytes: setup, then: 'keep' };
    const equal = this.#book.equal(destination, bytes);
    if (equal !== undefined) return this.#use(request, equal, 'equal', beganMs);
    if (request.setup) return this.#invented(request);
    // A call made once more than recorded must not take another call's answer, however alike the two are.
    const repeated = this.#book.repeats(destination, bytes);
    if (!repeated && (this.#world.match === 'sim' || this.#world.onMiss === 'nearest')) {
      const nearest = this.#book.nearest(destination, bytes);
      const similar = nearest !== undefined && nearest.score >= this.#world.threshold && this.#world.match === 'sim';
      if (nearest !== undefined && (similar || this.#world.onMiss === 'nearest')) {
        return this.#use(request, nearest.call, similar ? 'similar' : 'nearest', beganMs, nearest.score);
      }
    }
    this.#note(request, 'none', beganMs, repeated ? { repeated } : {});
    return this.#miss(request);
  }

  #use(request: Request, call: RecordedCall, how: How, beganMs: number, score?: number): Answer {
    this.#book?.use(call);
    this.#note(request, how, beganMs, { recorded: call.index, ...(score === undefined ? {} : { score }) });
    return this.#answerOf(call);
  }

  #note(request: Request, how: How, beganMs: number, more: Pick<LiveCall, 'recorded' | 'score' | 'repeated'> = {}): void {
    this.#live.push({
      destination: request.destination, protocol: request.protocol, request: request.bytes, how, beganMs,
      endedMs: this.#now() - this.#beganAt, ...more,
    });
  }

  /** The recorded answer, and the connection's end where that was a part of it. */
  #answerOf({ response, request, protocol, talk }: RecordedCall): Answer {
    if (talk.end?.kind !== 'reset' && protocol === 'fastcgi' && closesAfter(request)) return { bytes: response, then: 'fin' };
    if (talk.end?.by !== 'remote' || (talk.end.kind !== 'fin' && talk.end.kind !== 'reset')) return { bytes: response, then: 'keep' };
    const then = talk.end.kind === 'reset' ? 'reset' : 'fin';
    return { bytes: response, then: this.#isWholeAnswer(protocol, request, response) ? 'keep' : then };
  }

  /** An end that came after a whole answer (an idle time-out, say) is none of this answer's business. */
  #isWholeAnswer(name: ProtocolName, request: Uint8Array, response: Uint8Array): boolean {
    const framer = this.#knowledge.protocol(name)?.framer();
    if (framer === undefined || response.length === 0) return false;
    const frames: Parameters<typeof framer.push>[2] = [];
    framer.push('client', request, frames);
    framer.push('server', response, frames);
    const asked = frames.filter(({ role }) => role === 'request').length;
    const whole = frames.filter(({ role }) => role === 'response').length >= asked;
    const closes = name === 'http' && /^connection:[^\r\n]*\bclose\b/im.test(headOf(response));
    return framer.sure && asked > 0 && whole && !closes;
  }

  #setupAnswer(destination: string, bytes: Uint8Array): Uint8Array | undefined {
    const protocol = this.protocolOf(destination);
    for (const same of [Buffer.compare, undefined]) {
      for (const setup of this.#setups) {
        if (setup.destination !== destination) continue;
        const pair = setup.pairs.find(({ request }) => (same === undefined
          ? protocol !== undefined && this.#judge.equal(request, bytes, protocol) : same(request, bytes) === 0));
        if (pair !== undefined) return pair.response;
      }
    }
    return undefined;
  }

  /** A set-up request of a connection whose set-up was not recorded: agreed to. */
  #invented(request: Request): Answer {
    const agreed = AGREED[request.protocol];
    if (agreed === undefined) return this.#miss(request);
    return { bytes: Buffer.from(agreed), then: 'keep' };
  }

  #askIdle(request: Request): Answer {
    const answer = this.#idleAnswer(request);
    if (this.#idle.length < MAX_IDLE_CALLS) {
      const summary = this.#knowledge.protocol(request.protocol)?.summarise(request.bytes, new Uint8Array(0)).text;
      this.#idle.push({
        destination: request.destination, summary: summary ?? `${request.bytes.length} bytes`, answered: answer !== undefined,
      });
    }
    return answer ?? (request.setup ? this.#invented(request) : this.#miss(request));
  }

  #idleAnswer({ destination, bytes }: Request): Answer | undefined {
    const setup = this.#setupAnswer(destination, bytes);
    if (setup !== undefined) return { bytes: setup, then: 'keep' };
    for (const book of this.#all) {
      const call = book.exact(destination, bytes);
      if (call !== undefined) return this.#answerOf(call);
    }
    for (const book of this.#all) {
      const call = book.equal(destination, bytes);
      if (call !== undefined) return this.#answerOf(call);
    }
    return undefined;
  }

  #miss(request: Request): Answer {
    if (request.oneway) return SILENCE;
    const summary = this.#knowledge.protocol(request.protocol)?.summarise(request.bytes, new Uint8Array(0)).text;
    const bytes = missAnswer(request.protocol, `no recorded answer at ${request.destination} for ${summary ?? `${request.bytes.length} bytes`}`);
    return bytes === undefined ? { bytes: new Uint8Array(0), then: 'reset', missed: true } : { bytes, then: 'keep', missed: true };
  }
}

/** FastCGI 1.0, section 5.1: without FCGI_KEEP_CONN in FCGI_BEGIN_REQUEST the application closes after the answer, and clients wait for that. */
function closesAfter(request: Uint8Array): boolean {
  return request[1] === 1 && ((request[10] ?? 0) & 1) === 0;
}

function headOf(message: Uint8Array): string {
  const text = Buffer.from(message.buffer, message.byteOffset, Math.min(message.byteLength, 64 << 10)).toString('latin1');
  return text.slice(0, Math.max(0, text.search(/\r?\n\r?\n/)));
}

/** PostgreSQL: CommandComplete SET, ReadyForQuery. MySQL: OK. */
const AGREED: Readonly<Record<string, string | Uint8Array>> = {
  redis: '+OK\r\n',
  postgresql: 'C\0\0\0\bSET\0Z\0\0\0\x05I',
  mysql: Uint8Array.from([7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]),
};
