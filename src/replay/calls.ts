/**
 * The recorded calls of one session, each to be used once. Finding is separate from answering and from reporting: this only
 * says which recorded call a live request is, and how that was found. Cheapest and surest first, each step by an index; the
 * caller decides which steps are taken.
 */
import { canonicalText, differingScalars, driftBetween, type Clocks, type Json, type Pair } from '../compare/index.ts';
import type { Chunk } from '../connections/account.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { bestOf, MAX_COMPARED, type Scored } from './best.ts';
import { chunkScores } from './chunks.ts';
import { canonicalDestination } from './destination.ts';
import { MadeValues } from './made-values.ts';
import { isAgreed, type Repeats } from './played.ts';
import { RequestIndex } from './request-index.ts';

/** How requests are told apart; pure functions of their bytes. */
export interface Judge {
  /** The same request to the protocol, whatever its bytes. */
  equal(recorded: Uint8Array, live: Uint8Array, protocol: ProtocolName): boolean;
  /** 0 (nothing in common) to 1. */
  similarity(recorded: Uint8Array, live: Uint8Array): number;
}

export interface RecordedCall {
  /** Index into the session's `outbound`. */
  readonly index: number;
  /** Canonical "IP:PORT". */
  readonly destination: string;
  readonly protocol: ProtocolName;
  readonly request: Uint8Array;
  readonly response: Uint8Array;
  readonly talk: OutboundTalk;
}

export type Found = Scored<RecordedCall>;

export interface Drifted {
  readonly call: RecordedCall;
  /** The values in which it differs, where they were met first. */
  readonly made: readonly Pair[];
}

/** So many calls that could be the same but for drift are looked at. */
const MAX_DRIFT_CANDIDATES = 64;

