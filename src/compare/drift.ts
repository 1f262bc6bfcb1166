/**
 * Values that a service makes itself and never makes twice: ids, clocks, salts, tokens. Two requests that differ only in such
 * values, each of the same kind at the same place, are the same request. The shape alone proves little (an id can be a
 * parameter), so a pair is looked at twice: by shape, which an index can be made of, and by what random values and clocks do.
 */
import { timeOf } from './drift-time.ts';

export type DriftKind = 'uuid' | 'ulid' | 'jwt' | 'password hash' | 'hex token' | 'base64 token' | 'time';

interface Token {
  readonly kind: DriftKind;
  readonly from: number;
  readonly to: number;
  /** What of its shape two of them share: length, letter case, how a time is written. */
  readonly shape: string;
}

/** Texts longer than this are searched up to here. */
const maxSearched = 1 << 20;

const STRUCTURED = new RegExp([
  String.raw`(\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*)`,
  String.raw`(\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$(?:v=\d+\$)?[a-z0-9=,]+\$[A-Za-z0-9+/]{8,}\$[A-Za-z0-9+/]{16,}|\$[156]\$(?:rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{22,}|\b(?:pbkdf2|scrypt)[_a-z0-9]*[$:][\d$:]+[$:]?[A-Za-z0-9+/=]{6,}\$[A-Za-z0-9+/=]{20,})`,
  String.raw`((?<![0-9A-Za-z])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![0-9A-Za-z]))`,
  String.raw`((?<!\d)\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?(?!\d))?)?(?!\d))`,
  String.raw`(\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT)`,
  String.raw`((?<![\w.])\d{10}(?:\.\d{1,9})?(?![\w.])|(?<![\w.])(?:\d{13}|\d{16}|\d{19})(?:\.\d{1,9})?(?![\w.]))`,
  String.raw`((?<![0-9A-Za-z])(?:0x|\\x)?(?:[0-9a-f]{16,}|[0-9A-F]{16,})(?![0-9A-Za-z]))`,
  String.raw`((?<![0-9A-Za-z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Za-z]))`,
].join('|'), 'g');
const GROUPS = ['jwt', 'hash', 'uuid', 'date', 'http', 'epoch', 'hex', 'ulid'] as const;

/** What none of these fits: most texts, told at a fraction of what all the others cost. */
const MAY_HOLD = /[\w+/.=-]{15}|\d{10}|\d{4}-\d\d-\d\d|GMT/;

/** Tried on what the others leave: its characters are those of ordinary words. */
const BASE64 = /[A-Za-z0-9+/_-]{16,}={0,2}/g;

const KINDS: Readonly<Record<(typeof GROUPS)[number], DriftKind>> = { jwt: 'jwt', hash: 'password hash', uuid: 'uuid', date: 'time', http: 'time', epoch: 'time', hex: 'hex token', ulid: 'ulid' };

const NONE: readonly Token[] = [];

/** The values in `text` that a service could have made itself, in order, none overlapping. */
function find(text: string): readonly Token[] {
  if (text.length < 10 || !/\d/.test(text) || !MAY_HOLD.test(text)) return NONE;
  const searched = text.length > maxSearched ? text.slice(0, maxSearched) : text;
  const found: Token[] = [];
  let after = 0;
  STRUCTURED.lastIndex = 0;
  for (let match = STRUCTURED.exec(searched); match !== null; match = STRUCTURED.exec(searched)) {
    const token = structured(groupOf(match), match[0], match.index);
    if (token === undefined) continue;
    findBase64(searched, after, token.from, found);
    found.push(token);
    after = token.to;
  }
  findBase64(searched, after, searched.length, found);
  return found;
}

function groupOf(match: RegExpExecArray): (typeof GROUPS)[number] {
  for (let at = 0; at < GROUPS.length; at += 1) if (match[at + 1] !== undefined) return GROUPS[at]!;
  return 'hex';
}

