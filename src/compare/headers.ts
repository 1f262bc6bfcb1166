/**
 * Headers against headers: by name in any case and order; several of one name as a list in theirs. What differs by nature is
 * noise, by the tables here and nothing else. Not in them, on purpose: ETag and Last-Modified (a client that sees another one
 * fetches again), Server, Content-Type, Cache-Control, Location, Set-Cookie.
 */
import { keyed } from './difference.ts';
import type { Differences } from './difference.ts';
import type { Header } from '../protocols/http-message.ts';
import type { Json } from './json.ts';

/** Header to the reason why it differs between two right answers. */
export const VOLATILE: ReadonlyMap<string, string> = new Map([
  ['date', 'time of the message (RFC 9110 §6.6.1)'],
  ['age', 'seconds in a cache (RFC 9111 §5.1)'],
  // About the connection and the framing, not the message; the body is compared decoded.
  ...['connection', 'keep-alive', 'proxy-connection'].map((name) => [name, 'about the connection'] as const),
  ...['transfer-encoding', 'content-length'].map((name) => [name, 'how the body is framed'] as const),
  ...['server-timing', 'x-runtime', 'x-response-time', 'x-envoy-upstream-service-time'].map((name) => [name, 'a measured duration'] as const),
  ...[
    'x-request-id', 'x-correlation-id', 'request-id', 'x-trace-id', 'x-amzn-requestid', 'x-amz-request-id', 'x-amz-id-2', 'x-amzn-trace-id',
    'x-cloud-trace-context', 'traceparent', 'tracestate', 'b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'uber-trace-id',
    'x-datadog-trace-id', 'x-datadog-parent-id', 'sentry-trace', 'cf-ray',
  ].map((name) => [name, 'an id made for each request'] as const),
]);

export interface HeaderRules {
  /** Content-Length says something that the body can't: there is none (HEAD, 304). */
  readonly lengthMatters: boolean;
}

function byName(headers: readonly Header[]): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const values = names.get(name);
    if (values === undefined) names.set(name, [value]);
    else values.push(value);
  }
  return names;
}

export function compareHeaders(path: string, recorded: readonly Header[], live: readonly Header[], rules: HeaderRules, out: Differences): void {
  const a = byName(recorded);
  const b = byName(live);
  const dates = [dateOf(a, 'date'), dateOf(b, 'date')] as const;
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const before = a.get(name);
    const after = b.get(name);
    const place = path + keyed(name);
    if (name === 'set-cookie' && before !== undefined && after !== undefined) {
      compareCookies(place, before, after, dates, out);
      continue;
    }
    const one = before?.join(', ');
    const two = after?.join(', ');
    if (one === two || (name === 'content-type' && sameType(one, two))) continue;
    const volatile = rules.lengthMatters && name === 'content-length' ? undefined : VOLATILE.get(name) ?? relative(name, one, two, dates);
    if (volatile !== undefined) out.ignore(place, volatile);
    else out.value(place, one, two);
  }
}

/** The headers of a request as a value: what is volatile and the order of the names left out. */
export function headersModel(headers: readonly Header[]): Json {
  const values: Record<string, string> = {};
  for (const [name, all] of byName(headers)) {
    if (!VOLATILE.has(name)) values[name] = name === 'content-type' ? withoutBoundary(all.join(', ')) : all.join(', ');
  }
  return values;
}

type Dates = readonly [number, number];
const dateOf = (headers: ReadonlyMap<string, string[]>, name: string): number => Date.parse(headers.get(name)?.[0] ?? '');

/** Clocks are read twice and cut to seconds. */
const toleranceMs = 1000;
const closeTo = (a: number, b: number): boolean => Math.abs(a - b) <= toleranceMs;

/** Times that are given from now: as far from Date on both sides. */
function relative(name: string, recorded: string | undefined, live: string | undefined, [before, after]: Dates): string | undefined {
  if ((name !== 'expires' && name !== 'last-modified') || recorded === undefined || live === undefined) return undefined;
  const one = Date.parse(recorded) - before;
  const two = Date.parse(live) - after;
  if (name === 'expires') return closeTo(one, two) ? 'as long after Date as recorded' : undefined;
  return closeTo(one, 0) && closeTo(two, 0) ? 'made at the time of Date, as recorded' : undefined;
}

/** A multipart boundary is made up for each message. */
function sameType(recorded: string | undefined, live: string | undefined): boolean {
  return recorded !== undefined && live !== undefined && withoutBoundary(recorded) === withoutBoundary(live);
}

const withoutBoundary = (type: string): string => (/^multipart\//i.test(type) ? type.replace(/;\s*boundary=("[^"]*"|[^;]*)/i, '') : type);

interface Cookie { readonly value: string; readonly attributes: string; readonly expires: number }

function cookies(values: readonly string[]): Map<string, Cookie> {
  const found = new Map<string, Cookie>();
  for (const text of values) {
    const [pair = '', ...attributes] = text.split(';').map((part) => part.trim());
    const equals = pair.indexOf('=');
    const expires = attributes.find((part) => /^expires=/i.test(part));
    let name = equals < 0 ? pair : pair.slice(0, equals);
    while (found.has(name)) name += '+'; // the same cookie set twice: first with first, second with second
    found.set(name, {
      value: pair.slice(equals + 1),
      attributes: attributes.filter((part) => part !== expires).map((part) => part.replace(/^[^=]*/, (key) => key.toLowerCase())).sort().join('; '),
      expires: expires === undefined ? NaN : Date.parse(expires.slice(8)),
    });
  }
  return found;
}

function compareCookies(path: string, recorded: readonly string[], live: readonly string[], [before, after]: Dates, out: Differences): void {
  const a = cookies(recorded);
  const b = cookies(live);
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const one = a.get(name);
    const two = b.get(name);
    const place = path + keyed(name);
    if (one === undefined || two === undefined) {
      out.value(place, one?.value, two?.value);
      continue;
    }
    out.value(place, one.value, two.value);
    out.value(`${place}.attributes`, one.attributes, two.attributes);
    if (one.expires === two.expires || (Number.isNaN(one.expires) && Number.isNaN(two.expires))) continue;
    if (closeTo(one.expires - before, two.expires - after)) out.ignore(`${place}.expires`, 'as long after Date as recorded');
    else out.value(`${place}.expires`, iso(one.expires), iso(two.expires));
  }
}

const iso = (ms: number): string | undefined => (Number.isNaN(ms) ? undefined : new Date(ms).toISOString());
