/**
 * PostgreSQL framing (documentation, "Frontend/Backend Protocol", 3.0 and 3.2). A talk is a request up to its Sync, Flush or
 * simple Query and the answer up to ReadyForQuery, or, after a Flush, up to the last reply that was asked for. Where the server
 * waits for the client within a talk (authentication, COPY FROM STDIN), the talk is cut there: each turn is one of its own.
 *
 * | client ends a request with | the answer ends with |
 * |---|---|
 * | StartupMessage, `p` | an Authentication that asks for more, ReadyForQuery, ErrorResponse |
 * | SSLRequest, GSSENCRequest | one byte |
 * | `Q`, `F`, `S` | ReadyForQuery; CopyInResponse |
 * | `H` after messages that have replies | the last of these replies, or ErrorResponse; CopyInResponse |
 * | `c`, `f` (after a Query), `S` after these (after an Execute) | ReadyForQuery; CopyInResponse |
 * | CancelRequest, `X` | (no answer) |
 *
 * SSLRequest, GSSENCRequest and CancelRequest are no calls: the first two ask how the connection will be carried, the last has
 * one to itself, and its effect is the answer to the call that it cancels.
 */
import { Fifo } from './fifo.ts';
import { Packets } from './packets.ts';
import type { Shape } from './packets.ts';
import { isSettingUp } from './sql-setup.ts';
import type { Frame, Framer, Side, Turns } from './protocol.ts';
import { TlsTurns } from './tls-turns.ts';

/** Of a statement, as much is looked at to tell a SET from a query; a longer one is a query. */
export const maxLookBytes = 1024;
/** The server's own limit (`PQ_LARGE_MESSAGE_LIMIT`, a GiB less one), and that of a startup packet (`MAX_STARTUP_PACKET_LENGTH`). */
export const maxMessageBytes = 1 << 30;
export const maxStartupBytes = 10_000;
export const maxUnanswered = 1 << 16;

export const CANCEL = 80877102, SSL = 80877103, GSS = 80877104;

const code = (letter: string): number => letter.charCodeAt(0);
const [Q, F, S, H, P, B, E, D, C, X, p, d, c, f] = [...'QFSHPBEDCXpdcf'].map(code) as [
  number, number, number, number, number, number, number, number, number, number, number, number, number, number,
];
const [R, Z, G, W, N, A, T, n, I, s] = [...'RZGWNATnIs'].map(code) as [number, number, number, number, number, number, number, number, number, number];
const ONE = code('1'), TWO = code('2'), THREE = code('3');
const CLIENT_TYPES = new Set([Q, F, S, H, P, B, E, D, C, X, p, d, c, f]);
const SERVER_TYPES = new Set([...'RKSZGHWNATtDCEInsV123cdv'].map(code));

/** What a request on its way waits for; a positive number: so many replies (after a Flush). */
const READY = 0, BYTE = -1, AUTH = -2;

/** Authentication codes that the client must answer: all but Ok and the final word of SASL. */
const asksForMore = (kind: number): boolean => kind !== 0 && kind !== 12;

export class PostgresqlFramer implements Framer {
  sure = true;
  unsureBecause?: string;
  turns?: Turns;
  private readonly client = new Packets({ shape: (b, at, n) => this.clientShape(b, at, n), begin: (b, at, to, end) => this.clientMessage(b, at, to, end), done: () => this.clientDone() }, maxLookBytes);
  private readonly server = new Packets({ shape: (b, at, n) => this.serverShape(b, at, n), begin: (b, at, to) => this.serverMessage(b, at, to), done: () => this.serverDone() }, maxLookBytes);
  private readonly unanswered = new Fifo(maxUnanswered);
  private out: Frame[] = [];
  /** Before the startup message a packet has no type byte. */
  private started = false;
  private requestStart = 0;
  private responseStart = 0;
  /** Of the request so far: replies that its messages will have, what the statements in it do, whether one is executed. */
  private replies = 0;
  private statements: 'none' | 'set' | 'other' = 'none';
  private executes = false;
  private prepares = false;
  /** How the current client message ends the request. */
  private ends: { role: 'request' | 'oneway'; waits: number; setup: boolean; negotiates?: true } | undefined;
  /** What the connection is once the current answer is over. */
  private turnsInto: string | undefined;
  /** COPY FROM STDIN is on: by a Query it ends with `c` or `f`, by an Execute with the `S` after these. */
  private copying: 'query' | 'execute' | undefined;
  private lastWasQuery = false;
  private serverEnds: 'no' | 'response' | 'push' = 'no';
  /** An ErrorResponse came in the extended protocol: the server skips everything up to the next Sync. */
  private discarding = false;

