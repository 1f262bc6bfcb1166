/**
 * RESP2 and RESP3 framing (Redis documentation, "Redis serialization protocol specification"; inline commands as in
 * `networking.c`). Each command is a request of its own, also in a pipeline or a MULTI. Replies are matched in order, but for
 * those that Redis sends otherwise: one confirmation a channel for (un)subscribing, messages to subscribers, RESP3 pushes,
 * nothing at all after CLIENT REPLY OFF or SKIP.
 */
import { latin1Text } from './ascii.ts';
import { Fifo } from './fifo.ts';
import { Pending } from './pending.ts';
import type { Frame, Framer, Side } from './protocol.ts';

/** Redis' own cap on an inline command and on a header line (`PROTO_INLINE_MAX_SIZE`). */
export const maxLineBytes = 64 << 10;
export const maxElements = 2 ** 31;
export const maxUnanswered = 1 << 18;
/** As much of a word is looked at to tell commands and messages apart. */
const maxWordBytes = 24;

const LF = 10, CR = 13;
const STRING = 0x24, ARRAY = 0x2a, PUSH = 0x3e, MAP = 0x25, SET = 0x7e, ATTRIBUTE = 0x7c, BLOB_ERROR = 0x21, VERBATIM = 0x3d, INTEGER = 0x3a, ERROR = 0x2d;
/** Simple values, whole with their line: + - : _ # , ( */
const SIMPLE = new Set([0x2b, ERROR, INTEGER, 0x5f, 0x23, 0x2c, 0x28]);

/** What the oldest request on its way expects: one reply, or confirmations: a number of them, or of all channels, patterns, shards. */
const ONE = 0, ALL_CHANNELS = -1, ALL_PATTERNS = -2, ALL_SHARDS = -3;

const SUBSCRIBING = new Set(['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE']);
const UNSUBSCRIBING = new Map([['UNSUBSCRIBE', ALL_CHANNELS], ['PUNSUBSCRIBE', ALL_PATTERNS], ['SUNSUBSCRIBE', ALL_SHARDS]]);
const CONFIRMING = new Set(['subscribe', 'psubscribe', 'ssubscribe', 'unsubscribe', 'punsubscribe', 'sunsubscribe']);
const MESSAGES = new Set(['message', 'pmessage', 'smessage']);
const SETUP = new Set(['HELLO', 'AUTH', 'SELECT', 'READONLY', 'COMMAND']);
const CLIENT_SETUP = new Set(['SETNAME', 'SETINFO', 'GETNAME', 'ID', 'TRACKING', 'NO-EVICT', 'NO-TOUCH', 'REPLY', 'MAINT_NOTIFICATIONS']);

/** Whether a command only sets its connection up. Both words in upper case. */
export const isSetup = (command: string, second: string): boolean => SETUP.has(command) || (command === 'CLIENT' && CLIENT_SETUP.has(second));

class Stream {
  readonly side: Side;
  readonly pending = new Pending(maxLineBytes);
  offset = 0;
  start = 0;
  /** Values still to come of the current top-level one; 0 between two of them. */
  left = 0;
  /** Bytes of a blob, its line end included, still to come; 0: a line is next. */
  blob = 0;
  /** First byte of the current top-level value. */
  type = 0;
  /** Elements that the top-level array announced, and its first words: one, or three of a CLIENT command. */
  elements = 0;
  readonly words = ['', '', ''];
  word = 0;
  wanted = 0;
  readonly capture = new Pending(maxWordBytes);
  capturing = false;
  lastInteger = 0;

  constructor(side: Side) {
    this.side = side;
  }
}

export class RedisFramer implements Framer {
  sure = true;
  unsureBecause?: string;
  private readonly client = new Stream('client');
  private readonly server = new Stream('server');
  private readonly unanswered = new Fifo(maxUnanswered);
  private channels = 0;
  private patterns = 0;
  private shards = 0;
  /** CLIENT REPLY OFF is in force; or SKIP for one command. */
  private muted = false;
  private skipping = false;
  private asked = false;

  push(side: Side, bytes: Uint8Array, out: Frame[]): void {
    const stream = side === 'client' ? this.client : this.server;
    let from = 0;
    while (from < bytes.length && this.sure) {
      from = stream.blob > 0 ? this.readBlob(stream, bytes, from, out) : this.readLine(stream, bytes, from, out);
    }
  }

  gap(side: Side, length: number, out: Frame[]): void {
    if (!this.sure || length <= 0) return;
    const stream = side === 'client' ? this.client : this.server;
    if (stream.blob === 0 || stream.capturing) this.lose('gap in a header');
    else if (length > stream.blob) this.lose('gap across the end of a value');
    else {
      stream.offset += length;
      stream.blob -= length;
      if (stream.blob === 0) this.valueDone(stream, out);
    }
  }

