/**
 * What differs between a recorded talk and a live one, and what of it is noise. Pure: bytes in, differences out; nothing
 * throws on input. Where a protocol can't read one of the two, they are compared as bytes: never silently the same.
 */
import type { ProtocolName } from '../protocols/protocol.ts';
import { compareBytes, sameBytes } from './bytes.ts';
import { canonicalText } from './canonical-text.ts';
import { requestModel } from './canonical.ts';
import { Differences } from './difference.ts';
import type { CompareOptions, Difference, Noise } from './difference.ts';
import * as fastcgi from './fastcgi.ts';
import * as http from './http.ts';
import * as mysql from './mysql.ts';
import * as postgresql from './postgresql.ts';
import * as redis from './redis.ts';

export { canonicalText, differingScalars } from './canonical-text.ts';
export { requestModel } from './canonical.ts';
export { isOfClock } from './drift-clock.ts';
export type { Moment } from './drift-clock.ts';
export { driftBetween, isTimeText, isWritten, kindsOf, maskedText, tokensOf } from './drift.ts';
export type { Clocks, Pair } from './drift.ts';
export { sameJson, type Json } from './json.ts';
export { maxDifferences } from './difference.ts';
export type { CompareOptions, Difference, Ignore, ListRule, Noise } from './difference.ts';
export { ASKED, isValue, NOISE_FORMAT, NoiseRules, parseNoise } from './noise-rules.ts';
export type { NoiseFile, NoiseRule } from './noise-rules.ts';
export { generalPath } from './path-pattern.ts';
export { similarity } from './similarity.ts';

export interface TalkBytes {
  readonly request: Uint8Array;
  readonly response: Uint8Array;
}

export interface TalkComparison {
  readonly verdict: 'same' | 'different';
  readonly differences: readonly Difference[];
  /** Differences beyond `maxDifferences`, which are not listed. */
  readonly more: number;
  /** How many differences were noise, and which. */
  readonly ignored: number;
  readonly noise: readonly Noise[];
}

type Compare = (part: string, recorded: Uint8Array, live: Uint8Array, out: Differences) => boolean;
type CompareResponse = (part: string, recorded: Uint8Array, live: Uint8Array, out: Differences, request: Uint8Array) => boolean;

const BY_PROTOCOL: Readonly<Record<string, { readonly request: Compare; readonly response: CompareResponse }>> = {
  http: { request: http.compareRequests, response: (part, recorded, live, out, request) => http.compareResponses(part, recorded, live, http.methodOf(request), out) },
  redis: { request: redis.compareRequests, response: redis.compareResponses },
  postgresql: { request: postgresql.compareRequests, response: postgresql.compareResponses },
  mysql: { request: mysql.compareRequests, response: mysql.compareResponses },
  fastcgi: { request: fastcgi.compareRequests, response: fastcgi.compareResponses },
};

function compareRequest(recorded: Uint8Array, live: Uint8Array, protocol: ProtocolName, out: Differences): void {
  if (sameBytes(recorded, live)) return;
  const known = Object.hasOwn(BY_PROTOCOL, protocol) ? BY_PROTOCOL[protocol] : undefined;
  if (known?.request('request', recorded, live, out) !== true) compareBytes('request', recorded, live, out);
}

/** Request against request and answer against answer. Paths begin with `request` or `response`; `calls[3].` is the caller's to put before. */
export function compareTalk(recorded: TalkBytes, live: TalkBytes, protocol: ProtocolName, options: CompareOptions = {}): TalkComparison {
  const out = new Differences(options);
  compareRequest(recorded.request, live.request, protocol, out);
  if (!sameBytes(recorded.response, live.response)) {
    const known = Object.hasOwn(BY_PROTOCOL, protocol) ? BY_PROTOCOL[protocol] : undefined;
    if (known?.response('response', recorded.response, live.response, out, recorded.request) !== true) compareBytes('response', recorded.response, live.response, out);
  }
  const { found, noise, more } = out;
  return { verdict: found.length === 0 ? 'same' : 'different', differences: found, more, ignored: noise.length, noise };
}

/** Whether two requests ask the same: equal bytes, or nothing differs but noise. */
export function equalByProtocol(recorded: Uint8Array, live: Uint8Array, protocol: ProtocolName): boolean {
  return sameBytes(recorded, live) || canonicalText(requestModel(recorded, protocol)) === canonicalText(requestModel(live, protocol));
}
