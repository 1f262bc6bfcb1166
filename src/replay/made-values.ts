/**
 * Which values of a session the service made itself, and what became of each when it was played. A value that came in with the
 * request or with an earlier answer was passed on, not made: a call with another one is another call. And a value once made
 * stays what it is: what was recorded under one id is not answered under two.
 */
import { tokensOf, type Pair } from '../compare/index.ts';
import type { RecordedCall } from './calls.ts';

/** So much of an answer is searched for values. */
const MAX_SEARCHED_BYTES = 1 << 20;

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, MAX_SEARCHED_BYTES)).toString('latin1');

export class MadeValues {
  readonly #requests: readonly Uint8Array[];
  readonly #calls: readonly RecordedCall[];
  /** Values of the request and of answers, to the index of the first call that could know them. Made when first asked for. */
  #givenBefore: Map<string, number> | undefined;
  readonly #liveOf = new Map<string, string>();
  readonly #recordedOf = new Map<string, string>();

  /** `requests`: what came in. `calls` in recorded order. */
  constructor(requests: readonly Uint8Array[], calls: readonly RecordedCall[]) {
    this.#requests = requests;
    this.#calls = calls;
  }

  /** Whether each pair is a value made by the service when it made call `index`, and none contradicts what is known. `again`: it is made once more, with others. */
  allows(pairs: readonly Pair[], index: number, again = false): boolean {
    return pairs.every(({ kind, recorded, live }) => {
      if (kind === 'time') return true;
      // A value just made stands in no recorded answer, early or late.
      if ((this.#given().get(plain(recorded)) ?? Infinity) <= index || this.#given().has(plain(live))) return false;
      return again || ((this.#liveOf.get(recorded) ?? live) === live && (this.#recordedOf.get(live) ?? recorded) === recorded);
    });
  }

  /** Whether it came in with the request. */
  isAsked(value: string): boolean {
    return this.#given().get(plain(value)) === 0;
  }

  learn(pairs: readonly Pair[]): void {
    for (const { kind, recorded, live } of pairs) {
      if (kind === 'time') continue;
      this.#liveOf.set(recorded, live);
      this.#recordedOf.set(live, recorded);
    }
  }

  /** Whether one of these live values is known. */
  knowsAny(made: readonly string[]): boolean {
    return made.some((value) => this.#recordedOf.has(value));
  }

  /** `text` with the recorded value in the place of each live one that is known. */
  asRecorded(text: string): string {
    if (this.#recordedOf.size === 0) return text;
    let known = text;
    for (const token of tokensOf(text)) {
      const recorded = this.#recordedOf.get(token);
      if (recorded !== undefined) known = known.replaceAll(token, recorded);
    }
    return known;
  }

  #given(): Map<string, number> {
    if (this.#givenBefore !== undefined) return this.#givenBefore;
    const given = new Map<string, number>();
    const add = (text: string, from: number): void => { for (const token of tokensOf(text).map(plain)) if (!given.has(token)) given.set(token, from); };
    for (const request of this.#requests) for (const text of [decoded(latin1(request)), latin1(request)]) add(text, 0);
    for (const { index, response } of this.#calls) add(latin1(response), index + 1);
    this.#givenBefore = given;
    return given;
  }
}

/** One form for the ways of writing a UUID: with hyphens, without, in capitals, as PostgreSQL's binary. Other values stay apart anyway. */
function plain(value: string): string {
  if (!/^(\\x|0x)?[0-9a-f-]+$/i.test(value)) return value;
  const digits = value.toLowerCase();
  return (digits.startsWith('\\x') || digits.startsWith('0x') ? digits.slice(2) : digits).replaceAll('-', '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