  push(side: Side, bytes: Uint8Array, out: Frame[]): void {
    if (!this.sure) return;
    this.out = out;
    this.packets(side).feed(bytes);
    this.judge();
  }

  gap(side: Side, length: number, out: Frame[]): void {
    if (!this.sure) return;
    this.out = out;
    this.packets(side).gap(length);
    this.judge();
  }

  end(side: Side, _out: Frame[]): void {
    if (!this.sure) return;
    const packets = this.packets(side);
    const start = side === 'client' ? this.requestStart : this.responseStart;
    if (packets.inside || packets.offset > start) this.lose(`the ${side} ended inside a message`);
    this.judge();
  }

  private judge(): void {
    const reason = this.client.stopped ?? this.server.stopped;
    if (reason === undefined) return;
    this.sure = false;
    this.unsureBecause = reason;
  }

  private packets(side: Side): Packets {
    return side === 'client' ? this.client : this.server;
  }

  private clientShape(bytes: Uint8Array, at: number, available: number): Shape | number | string {
    if (available < 5) return 5;
    if (!this.started && bytes[at] === 0) {
      const length = int32(bytes, at);
      return length < 8 || length > maxStartupBytes ? 'no PostgreSQL startup' : { head: 4, body: length - 4, look: 4 };
    }
    this.started = true;
    return typed(bytes, at, CLIENT_TYPES, 'request');
  }

  private clientMessage(bytes: Uint8Array, at: number, to: number, end: number): void {
    this.ends = undefined;
    const type = bytes[at]!;
    if (type === 0) {
      this.startup(int32(bytes, at + 4));
      return;
    }
    const whole = end === this.client.offset;
    switch (type) {
      case Q:
        this.lastWasQuery = true;
        this.statement(whole && isSettingUp(bytes, at + 5, to - 1));
        this.executes = true;
        this.finish(READY);
        return;
      case F:
        this.statement(false);
        this.executes = true;
        this.finish(READY);
        return;
      case S:
        if (this.copying === 'execute' && !this.copyEnded) return; // ignored by the server while it copies
        this.finish(READY);
        return;
      case H:
        if (this.replies > 0 && !this.discarding) this.finish(this.replies);
        return;
      case P:
        this.replies++;
        this.prepares = true;
        this.lastWasQuery = false;
        this.statement(whole && isSettingParse(bytes, at + 5, to));
        return;
      case B:
      case D:
      case C:
        this.replies++;
        this.lastWasQuery = false;
        return;
      case E:
        this.replies++;
        this.executes = true;
        this.lastWasQuery = false;
        return;
      case c:
      case f:
        this.copyEnded = true;
        if (this.copying !== 'execute') this.finish(READY);
        return;
      case p:
        this.finish(AUTH);
        return;
      case X:
        this.ends = { role: 'oneway', waits: 0, setup: false };
    }
  }

  private copyEnded = false;

  private startup(request: number): void {
    if (request === CANCEL) {
      this.ends = { role: 'oneway', waits: 0, setup: true, negotiates: true };
    } else if (request === SSL || request === GSS) {
      this.ends = { role: 'request', waits: BYTE, setup: true, negotiates: true };
    } else if (request >>> 16 === 3) {
      this.started = true;
      this.finish(AUTH);
    } else {
      this.lose('a PostgreSQL protocol that is not 3');
    }
  }

  private statement(settingUp: boolean): void {
    this.statements = settingUp && this.statements !== 'other' ? 'set' : 'other';
  }

  /** The current message ends the request. One that only prepares, and executes nothing, sets up. */
  private finish(waits: number): void {
    const only = this.executes ? this.statements === 'set' : this.prepares;
    this.ends = { role: 'request', waits, setup: waits === AUTH || only };
  }

