/**
 * The recorded calls of one session, each to be used once. Finding is separate from answering and from reporting: this only
 * says which recorded call a live request is, and how that was found. Cheapest and surest first, each step by an index; the
 * caller decides which steps are taken.
 */
import { canonicalText, differingScalars, driftBetween, type Clocks, type Json, type Pair } from '../compare/index.ts';
import type { Chunk } from '../connections/account.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { chunkScores } from './chunks.ts';
import { canonicalDestination } from './destination.ts';
import { MadeValues } from './made-values.ts';
import { isAgreed } from './played.ts';
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

export interface Found {
  readonly call: RecordedCall;
  readonly score: number;
}

export interface Drifted {
  readonly call: RecordedCall;
  /** The values in which it differs, where they were met first. */
  readonly made: readonly Pair[];
}

/** So many calls that could be the same but for drift are looked at. */
const MAX_DRIFT_CANDIDATES = 64;
/** So many unused calls are looked at for the nearest one, in recorded order. */
const MAX_COMPARED = 1_000;

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

export class CallBook {
  readonly session: Session;
  readonly calls: readonly RecordedCall[];
  readonly #judge: Judge;
  readonly #unused = new Set<RecordedCall>();
  readonly #byDestination = new Map<string, RequestIndex>();
  readonly #made: MadeValues;

  constructor(session: Session, judge: Judge) {
    this.session = session;
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
    this.#made = new MadeValues(bytesOf(session.inbound.request), this.calls);
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
    for (const call of candidates) {
      const pairs = driftPairs(index.modelOfCall(call), model, clocks);
      if (pairs === undefined || !this.#made.allows(pairs, call.index)) continue;
      return { call, made: pairs };
    }
    return undefined;
  }

  /** Whether the value came in with the session's request. */
  isAsked(value: string): boolean {
    return this.#made.isAsked(value);
  }

  /** The unused call of this destination that is most like `request`; the earliest among equals. */
  nearest(destination: string, request: Uint8Array): Found | undefined {
    let best: Found | undefined;
    for (const call of this.#unusedAt(destination, MAX_COMPARED)) {
      const score = this.#judge.similarity(call.request, request);
      if (best === undefined || score > best.score) best = { call, score };
    }
    return best;
  }

  /** koala's `chunk`: the unused call in which most pieces of `request` stand, those after call `after` first. */
  chunk(destination: string, request: Uint8Array, after: number | undefined): Found | undefined {
    const unused = [...this.#unusedAt(destination, Infinity)];
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

  #unusedAt(destination: string, most: number): RecordedCall[] {
    const found: RecordedCall[] = [];
    for (const call of this.#byDestination.get(destination)?.calls ?? []) {
      if (found.length >= most) break;
      if (this.#unused.has(call)) found.push(call);
    }
    return found;
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
