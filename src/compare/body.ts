/** A body against a body, by what they are: JSON, a form, text, or bytes. */
import { asText, compareBytes, sameBytes } from './bytes.ts';
import { keyed } from './difference.ts';
import type { Differences } from './difference.ts';
import { compareJson, parseJson } from './json.ts';
import type { Json } from './json.ts';
import { compareLines } from './lines.ts';

/** Bodies beyond this are compared as bytes. */
export const maxParsedBytes = 64 << 20;

export interface Body {
  readonly bytes: Uint8Array;
  readonly type: string | undefined;
}

/** JSON is compared as JSON only where both are, and where it differs as a text but not as a value it is the same. */
export function compareBody(path: string, recorded: Body, live: Body, out: Differences): void {
  const { bytes: a } = recorded;
  const { bytes: b } = live;
  if (sameBytes(a, b)) return;
  if (a.length === 0 || b.length === 0 || a.length > maxParsedBytes || b.length > maxParsedBytes) {
    compareBytes(path, a, b, out);
    return;
  }
  const one = textOf(recorded);
  const two = textOf(live);
  if (one === undefined || two === undefined) {
    compareBytes(path, a, b, out);
    return;
  }
  if (one === two) return;
  if (looksLikeJson(recorded.type, one) && looksLikeJson(live.type, two)) {
    const before = parseJson(one);
    const after = parseJson(two);
    if (before !== undefined && after !== undefined) {
      compareJson(`${path}.$`, before, after, out);
      return;
    }
  }
  if (isForm(recorded.type) && isForm(live.type)) comparePairs(`${path}.form`, one, two, out);
  else compareLines(path, one, two, out);
}

/** A body as a value: equal for two bodies exactly where `compareBody` finds nothing. */
export function bodyModel(body: Body): Json {
  if (body.bytes.length === 0) return null;
  const text = body.bytes.length > maxParsedBytes ? undefined : textOf(body);
  if (text === undefined) return { base64: Buffer.from(body.bytes).toString('base64') };
  const json = looksLikeJson(body.type, text) ? parseJson(text) : undefined;
  if (json !== undefined) return { json };
  return isForm(body.type) ? { form: pairsModel(text) } : { text };
}

/** Multipart boundaries are made up for each message: the same word stands for both. */
function textOf({ bytes, type }: Body): string | undefined {
  const text = asText(bytes);
  const boundary = /^multipart\/.*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type ?? '');
  return boundary === null ? text : text?.replaceAll(`--${boundary[1] ?? boundary[2]}`, '--boundary');
}

const looksLikeJson = (type: string | undefined, text: string): boolean => /[/+]json\b/i.test(type ?? '') || /^\s*[[{]/.test(text);
const isForm = (type: string | undefined): boolean => /^application\/x-www-form-urlencoded\b/i.test(type ?? '');

/** `a=1&b=2` as a value, the order of the names left out. */
export function pairsModel(text: string): Json {
  if (text === '') return {};
  const pairs = new URLSearchParams(text);
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    if (name.includes('\ufffd') || value.includes('\ufffd')) return text;
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  return Object.fromEntries(values);
}

/** `a=1&b=2`: by name, whatever the order of the names; several values of one name in theirs. */
export function comparePairs(path: string, recorded: string, live: string, out: Differences): void {
  const a = new URLSearchParams(recorded);
  const b = new URLSearchParams(live);
  if ([...a, ...b].flat().some((word) => word.includes('\ufffd'))) { // bytes that are no UTF-8 all decode to the same
    out.value(path, recorded, live);
    return;
  }
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const one = a.getAll(name);
    const two = b.getAll(name);
    for (let at = 0; at < Math.max(one.length, two.length); at++) out.value(`${path}${keyed(name)}${one.length + two.length > 2 ? `[${at}]` : ''}`, one[at], two[at]);
  }
}