  private clientDone(): void {
    const { ends } = this;
    if (ends === undefined) return;
    this.ends = undefined;
    if (ends.role === 'request' && !this.unanswered.push(ends.waits)) {
      this.lose(`more than ${maxUnanswered} requests without an answer`);
      return;
    }
    const frame: Frame = { side: 'client', start: this.requestStart, end: this.client.offset, role: ends.role };
    this.out.push(ends.setup ? { ...frame, setup: true, ...(ends.negotiates === true ? { negotiates: true } : {}) } : frame);
    this.requestStart = this.client.offset;
    this.replies = 0;
    this.statements = 'none';
    this.executes = false;
    this.prepares = false;
    if (this.copyEnded) {
      this.copyEnded = false;
      this.copying = undefined;
    }
  }

  private serverShape(bytes: Uint8Array, at: number, available: number): Shape | number | string {
    if (this.unanswered.length > 0 && this.unanswered.first === BYTE && bytes[at] !== E) return { head: 1, body: 0, look: 0 };
    return available < 5 ? 5 : typed(bytes, at, SERVER_TYPES, 'answer');
  }

  private serverMessage(bytes: Uint8Array, at: number, to: number): void {
    const type = bytes[at]!;
    const waits = this.unanswered.first;
    this.serverEnds = 'no';
    if (this.unanswered.length === 0) {
      // A notice, a notification, a parameter that changed, or the server's last words.
      if (type === N || type === A || type === S || type === E) this.serverEnds = 'push';
      else this.lose('an answer to nothing that was seen');
      return;
    }
    if (waits === BYTE) {
      this.serverEnds = 'response';
      if (type === S || type === G) {
        this.turnsInto = 'tls: SSLRequest was granted';
        this.turns = new TlsTurns();
      }
      return;
    }
    if (type === Z) {
      this.discarding = false;
      if (waits > 0) this.lose('an error among pipelined Flushes');
      else this.serverEnds = 'response';
    } else if (type === R) {
      if (to - at >= 9 && asksForMore(int32(bytes, at + 5))) this.serverEnds = 'response';
    } else if (type === E) {
      if (waits === AUTH) this.serverEnds = 'response';
      else if (waits > 0) {
        this.discarding = true;
        this.serverEnds = 'response';
      }
    } else if (type === G) {
      this.copying = this.lastWasQuery ? 'query' : 'execute';
      this.copyEnded = false;
      this.serverEnds = 'response';
    } else if (type === W) {
      this.serverEnds = 'response';
      this.turnsInto = 'replication stream';
    } else if (waits > 0 && isReply(type)) {
      if (waits === 1) this.serverEnds = 'response';
      else this.unanswered.first = waits - 1;
    }
  }

  private serverDone(): void {
    if (this.serverEnds === 'no') return;
    const role = this.serverEnds;
    if (role === 'response') this.unanswered.shift();
    this.out.push({ side: 'server', start: this.responseStart, end: this.server.offset, role });
    this.responseStart = this.server.offset;
    this.serverEnds = 'no';
    if (this.turnsInto !== undefined) this.lose(this.turnsInto);
  }

  private lose(reason: string): void {
    this.client.stopped ??= reason;
    this.server.stopped ??= reason;
  }
}

/** Messages that end the reply to one Parse, Bind, Close, Describe or Execute. `t` is followed by `T` or `n`. */
const REPLIES = new Set([ONE, TWO, THREE, T, n, C, I, s]);
/** Whether a Parse message (a name, then the text) prepares what sets up. */
function isSettingParse(bytes: Uint8Array, from: number, to: number): boolean {
  const text = bytes.indexOf(0, from) + 1;
  const end = text > 0 ? bytes.indexOf(0, text) : -1;
  return end >= 0 && end < to && isSettingUp(bytes, text, end);
}

const isReply = (type: number): boolean => REPLIES.has(type);

const int32 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!);

function typed(bytes: Uint8Array, at: number, types: ReadonlySet<number>, what: string): Shape | string {
  const length = int32(bytes, at + 1);
  if (!types.has(bytes[at]!) || length < 4 || length > maxMessageBytes) return `no PostgreSQL ${what}`;
  // Only statements and the kind of an Authentication matter; of anything else the type does.
  const look = what === 'answer' ? (bytes[at] === R ? 4 : 0) : bytes[at] === Q || bytes[at] === P ? maxLookBytes : 0;
  return { head: 5, body: length - 4, look };
}
