/**
 * Byte dialogues written down in Markdown. A `dialogue <protocol>` block holds one step a line, a `frames` block after it
 * what must come out. `docs/protocols.md` documents the notation.
 */
import type { Frame, Side } from '../../src/protocols/protocol.ts';

export type Step =
  | { readonly side: Side; readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly side: Side; readonly kind: 'gap'; readonly length: number }
  | { readonly side: Side; readonly kind: 'end' };

export interface Expected {
  readonly frames: readonly Frame[];
  /** What `unsureBecause` must say; undefined: the framer is still sure. */
  readonly unsure: string | undefined;
  /** `text` or `text → status`, one for each request with its response, in order; empty: not checked. */
  readonly talks: readonly string[];
}

export interface Dialogue {
  readonly file: string;
  readonly title: string;
  readonly protocol: string;
  readonly steps: readonly Step[];
  readonly expected: Expected;
}

const SIDES: Readonly<Record<string, Side>> = { C: 'client', S: 'server' };

export function readDialogues(file: string, markdown: string): Dialogue[] {
  const found: Dialogue[] = [];
  let title = '';
  const parts = markdown.split(/^(?=## |```dialogue )/m);
  for (const part of parts) {
    const heading = /^## (.*)$/m.exec(part);
    if (heading !== null) title = heading[1]!.trim();
    const block = /^```dialogue (\S+)\n([\s\S]*?)^```\n[\s\S]*?^```frames\n([\s\S]*?)^```/m.exec(part);
    if (block === null) {
      if (part.startsWith('```dialogue')) throw new Error(`${file}: ${title}: a dialogue without frames`);
      continue;
    }
    const { steps, lines } = readSteps(block[2]!, `${file}: ${title}`);
    found.push({ file, title, protocol: block[1]!, steps, expected: readExpected(block[3]!, lines, `${file}: ${title}`) });
  }
  return found;
}

type Lines = Record<Side, { readonly start: number; readonly end: number }[]>;

function readSteps(block: string, where: string): { steps: Step[]; lines: Lines } {
  const steps: Step[] = [];
  const lines: Lines = { client: [], server: [] };
  const offset = { client: 0, server: 0 };
  for (const line of block.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const match = /^([CS])(?: (gap) (\d+)| (end)|(\d*): ?(.*))$/.exec(line);
    if (match === null) throw new Error(`${where}: not a step: ${line}`);
    const side = SIDES[match[1]!]!;
    if (match[4] !== undefined) {
      steps.push({ side, kind: 'end' });
      continue;
    }
    const step: Step = match[2] === undefined
      ? { side, kind: 'bytes', bytes: unescape(match[6]!) }
      : { side, kind: 'gap', length: Number(match[3]) };
    const length = step.kind === 'bytes' ? step.bytes.length : step.length;
    steps.push(step);
    lines[side].push({ start: offset[side], end: offset[side] + length });
    offset[side] += length;
    if (match[5] !== undefined && match[5] !== '' && Number(match[5]) !== lines[side].length) throw new Error(`${where}: ${line} is step ${lines[side].length} of its side`);
  }
  return { steps, lines };
}

/** What a frame may be said to be, beside its role. */
const MARKS: Readonly<Record<string, Partial<Frame>>> = { '(setup)': { setup: true }, '(negotiates)': { setup: true, negotiates: true }, '(refuses)': { refuses: true } };

function readExpected(block: string, lines: Lines, where: string): Expected {
  const frames: Frame[] = [];
  const talks: string[] = [];
  let unsure: string | undefined;
  for (const line of block.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (line.startsWith('unsure: ')) {
      unsure = line.slice('unsure: '.length);
      continue;
    }
    if (line.startsWith('talk: ')) {
      talks.push(line.slice('talk: '.length));
      continue;
    }
    const match = /^(\w+)( \(setup\)| \(negotiates\)| \(refuses\))? +([CS])(\d+)(?:-(\d+))?$/.exec(line.trim());
    if (match === null) throw new Error(`${where}: not a frame: ${line}`);
    const side = SIDES[match[3]!]!;
    const first = lines[side][Number(match[4]) - 1];
    const last = lines[side][Number(match[5] ?? match[4]) - 1];
    if (first === undefined || last === undefined) throw new Error(`${where}: no such step: ${line}`);
    const role = match[1] as Frame['role'];
    frames.push({ side, start: first.start, end: last.end, role, ...MARKS[match[2]?.trim() ?? ''] });
  }
  return { frames, unsure, talks };
}

/** Escapes `\r \n \t \0 \\ \{ \} \xHH`; macros `{name arguments}` as below; other characters as UTF-8. */
export function unescape(text: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (char === '{') {
      const end = closing(text, at);
      parts.push(macro(text.slice(at + 1, end)));
      at = end + 1;
    } else if (char === '\\') {
      const next = text[at + 1]!;
      const simple: Record<string, number> = { r: 13, n: 10, t: 9, 0: 0 };
      const code = next === 'x' ? parseInt(text.slice(at + 2, at + 4), 16) : (simple[next] ?? next.charCodeAt(0));
      parts.push(Uint8Array.of(code));
      at += next === 'x' ? 4 : 2;
    } else {
      const point = text.codePointAt(at)!;
      const whole = String.fromCodePoint(point);
      parts.push(Buffer.from(whole));
      at += whole.length;
    }
  }
  return Buffer.concat(parts);
}

function closing(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  throw new Error(`no } for the { at ${from} of ${text}`);
}

const int = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
};