  end(side: Side, _out: Frame[]): void {
    const stream = side === 'client' ? this.client : this.server;
    if (this.sure && (stream.left > 0 || stream.pending.length > 0)) this.lose(`the ${side} ended inside a message`);
  }

  private readBlob(stream: Stream, bytes: Uint8Array, from: number, out: Frame[]): number {
    const taken = Math.min(stream.blob, bytes.length - from);
    if (stream.capturing) {
      const wanted = Math.min(taken, maxWordBytes - stream.capture.length, Math.max(0, stream.blob - 2));
      if (wanted > 0) stream.capture.append(bytes, from, from + wanted);
    }
    stream.offset += taken;
    stream.blob -= taken;
    if (stream.blob === 0) this.valueDone(stream, out);
    return from + taken;
  }

  private readLine(stream: Stream, bytes: Uint8Array, from: number, out: Frame[]): number {
    let to = from;
    while (to < bytes.length && bytes[to] !== LF) to++;
    const { pending } = stream;
    if (to === bytes.length) {
      if (!pending.append(bytes, from, to)) this.lose(`a line beyond ${maxLineBytes} bytes`);
      return to;
    }
    stream.offset += to + 1 - from;
    if (pending.length === 0) {
      this.line(stream, bytes, from, to, out);
    } else {
      stream.offset += pending.length;
      if (!pending.append(bytes, from, to)) {
        this.lose(`a line beyond ${maxLineBytes} bytes`);
        return to;
      }
      const whole = pending.bytes();
      this.line(stream, whole, 0, whole.length, out);
      pending.clear();
    }
    return to + 1;
  }

  private line(stream: Stream, bytes: Uint8Array, from: number, end: number, out: Frame[]): void {
    const to = end > from && bytes[end - 1] === CR ? end - 1 : end;
    const type = bytes[from]!;
    const top = stream.left === 0;
    if (stream.side === 'client' && top && type !== ARRAY) {
      this.inline(stream, latin1Text(bytes, from, to), out);
      return;
    }
    if (stream.side === 'client' && !top && type !== STRING) {
      this.lose('a command that is no array of strings');
      return;
    }
    if (top) {
      stream.left = 1;
      stream.type = type;
      stream.elements = 0;
      stream.word = 0;
      stream.wanted = stream.side === 'client' || this.listening(type) ? 1 : 0;
      stream.words[0] = stream.words[1] = stream.words[2] = '';
    }
    if (SIMPLE.has(type)) {
      if (type === INTEGER) stream.lastInteger = integer(bytes, from + 1, to) ?? 0;
      this.valueDone(stream, out);
      return;
    }
    const count = integer(bytes, from + 1, to);
    if (count === undefined) {
      this.lose(stream.side === 'client' ? 'no Redis command' : 'no Redis reply');
      return;
    }
    switch (type) {
      case STRING:
      case BLOB_ERROR:
      case VERBATIM:
        if (count < 0) {
          this.valueDone(stream, out);
        } else {
          stream.blob = count + 2;
          stream.capturing = stream.word < stream.wanted && stream.elements > 0;
        }
        return;
      case ARRAY: case SET: case PUSH: this.aggregate(stream, count, top, out); return;
      case MAP: this.aggregate(stream, count * 2, top, out); return;
      case ATTRIBUTE: // belongs to the value that follows it, which is still to come
        this.aggregate(stream, count * 2 + 1, false, out);
        return;
      default: this.lose('no Redis reply');
    }
  }

  private aggregate(stream: Stream, count: number, top: boolean, out: Frame[]): void {
    if (count > maxElements || stream.left > maxElements) {
      this.lose(`more than ${maxElements} elements`);
      return;
    }
    if (top) stream.elements = Math.max(0, count);
    if (count > 0) stream.left += count;
    this.valueDone(stream, out);
  }

  private valueDone(stream: Stream, out: Frame[]): void {
    if (stream.capturing) {
      const word = shortText(stream.capture.bytes());
      stream.words[stream.word++] = word;
      if (stream.word === 1 && stream.side === 'client' && word.length === 6 && word.toUpperCase() === 'CLIENT') stream.wanted = 3;
      stream.capture.clear();
      stream.capturing = false;
    }
    stream.left--;
    if (stream.left > 0) return;
    stream.left = 0;
    if (stream.side === 'server') this.reply(stream, out);
    else if (stream.elements > 0) this.command(stream.words, stream.elements, out);
    // `*0` and `*-1` are commands of nothing: Redis skips them, so they belong to the next one.
  }

