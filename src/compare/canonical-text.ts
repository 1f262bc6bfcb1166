/** JSON values as texts that are the same for the same value, and what differs between two of the same shape. */
import { Decimal } from './decimal.ts';
import type { Json } from './json.ts';

/** Text of a value: the same for the same value, however its objects are ordered. `scalar` may stand something else for a text or number. */
export function canonicalText(value: Json, scalar: (text: string) => string = (text) => text): string {
  if (typeof value === 'string') return JSON.stringify(scalar(value));
  if (typeof value === 'number') return `n${scalar(String(value))}`;
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof Decimal) return `n${scalar(value.canonical)}`;
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map((item) => canonicalText(item, scalar)).join(',')}]`;
  const object = value as { readonly [key: string]: Json };
  return `{${Object.keys(object).sort().map((key) => `${JSON.stringify(key)}:${canonicalText(object[key]!, scalar)}`).join(',')}}`;
}

/** Calls `seen` with each pair of texts or numbers that differ at the same place of two values of the same shape. */
export function differingScalars(a: Json, b: Json, seen: (a: string, b: string) => void): void {
  if (a instanceof Decimal || b instanceof Decimal || typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    const [one, two] = [textOf(a), textOf(b)];
    if (one !== two) seen(one, two);
  } else if (Array.isArray(a)) {
    (a as readonly Json[]).forEach((item, at) => { differingScalars(item, (b as readonly Json[])[at] ?? null, seen); });
  } else {
    for (const [key, item] of Object.entries(a)) differingScalars(item as Json, (b as { readonly [key: string]: Json })[key] ?? null, seen);
  }
}

const textOf = (value: Json): string => (value instanceof Decimal ? value.text : String(value as string | number | boolean | null));
