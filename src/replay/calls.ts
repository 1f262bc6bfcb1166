/**
 * The recorded calls of one session, each to be used once. Finding is separate from answering and from reporting: this only
 * says which recorded call a live request is, and how that was found.
 */
import { createHash } from 'node:crypto';
import { canonicalDestination } from './destination.ts';
import type { Chunk } from '../connections/account.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { isAgreed } from './played.ts';

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

/** The bytes of chunks in order; holes are left out. */
export function bytesOf(chunks: readonly Chunk[]): Uint8Array {
  const parts = chunks.flatMap((chunk) => ('bytes' in chunk ? [chunk.bytes] : []));
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/** True for a talk whose connection never came to be: refused, timed out, unreachable. */
export function neverConnected(talk: OutboundTalk): boolean {
  return talk.request.length === 0 && talk.response.length === 0 && talk.end !== undefined
    && ['refused', 'timeout', 'unreachable', 'failed'].includes(talk.end.kind);
}

/** Requests by their bytes; long ones by digest, so that a key stays small. */
function keyOf(destination: string, request: Uint8Array): string {
  const bytes = Buffer.from(request.buffer, request.byteOffset, request.byteLength);
  const text = bytes.length <= 512 ? bytes.toString('latin1') : createHash('sha1').update(bytes).digest('base64');
  return `${destination} ${bytes.length} ${text}`;
}

export class CallBook {
  readonly calls: readonly RecordedCall[];
  readonly #judge: Judge;
  readonly #unused = new Set<RecordedCall>();
  /** Unused calls by destination and exact request, in recorded order. */
  readonly #exact = new Map<string, RecordedCall[]>();

  constructor(session: Session, judge: Judge) {
    this.#judge = judge;
    this.calls = session.outbound.flatMap((talk, index) => (neverConnected(talk) || isAgreed(talk) ? [] : [{
      index,
      destination: canonicalDestination(talk.connection.remote),
      protocol: talk.connection.protocol,
      request: bytesOf(talk.request),
      response: bytesOf(talk.response),
      talk,
    }]));
    for (const call of this.calls) {
      this.#unused.add(call);
      const key = keyOf(call.destination, call.request);
      const same = this.#exact.get(key);
      if (same === undefined) this.#exact.set(key, [call]);
      else same.push(call);
    }
  }

  get unused(): Iterable<RecordedCall> {
    return this.#unused;
  }

  /** The first unused call with exactly these bytes. */
  exact(destination: string, request: Uint8Array): RecordedCall | undefined {
    return this.#exact.get(keyOf(destination, request))?.find((call) => this.#unused.has(call));
  }

  /** The first unused call that is the same to its protocol. */
  equal(destination: string, request: Uint8Array): RecordedCall | undefined {
    return this.#at(destination).find((call) => this.#judge.equal(call.request, request, call.protocol));
  }

  /** The unused call of this destination that is most like `request`; the earliest among equals. */
  nearest(destination: string, request: Uint8Array): Found | undefined {
    let best: Found | undefined;
    for (const call of this.#at(destination)) {
      const score = this.#judge.similarity(call.request, request);
      if (best === undefined || score > best.score) best = { call, score };
    }
    return best;
  }

  /** Whether an unused call's request begins with `bytes` and goes on. */
  goesOn(destination: string, bytes: Uint8Array): boolean {
    return this.#at(destination).some(({ request }) => request.length > bytes.length
      && Buffer.compare(request.subarray(0, bytes.length), bytes) === 0);
  }

  /** Whether a call that was used already is this very request, to the byte or to its protocol. */
  repeats(destination: string, request: Uint8Array): boolean {
    return this.calls.some((call) => !this.#unused.has(call) && call.destination === destination
      && (Buffer.compare(call.request, request) === 0 || this.#judge.equal(call.request, request, call.protocol)));
  }

  use(call: RecordedCall): void {
    this.#unused.delete(call);
  }

  #at(destination: string): RecordedCall[] {
    return [...this.#unused].filter((call) => call.destination === destination);
  }
}