  private inline(stream: Stream, line: string, out: Frame[]): void {
    const words = line.trim().split(/\s+/);
    if (words[0] === '') return;
    if (!/^[\x20-\x7e\x80-\xff\t]*$/.test(line)) {
      this.lose('no Redis command');
      return;
    }
    this.command(words, words.length, out);
  }

  private command(words: readonly string[], elements: number, out: Frame[]): void {
    const { client } = this;
    this.asked = true;
    const name = words[0]!.toUpperCase();
    const word = name === 'CLIENT' ? (words[1] ?? '').toUpperCase() : '';
    let role: Frame['role'] = 'request';
    let expects = ONE;
    if (this.muted) role = 'oneway';
    if (this.skipping) {
      role = 'oneway';
      this.skipping = false;
    }
    if (SUBSCRIBING.has(name) && elements > 1) expects = elements - 1;
    else if (UNSUBSCRIBING.has(name)) expects = elements > 1 ? elements - 1 : UNSUBSCRIBING.get(name)!;
    else if (name === 'RESET') this.channels = this.patterns = this.shards = 0;
    else if (name === 'CLIENT' && word === 'REPLY') role = this.clientReply((words[2] ?? '').toUpperCase(), role);
    if (role === 'request' && !this.unanswered.push(expects)) {
      this.lose(`more than ${maxUnanswered} commands without a reply`);
      return;
    }
    const frame: Frame = { side: 'client', start: client.start, end: client.offset, role };
    out.push(isSetup(name, word) ? { ...frame, setup: true } : frame);
    client.start = client.offset;
    if (name === 'PSYNC' || name === 'SYNC') this.lose('replication stream');
  }

  private clientReply(mode: string, role: Frame['role']): Frame['role'] {
    if (mode === 'ON') {
      this.muted = false;
      return 'request';
    }
    if (mode === 'OFF') this.muted = true;
    else if (mode === 'SKIP') this.skipping = !this.muted;
    else return role;
    return 'oneway';
  }

  /** Whether a reply of this type may be a confirmation or a message, so that its first word matters. */
  private listening(type: number): boolean {
    return type === PUSH || (type === ARRAY && (this.unanswered.first !== ONE || this.channels + this.patterns + this.shards > 0));
  }

  private reply(stream: Stream, out: Frame[]): void {
    const word = stream.words[0]!.toLowerCase();
    const confirms = CONFIRMING.has(word) && (stream.type === ARRAY || stream.type === PUSH);
    let role: Frame['role'] = 'response';
    if (this.unanswered.length === 0) role = 'push';
    else if (confirms && this.unanswered.first !== ONE) {
      const before = this.unanswered.first;
      const all = before === ALL_CHANNELS ? this.channels : before === ALL_PATTERNS ? this.patterns : this.shards;
      const left = (before > 0 ? before : Math.max(1, all)) - 1;
      this.count(word, stream.lastInteger);
      if (left > 0) {
        this.unanswered.first = left;
        return; // the answer goes on with the next confirmation
      }
      this.unanswered.shift();
    } else if (stream.type === PUSH || (stream.type === ARRAY && MESSAGES.has(word) && this.channels + this.patterns + this.shards > 0)) role = 'push';
    else this.unanswered.shift();
    const frame: Frame = { side: 'server', start: stream.start, end: stream.offset, role };
    out.push(!this.asked && stream.type === ERROR ? { ...frame, refuses: true } : frame);
    stream.start = stream.offset;
  }

  /** `total` is what the confirmation says is subscribed now: channels and patterns together, or shards. */
  private count(word: string, total: number): void {
    if (word === 'ssubscribe' || word === 'sunsubscribe') this.shards = total;
    else if (word.startsWith('p')) this.patterns = Math.max(0, total - this.channels);
    else this.channels = Math.max(0, total - this.patterns);
  }

  private lose(reason: string): void {
    this.sure = false;
    this.unsureBecause = reason;
    this.unanswered.clear();
    this.client.pending.clear();
    this.server.pending.clear();
  }
}

/** A decimal number as RESP has it; undefined when it is none (`$?`: streamed strings, which no server sends). */
function integer(bytes: Uint8Array, from: number, to: number): number | undefined {
  let at = from;
  const negative = bytes[at] === 0x2d;
  if (negative || bytes[at] === 0x2b) at++;
  if (at >= to || to - at > 15) return undefined;
  let value = 0;
  for (; at < to; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

function shortText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}
