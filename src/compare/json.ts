/**
 * JSON against JSON. Numbers are compared as the decimals they are written as, so 9007199254740993 is not …992; objects
 * by key whatever their order. A text whose objects name a key twice is not compared as JSON: readers disagree on what it says.
 */
import { isSafeNumber, parse as parseLossless } from 'lossless-json';
import { keyed } from './difference.ts';
import { canonicalText } from './canonical-text.ts';
import { Decimal } from './decimal.ts';
import type { Differences, ListRule } from './difference.ts';

/** Nesting beyond this is compared as text: the stack is not endless. */
export const maxDepth = 512;

export type Json = null | boolean | number | string | Decimal | readonly Json[] | { readonly [key: string]: Json };

/** The value of a JSON text; undefined when it is none, nests too deep, or names a key of an object twice. */
export function parseJson(text: string): Json | undefined {
  const seen = survey(text);
  if (seen.depth > maxDepth) return undefined;
  try {
    const value = (seen.exactNumbers ? JSON.parse(text) : parseLossless(text, undefined, (number) => (isSafeNumber(number) ? Number(number) : new Decimal(number)))) as Json;
    return keys(value) === seen.keys ? value : undefined;
  } catch {
    return undefined;
  }
}

/** One pass outside of strings: how many keys, how deep, and whether every number surely fits a double (≤15 digits, small exponent). */
function survey(text: string): { keys: number; depth: number; exactNumbers: boolean } {
  let keyCount = 0;
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === 92) at++;
      else if (char === 34) inString = false;
    } else if (char === 34) inString = true;
    else if (char === 58) keyCount++;
    else if (char === 91 || char === 123) deepest = Math.max(deepest, ++depth);
    else if (char === 93 || char === 125) depth--;
  }
  return { keys: keyCount, depth: deepest, exactNumbers: !/[\d.]{16}|[eE][+-]?\d{3}/.test(text) };
}

const isObject = (value: Json): value is { readonly [key: string]: Json } => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Decimal);
const isArray = (value: Json): value is readonly Json[] => Array.isArray(value);

function keys(value: Json): number {
  if (typeof value !== 'object' || value === null || value instanceof Decimal) return 0;
  let count = 0;
  if (isArray(value)) for (const item of value) count += keys(item);
  else {
    for (const name in value) count += 1 + keys((value as { readonly [key: string]: Json })[name]!);
  }
  return count;
}

/** Differences below `path`. An array that grew or shrank is aligned by its equal ends. */
export function compareJson(path: string, recorded: Json, live: Json, out: Differences): void {
  if (isArray(recorded) && isArray(live)) {
    const rule = out.listRule(path);
    if (rule === undefined) compareArrays(path, recorded, live, out);
    else compareByRule(path, recorded, live, rule, out);
  } else if (isObject(recorded) && isObject(live)) {
    for (const key of Object.keys(recorded)) {
      if (Object.hasOwn(live, key)) compareJson(path + keyed(key), recorded[key]!, live[key]!, out);
      else out.add({ path: path + keyed(key), recorded: recorded[key], kind: 'removed' });
    }
    for (const key of Object.keys(live)) if (!Object.hasOwn(recorded, key)) out.add({ path: path + keyed(key), live: live[key], kind: 'added' });
  } else if (!sameScalar(recorded, live)) {
    out.add({ path, recorded, live, kind: typeOf(recorded) === typeOf(live) ? 'changed' : 'type' });
  }
}

function compareArrays(path: string, recorded: readonly Json[], live: readonly Json[], out: Differences): void {
  let head = 0;
  let tail = 0;
  if (recorded.length !== live.length) {
    const least = Math.min(recorded.length, live.length);
    while (head < least && sameJson(recorded[head]!, live[head]!)) head++;
    while (tail < least - head && sameJson(recorded.at(-1 - tail)!, live.at(-1 - tail)!)) tail++;
  }
  const recordedEnd = recorded.length - tail;
  const liveEnd = live.length - tail;
  for (let at = head; at < Math.max(recordedEnd, liveEnd); at++) {
    const place = `${path}[${at}]`;
    if (at >= liveEnd) out.add({ path: place, recorded: recorded[at], kind: 'removed' });
    else if (at >= recordedEnd) out.add({ path: place, live: live[at], kind: 'added' });
    else compareJson(place, recorded[at]!, live[at]!, out);
  }
}

/** Items find each other by their key, or by being equal; what is left over was removed or added. A changed order is noise. */
function compareByRule(path: string, recorded: readonly Json[], live: readonly Json[], rule: ListRule, out: Differences): void {
  const identity = (item: Json): string | undefined => {
    if (rule === 'unordered') return canonicalText(item);
    const key = isObject(item) && Object.hasOwn(item, rule.key) ? item[rule.key] : undefined;
    return key === undefined ? undefined : canonicalText(key);
  };
  const waiting = new Map<string | undefined, number[]>();
  live.forEach((item, at) => {
    const key = identity(item);
    waiting.set(key, [...waiting.get(key) ?? [], at]);
  });
  let moved = false;
  recorded.forEach((item, at) => {
    const other = waiting.get(identity(item))?.shift();
    if (other === undefined) out.add({ path: `${path}[${at}]`, recorded: item, kind: 'removed' });
    else {
      moved ||= other !== at;
      compareJson(`${path}[${at}]`, item, live[other]!, out);
    }
  });
  for (const at of [...waiting.values()].flat().sort((a, b) => a - b)) out.add({ path: `${path}[${at}]`, live: live[at], kind: 'added' });
  if (moved && recorded.length === live.length) out.ignore(path, rule === 'unordered' ? 'a list in any order' : `a list by ${rule.key}`);
}

export function sameJson(a: Json, b: Json): boolean {
  if (isArray(a)) return isArray(b) && a.length === b.length && a.every((item, at) => sameJson(item, b[at]!));
  if (!isObject(a)) return sameScalar(a, b);
  if (!isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((key) => Object.hasOwn(b, key) && sameJson(a[key]!, b[key]!));
}

function sameScalar(a: Json, b: Json): boolean {
  if (a instanceof Decimal) return b instanceof Decimal && a.canonical === b.canonical;
  return a === b;
}

const typeOf = (value: Json): string => (value === null ? 'null' : isArray(value) ? 'array' : value instanceof Decimal ? 'number' : typeof value);