function structured(group: (typeof GROUPS)[number], value: string, from: number): Token | undefined {
  const kind = KINDS[group];
  const to = from + value.length;
  if (group === 'date' || group === 'http' || group === 'epoch') {
    const form = timeOf(value)?.form;
    return form === undefined ? undefined : { kind, from, to, shape: form };
  }
  if (group === 'hex') return isBinary(value) || (/[a-f]/i.test(value.slice(2)) && /\d/.test(value)) ? { kind, from, to, shape: `${value.length}` } : undefined;
  if (group === 'ulid' && !/[A-Z]/.test(value)) return undefined;
  return { kind, from, to, shape: group === 'jwt' ? '' : group === 'hash' ? value.slice(0, 4) : /[A-F]/.test(value) ? 'upper' : 'lower' };
}

/** Binary values are written in hexadecimal by `compare/`: they may consist of any digits. */
const isBinary = (value: string): boolean => value.startsWith('\\x');

function findBase64(text: string, from: number, to: number, found: Token[]): void {
  if (to - from < 16) return;
  const add = (value: string, at: number): void => {
    if (looksRandom(value)) found.push({ kind: 'base64 token', from: at, to: at + value.length, shape: `${value.length}` });
  };
  for (const match of text.slice(from, to).matchAll(BASE64)) {
    if (!PATH.test(match[0])) add(match[0], from + match.index);
    else for (const part of match[0].matchAll(SEGMENT)) add(part[0], from + match.index + part.index);
  }
}

/** A slash is a character of base64, and what parts a path: one that begins with it, or has a plain word or number between two. */
const PATH = /^\/|(?:^|\/)(?:[a-z]{2,}|\d+)(?:\/|$)/;
const SEGMENT = /[A-Za-z0-9+_-]{16,}={0,2}/g;

const classOf = (code: number): number => (code >= 97 ? 1 : code >= 65 ? 2 : code >= 48 && code <= 57 ? 3 : 4);

/** Random characters change between small letters, capitals and digits all the time (0.64 of them); words and camelCase seldom (≤0.3). */
function looksRandom(value: string): boolean {
  let changes = 0;
  let classes = 0;
  let before = 0;
  for (let at = 0; at < value.length; at++) {
    const now = classOf(value.charCodeAt(at));
    if (now !== before && at > 0) changes += 1;
    classes |= 1 << now;
    before = now;
  }
  return (classes & 0b1110) === 0b1110 && changes >= value.length * 0.42;
}

/** The text with every such value replaced by its kind and shape: equal for two texts that could differ by drift only. `seen`: told each of these values. */
export function maskedText(text: string, seen?: (value: string) => void): string {
  const tokens = find(text);
  if (tokens.length === 0) return text;
  let masked = '';
  let after = 0;
  for (const { kind, from, to, shape } of tokens) {
    masked += `${text.slice(after, from)}\0${kind} ${shape}\0`;
    seen?.(text.slice(from, to));
    after = to;
  }
  return masked + text.slice(after);
}

/** The values themselves. */
export const tokensOf = (text: string): string[] => find(text).map(({ from, to }) => text.slice(from, to));

/** The kinds of value in which two texts differ, each once; undefined when they differ in anything else. */
export function kindsOf(recorded: string, live: string): DriftKind[] | undefined {
  if (maskedText(recorded) !== maskedText(live)) return undefined;
  const [a, b] = [find(recorded), find(live)];
  const kinds = a.flatMap((token, at) => {
    const other = b[at];
    return other !== undefined && recorded.slice(token.from, token.to) !== live.slice(other.from, other.to) ? [token.kind] : [];
  });
  return [...new Set(kinds)];
}

/** When a session ran by the service's clock, ms since 1970: as recorded, and now. */
export interface Clocks {
  readonly recordedMs: number;
  readonly liveMs: number;
}

export interface Pair {
  readonly kind: DriftKind;
  readonly recorded: string;
  readonly live: string;
}

/**
 * The values in which two texts of one mask differ, when each of them is what its kind is: random ones have next to nothing in
 * common, clocks are as far from their now as recorded. Undefined when one is not: then it is a parameter, and the call another one.
 */
export function driftBetween(recorded: string, live: string, clocks: Clocks): Pair[] | undefined {
  const [a, b] = [find(recorded), find(live)];
  if (a.length !== b.length) return undefined;
  const pairs: Pair[] = [];
  for (const [at, token] of a.entries()) {
    const other = b[at]!;
    const pair = { kind: token.kind, recorded: recorded.slice(token.from, token.to), live: live.slice(other.from, other.to) };
    if (pair.recorded === pair.live) continue;
    if (!isPlausible(pair, clocks)) return undefined;
    pairs.push(pair);
  }
  return pairs;
}