/**
 * `{resp SET k v}`: a command as an array of bulk strings. `{pg Q payload}`: type, length, payload; `{pg0 payload}`: without
 * type. `{my 0 payload}`: MySQL packet with sequence number. `{fcgi 1 7 payload}`: record type, request id, content.
 * `{i16 n}`, `{i32 n}`: big-endian. `{a * 5}`: repeated. `{kv NAME value}`: FastCGI parameter. `{lv text}`: length byte, text.
 */
function macro(body: string): Uint8Array {
  const [name, ...rest] = body.split(' ');
  const after = (words: number): Uint8Array => unescape(body.split(' ').slice(words).join(' '));
  switch (name) {
    case 'resp': {
      const words = rest.map((word) => Buffer.from(unescape(word)));
      return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from('\r\n')])]);
    }
    case 'pg': {
      const payload = after(2);
      return Buffer.concat([Buffer.from(rest[0]!), int(payload.length + 4, 4), payload]);
    }
    case 'pg0': {
      const payload = after(1);
      return Buffer.concat([int(payload.length + 4, 4), payload]);
    }
    case 'my': {
      const payload = after(2);
      const head = Buffer.alloc(4);
      head.writeUIntLE(payload.length, 0, 3);
      head[3] = Number(rest[0]);
      return Buffer.concat([head, payload]);
    }
    case 'fcgi': {
      const payload = after(3);
      return Buffer.concat([Uint8Array.of(1, Number(rest[0])), int(Number(rest[1]), 2), int(payload.length, 2), Uint8Array.of(0, 0), payload]);
    }
    case 'kv': {
      const value = after(2);
      const key = Buffer.from(rest[0]!);
      return Buffer.concat([Uint8Array.of(key.length, value.length), key, value]);
    }
    case 'lv': {
      const value = after(1);
      return Buffer.concat([Uint8Array.of(value.length), value]);
    }
    case 'i16': return int(Number(rest[0]), 2);
    case 'i32': return int(Number(rest[0]), 4);
    default: {
      const times = /^(.+) \* (\d+)$/.exec(body);
      if (times === null) throw new Error(`no such macro: {${body}}`);
      return Buffer.concat(Array<Uint8Array>(Number(times[2])).fill(unescape(times[1]!)));
    }
  }
}
