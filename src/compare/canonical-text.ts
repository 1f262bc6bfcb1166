/** JSON values as texts that are the same for the same value, and what differs between two of the same shape. */
import { Decimal } from './decimal.ts';
import type { Json } from './json.ts';

/** Text of a value: the same for the same value, however its objects are ordered. `scalar` may stand something else for a text or number. */
export function canonicalText(value: Json, scalar?: (text: string) => string): string {
  const parts: string[] = [];
  write(value, scalar, parts);
  return parts.join('');
}

/** In pieces that are joined once: texts that are put together bit by bit are made flat again before they can be a key. */
function write(value: Json, scalar: ((text: string) => string) | undefined, parts: string[]): void {
  if (typeof value === 'string') parts.push(quoted(scalar === undefined ? value : scalar(value)));
  else if (typeof value === 'number') parts.push('n', scalar === undefined ? String(value) : scalar(String(value)));
  else if (value === null || typeof value === 'boolean') parts.push(String(value));
  else if (value instanceof Decimal) parts.push('n', scalar === undefined ? value.canonical : scalar(value.canonical));
  else if (Array.isArray(value)) {
    let before = '[';
    for (const item of value as readonly Json[]) {
      parts.push(before);
      write(item, scalar, parts);
      before = ',';
    }
    parts.push(before === '[' ? '[]' : ']');
  } else {
    const object = value as { readonly [key: string]: Json };
    let before = '{';
    for (const key of inOrder(Object.keys(object))) {
      parts.push(before, quoted(key), ':');
      write(object[key]!, scalar, parts);
      before = ',';
    }
    parts.push(before === '{' ? '{}' : '}');
  }
}

/** As in JSON; what needs no escape for its end to be told stands as it is, which costs a fraction. */
const quoted = (text: string): string => (text.includes('"') || text.includes('\\') ? JSON.stringify(text) : `"${text}"`);

/** Sorted, where they are not already. */
function inOrder(keys: string[]): string[] {
  for (let at = 1; at < keys.length; at += 1) if (keys[at - 1]! > keys[at]!) return keys.sort();
  return keys;
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