/** Least share of characters in which two random values of a kind differ; chance makes 15/16 of hexadecimal and 63/64 of base64 differ. */
const RANDOM_SHARE = 0.6;
/** A UUID's version and, in some versions, its time and machine are the same: of its 32 digits this many differ at least. */
const UUID_DIGITS = 5;

function isPlausible({ kind, recorded, live }: Pair, clocks: Clocks): boolean {
  switch (kind) {
    case 'time': return agrees(recorded, live, clocks);
    case 'uuid': return differing(recorded, live) >= UUID_DIGITS;
    case 'ulid': return differing(recorded.slice(10), live.slice(10)) >= 16 * RANDOM_SHARE;
    // Eight binary bytes are a number, or PostgreSQL's time.
    case 'hex token': {
      // Two words differ in as many digits as random bytes do, but these are no words.
      const [one, two] = [wordsOf(recorded), wordsOf(live)];
      if (one !== undefined && two !== undefined) return sameButDrift(one, two, clocks);
      return isBinary(recorded) && recorded.length === 18 ? agrees(recorded, live, clocks) : differing(recorded, live) >= recorded.length * RANDOM_SHARE;
    }
    case 'base64 token': {
      const [one, two] = [encodedText(recorded), encodedText(live)];
      if (one !== undefined && two !== undefined) return sameButDrift(one, two, clocks);
      return differing(recorded, live) >= recorded.replace(/=+$/, '').length * RANDOM_SHARE;
    }
    case 'password hash': return recorded.slice(0, recorded.indexOf('$', 4)) === live.slice(0, live.indexOf('$', 4));
    case 'jwt': return sameClaims(recorded, live, clocks);
  }
}

/** The text that a binary value is, where it consists of printable ASCII. */
function wordsOf(value: string): string | undefined {
  const text = isBinary(value) ? Buffer.from(value.slice(2), 'hex').toString('latin1') : '';
  return text !== '' && /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

/** The text that a base64 value is, where that is printable ASCII: random bytes that long never are. */
function encodedText(value: string): string | undefined {
  const text = Buffer.from(value, 'base64').toString('latin1');
  return /^[\x20-\x7e\s]+$/.test(text) ? text : undefined;
}

/** Base64 longer than this is content, whatever it looks like. */
const MAX_TOKEN_CHARS = 512;

/** Whether the value is content that somebody wrote and encoded, and no random one. */
export const isWritten = ({ kind, recorded }: Pair): boolean => kind === 'base64 token' && recorded.length > MAX_TOKEN_CHARS;

function differing(a: string, b: string): number {
  let count = Math.abs(a.length - b.length);
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a.charCodeAt(at) !== b.charCodeAt(at)) count += 1;
  return count;
}

const toleranceMs = 30_000;

/** As far from now as recorded, but for how coarsely it is written. */
function agrees(recorded: string, live: string, { recordedMs, liveMs }: Clocks): boolean {
  const [one, two] = [timeOf(recorded), timeOf(live)];
  if (one === undefined || two === undefined) return false;
  const tolerance = Math.max(toleranceMs, Math.max(one.grainMs, two.grainMs) + 1000);
  const moved = two.atMs - one.atMs;
  return Math.abs(moved - (liveMs - recordedMs)) <= tolerance;
}

/** The same header, and claims that are equal but for drift; the signature follows from them. */
function sameClaims(recorded: string, live: string, clocks: Clocks): boolean {
  const [head, claims] = recorded.split('.');
  const [liveHead, liveClaims] = live.split('.');
  if (head !== liveHead) return false;
  const read = (part: string | undefined): string => Buffer.from(part ?? '', 'base64url').toString();
  return sameButDrift(read(claims), read(liveClaims), clocks);
}

const sameButDrift = (recorded: string, live: string, clocks: Clocks): boolean =>
  recorded === live || (maskedText(recorded) === maskedText(live) && driftBetween(recorded, live, clocks) !== undefined);

/** Whether the whole text is a time. */
export const isTimeText = (text: string): boolean => timeOf(text) !== undefined;
