/** Whole RESP values out of the bytes of one talk. Stops at what it can't read and says how far it came; never throws. */
import { latin1Text } from './ascii.ts';

export type RespValue =
  | { readonly type: 'simple' | 'error' | 'number' | 'double' | 'boolean'; readonly text: string }
  | { readonly type: 'null' }
  | { readonly type: 'string'; readonly bytes: Uint8Array }
  | { readonly type: 'array' | 'set' | 'push'; readonly items: readonly RespValue[] }
  | { readonly type: 'map'; readonly entries: readonly (readonly [RespValue, RespValue])[] };

/** Nesting beyond this is not read: RESP is shallow, and the stack is not endless. */
export const maxDepth = 64;

interface Line { readonly text: string; readonly end: number }

function lineAt(bytes: Uint8Array, from: number): Line | undefined {
  const end = bytes.indexOf(10, from);
  if (end < 0) return undefined;
  return { text: latin1Text(bytes, from, end > from && bytes[end - 1] === 13 ? end - 1 : end), end: end + 1 };
}

const count = (line: Line): number | undefined => (/^.-?\d{1,15}$/.test(line.text) ? Number(line.text.slice(1)) : undefined);

interface Read { readonly value: RespValue; readonly end: number }

function valueAt(bytes: Uint8Array, from: number, depth: number): Read | undefined {
  const line = lineAt(bytes, from);
  if (line === undefined || depth > maxDepth) return undefined;
  const type = line.text[0];
  const rest = line.text.slice(1);
  switch (type) {
    case '+': return { value: { type: 'simple', text: utf8(rest) }, end: line.end };
    case '-': return { value: { type: 'error', text: utf8(rest) }, end: line.end };
    case ':': case '(': return { value: { type: 'number', text: rest }, end: line.end };
    case ',': return { value: { type: 'double', text: rest }, end: line.end };
    case '#': return { value: { type: 'boolean', text: rest }, end: line.end };
    case '_': return { value: { type: 'null' }, end: line.end };
    case '$': case '=': case '!': {
      const length = count(line);
      if (length === undefined) return undefined;
      if (length < 0) return { value: { type: 'null' }, end: line.end };
      if (bytes[line.end + length] !== 13 || bytes[line.end + length + 1] !== 10) return undefined; // also when it is cut off
      const content = bytes.subarray(line.end, line.end + length);
      const value: RespValue = type === '!' ? { type: 'error', text: Buffer.from(content).toString() } : { type: 'string', bytes: content };
      return { value, end: line.end + length + 2 };
    }
    case '*': case '~': case '>': case '%': case '|': {
      const length = count(line);
      if (length === undefined) return undefined;
      if (length < 0) return { value: { type: 'null' }, end: line.end };
      return aggregateAt(bytes, line.end, type, length, depth);
    }
    default: return undefined;
  }
}

function aggregateAt(bytes: Uint8Array, from: number, type: string, length: number, depth: number): Read | undefined {
  const pairs = type === '%' || type === '|';
  const items: RespValue[] = [];
  let end = from;
  for (let at = 0; at < length * (pairs ? 2 : 1); at++) {
    const item = valueAt(bytes, end, depth + 1);
    if (item === undefined) return undefined;
    items.push(item.value);
    end = item.end;
  }
  if (type === '|') return valueAt(bytes, end, depth + 1); // attributes describe the value after them
  if (!pairs) return { value: { type: type === '~' ? 'set' : type === '>' ? 'push' : 'array', items }, end };
  const entries = Array.from({ length }, (_, at) => [items[at * 2]!, items[at * 2 + 1]!] as const);
  return { value: { type: 'map', entries }, end };
}

const utf8 = (text: string): string => Buffer.from(text, 'latin1').toString();

/** Up to `most` replies. `whole`: nothing was left over. */
export function readReplies(bytes: Uint8Array, most = Infinity): { replies: RespValue[]; whole: boolean } {
  const replies: RespValue[] = [];
  let end = 0;
  while (end < bytes.length && replies.length < most) {
    const read = valueAt(bytes, end, 0);
    if (read === undefined) break;
    replies.push(read.value);
    end = read.end;
  }
  return { replies, whole: end === bytes.length };
}

/** Up to `most` commands, each as its arguments; inline commands too. `whole`: nothing was left over. */
export function readCommands(bytes: Uint8Array, most = Infinity): { commands: Uint8Array[][]; whole: boolean } {
  const commands: Uint8Array[][] = [];
  let end = 0;
  while (end < bytes.length && commands.length < most) {
    if (bytes[end] === 0x2a) {
      const read = valueAt(bytes, end, 0);
      if (read === undefined) break;
      end = read.end;
      if (read.value.type !== 'array') continue;
      const command = read.value.items.flatMap((item) => (item.type === 'string' ? [item.bytes] : []));
      if (command.length !== read.value.items.length) break;
      if (command.length > 0) commands.push(command);
    } else {
      const line = lineAt(bytes, end);
      if (line === undefined) break;
      end = line.end;
      const inline = line.text.trim().split(/\s+/).filter((word) => word !== '');
      if (inline.length > 0) commands.push(inline.map((word) => new Uint8Array(Buffer.from(word, 'latin1'))));
    }
  }
  return { commands, whole: end === bytes.length };
}