/** The bytes of chunks in order; holes are left out. */
export function bytesOf(chunks: readonly Chunk[]): Uint8Array {
  const parts = chunks.flatMap((chunk) => ('bytes' in chunk ? [chunk.bytes] : []));
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/** How many these are. */
export const lengthOf = (chunks: readonly Chunk[]): number => chunks.reduce((sum, chunk) => sum + ('bytes' in chunk ? chunk.bytes.length : 0), 0);

/** True for a talk whose connection never came to be: refused, timed out, unreachable. */
export function neverConnected(talk: OutboundTalk): boolean {
  return talk.request.length === 0 && talk.response.length === 0 && talk.end !== undefined
    && ['refused', 'timeout', 'unreachable', 'failed'].includes(talk.end.kind);
}

/** The calls of a session that can be asked for. */
export function callsOf(session: Session): RecordedCall[] {
  return session.outbound.flatMap((talk, index) => (neverConnected(talk) || isAgreed(talk) ? [] : [{
    index,
    destination: canonicalDestination(talk.connection.remote),
    protocol: talk.connection.protocol,
    request: bytesOf(talk.request),
    response: bytesOf(talk.response),
    talk,
  }]));
}

/**
 * `session`: they were made for one client, whose request began them. `mock`: they are those of all sessions and of none, each as of
 * its own moment, and each piece of the request is another session's.
 */
export type BookOf = 'session' | 'mock';

export class CallBook {
  readonly session: Session;
  readonly calls: readonly RecordedCall[];
  readonly #of: BookOf;
  /** How often one of these, named by the first of them, was given again. */
  readonly #given = new Map<RecordedCall, number>();
  readonly #judge: Judge;
  readonly #unused = new Set<RecordedCall>();
  readonly #byDestination = new Map<string, RequestIndex>();
  readonly #made: MadeValues;

  constructor(session: Session, judge: Judge, of: BookOf = 'session') {
    this.session = session;
    this.#of = of;
    this.#judge = judge;
    this.calls = callsOf(session);
    const byDestination = new Map<string, RecordedCall[]>();
    for (const call of this.calls) {
      this.#unused.add(call);
      const same = byDestination.get(call.destination);
      if (same === undefined) byDestination.set(call.destination, [call]);
      else same.push(call);
    }
    for (const [destination, calls] of byDestination) this.#byDestination.set(destination, new RequestIndex(calls, (call) => !this.#unused.has(call)));
    const { request } = session.inbound;
    this.#made = new MadeValues(of === 'session' ? [bytesOf(request)] : request.map((chunk) => bytesOf([chunk])), this.calls);
  }

  get unused(): Iterable<RecordedCall> {
    return this.#unused;
  }

  /** The first unused call with exactly these bytes. */
  exact(destination: string, request: Uint8Array): RecordedCall | undefined {
    return this.#byDestination.get(destination)?.exact(request);
  }

  /** The first unused call that is the same to its protocol. */
  equal(destination: string, request: Uint8Array): RecordedCall | undefined {
    return this.#byDestination.get(destination)?.equal(request);
  }

  /**
   * The unused call that is the same but for values that the service made itself. Values that were met before lead to their own
   * call; else the first in recorded order whose differing values are all such, and contradict nothing.
   */
  drift(destination: string, request: Uint8Array, clocks: Clocks): Drifted | undefined {
    const index = this.#byDestination.get(destination);
    if (index === undefined) return undefined;
    const { model, masked } = index.asked(request);
    const candidates = index.masked(request, MAX_DRIFT_CANDIDATES);
    const known = this.#made.knowsAny(masked.made) ? index.equalText(request, canonicalText(model, (text) => this.#made.asRecorded(text)))
      : candidates.length > 1 ? index.equal(request) : undefined;
    if (known !== undefined) return { call: known, made: [] };
    return this.#drifted(candidates, index, model, clocks);
  }

  /** What a call gets that was recorded, and made as often already: to the byte, or to its protocol. */
  again(destination: string, request: Uint8Array, repeats: Exclude<Repeats, 'none'>): RecordedCall | undefined {
    return this.#givenAgain(this.#byDestination.get(destination)?.every(request) ?? [], repeats);
  }

  /** The same for one that differs in values that the service makes itself: these are others each time. */
  driftAgain(destination: string, request: Uint8Array, repeats: Exclude<Repeats, 'none'>, clocks: Clocks): Drifted | undefined {
    const index = this.#byDestination.get(destination);
    if (index === undefined) return undefined;
    const { model, masked } = index.asked(request);
    const known = this.#made.knowsAny(masked.made) ? index.every(request, canonicalText(model, (text) => this.#made.asRecorded(text))) : [];
    const call = this.#givenAgain(known, repeats);
    if (call !== undefined) return { call, made: [] };
    const alike = index.everyMasked(request);
    const latest = alike.slice(-MAX_DRIFT_CANDIDATES);
    return this.#drifted(repeats === 'last' ? latest.reverse() : latest, index, model, clocks, true);
  }

  #givenAgain(calls: readonly RecordedCall[], repeats: Exclude<Repeats, 'none'>): RecordedCall | undefined {
    const [first] = calls;
    if (first === undefined || repeats === 'last') return calls.at(-1);
    const times = this.#given.get(first) ?? 0;
    this.#given.set(first, times + 1);
    return calls[times % calls.length];
  }

  #drifted(candidates: readonly RecordedCall[], index: RequestIndex, model: Json, clocks: Clocks, again = false): Drifted | undefined {
    for (const call of candidates) {
      const recordedMs = this.#of === 'mock' ? (call.talk.request[0]?.atUs ?? 0) / 1000 : clocks.recordedMs;
      const pairs = driftPairs(index.modelOfCall(call), model, { ...clocks, recordedMs });
      if (pairs !== undefined && this.#made.allows(pairs, call.index, again)) return { call, made: pairs };
    }
    return undefined;
  }

  /** Whether the value came in with the session's request. */
  isAsked(value: string): boolean {
    return this.#made.isAsked(value);
  }

  /** The unused call of this destination that is most like `request`; the earliest among equals. */
  nearest(destination: string, request: Uint8Array): Found | undefined {
    return bestOf(this.#candidatesAt(destination, MAX_COMPARED), (call) => this.#judge.similarity(call.request, request));
  }

  /** koala's `chunk`: the unused call in which most pieces of `request` stand, those after call `after` first. */
  chunk(destination: string, request: Uint8Array, after: number | undefined): Found | undefined {
    const unused = this.#candidatesAt(destination, Infinity);
    const later = after === undefined ? unused : unused.filter(({ index }) => index > after);
    return chunkScores(later, request, after === undefined) ?? (later.length < unused.length ? chunkScores(unused, request, false) : undefined);
  }

  /** Whether an unused call's request begins with `bytes` and goes on. */
  goesOn(destination: string, bytes: Uint8Array): boolean {
    return this.#byDestination.get(destination)?.goesOn(bytes) ?? false;
  }

  /** Whether this very request was recorded, to the byte or to its protocol. Asked when no unused call is it: then it was made before. */
  repeats(destination: string, request: Uint8Array): boolean {
    return this.#byDestination.get(destination)?.has(request) ?? false;
  }

  /** Whether an unused call is the same, or could be but for values that a service makes itself. */
  resembles(destination: string, request: Uint8Array): boolean {
    const index = this.#byDestination.get(destination);
    if (index === undefined) return false;
    return index.exact(request) !== undefined || index.equal(request) !== undefined || index.masked(request, 1).length > 0;
  }

  /** `made`: values that the service made itself, as found by `drift`. */
  use(call: RecordedCall, made: readonly Pair[] = []): void {
    this.#unused.delete(call);
    this.#made.learn(made);
  }

  /** Unused calls; of a mock, which gives an answer again, after them the others. */
  #candidatesAt(destination: string, most: number): RecordedCall[] {
    const found: RecordedCall[] = [];
    const used: RecordedCall[] = [];
    for (const call of this.#byDestination.get(destination)?.calls ?? []) {
      if (found.length >= most) break;
      (this.#unused.has(call) ? found : used).push(call);
    }
    return this.#of === 'mock' ? [...found, ...used].slice(0, most) : found;
  }
}

function driftPairs(recorded: Json, live: Json, clocks: Clocks): readonly Pair[] | undefined {
  const pairs: Pair[] = [];
  let holds = true;
  differingScalars(recorded, live, (a, b) => {
    const more = holds ? driftBetween(a, b, clocks) : undefined;
    if (more === undefined) holds = false;
    else pairs.push(...more);
  });
  return holds ? pairs : undefined;
}
