/** Redis commands by their arguments, replies by their values. */
import { readCommands, readReplies } from '../protocols/redis-value.ts';
import type { RespValue } from '../protocols/redis-value.ts';
import { asText, compareBytes, sameBytes, shown } from './bytes.ts';
import type { Differences } from './difference.ts';
import { compareJson, parseJson } from './json.ts';
import type { Json } from './json.ts';

export function compareRequests(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const a = readCommands(recorded);
  const b = readCommands(live);
  if (!a.whole || !b.whole) return false;
  const single = a.commands.length === 1 && b.commands.length === 1;
  for (let at = 0; at < Math.max(a.commands.length, b.commands.length); at++) {
    const one = a.commands[at];
    const two = b.commands[at];
    const place = single ? part : `${part}.commands[${at}]`;
    if (one === undefined) out.add({ path: place, live: two!.map(shown), kind: 'added' });
    else if (two === undefined) out.add({ path: place, recorded: one.map(shown), kind: 'removed' });
    else compareArguments(`${place}.args`, one, two, out);
  }
  return true;
}

/** The commands as a value; undefined when they can't be read whole. */
export function requestModel(bytes: Uint8Array): Json | undefined {
  const { commands, whole } = readCommands(bytes);
  return whole && commands.length > 0 ? commands.map(([first, ...args]) => [name(first!), ...args.map(shown)]) : undefined;
}

function compareArguments(path: string, recorded: readonly Uint8Array[], live: readonly Uint8Array[], out: Differences): void {
  for (let at = 0; at < Math.max(recorded.length, live.length); at++) {
    const one = recorded[at];
    const two = live[at];
    const place = `${path}[${at}]`;
    if (one === undefined) out.add({ path: place, live: shown(two!), kind: 'added' });
    else if (two === undefined) out.add({ path: place, recorded: shown(one), kind: 'removed' });
    else if (at === 0) out.value(place, name(one), name(two));
    else compareValues(place, one, two, out);
  }
}

const name = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1').toUpperCase();

/** Redis stores bytes, so bytes must be equal; where both are JSON objects, what differs in them is said. */
function compareValues(path: string, recorded: Uint8Array, live: Uint8Array, out: Differences): void {
  if (sameBytes(recorded, live)) return;
  const [a, b] = [asText(recorded), asText(live)];
  if (a === undefined || b === undefined) {
    compareBytes(path, recorded, live, out);
    return;
  }
  const isJson = (text: string): boolean => /^\s*[[{]/.test(text);
  const before = isJson(a) && isJson(b) ? parseJson(a) : undefined;
  const after = before === undefined ? undefined : parseJson(b);
  const known = out.found.length + out.noise.length;
  if (before !== undefined && after !== undefined) compareJson(`${path}.$`, before, after, out);
  if (out.found.length + out.noise.length === known) out.value(path, a, b);
}

function plain(value: RespValue): Json {
  switch (value.type) {
    case 'null': return null;
    case 'simple': return { status: value.text };
    case 'number': case 'double': case 'boolean': case 'error': return { [value.type]: value.text };
    case 'string': return shown(value.bytes);
    case 'map': return { map: value.entries.map(([key, item]) => [plain(key), plain(item)]) };
    case 'array': return value.items.map(plain);
    default: return { [value.type]: value.items.map(plain) };
  }
}

export function compareResponses(part: string, recorded: Uint8Array, live: Uint8Array, out: Differences): boolean {
  const a = readReplies(recorded);
  const b = readReplies(live);
  if (!a.whole || !b.whole) return false;
  const single = a.replies.length === 1 && b.replies.length === 1;
  if (single) compareJson(`${part}.reply`, plain(a.replies[0]!), plain(b.replies[0]!), out);
  else compareJson(`${part}.replies`, a.replies.map(plain), b.replies.map(plain), out);
  return true;
}
