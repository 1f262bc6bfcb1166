/**
 * MySQL and MariaDB framing (MySQL Internals, "Client/Server Protocol"; MariaDB documentation, "Clients & Servers protocol").
 * A talk is a command and its answer, all result sets of it included. Where the server waits for the client within a talk
 * (authentication, LOCAL INFILE), it is cut there: each turn is a talk of its own.
 *
 * Whether EOF packets follow column definitions (CLIENT_DEPRECATE_EOF says no) is seen from the packets themselves where
 * that can be: a packet of 5 bytes that begins with 0xfe is an EOF and can't be a row. It can't be for the answer to
 * COM_STMT_PREPARE, which may end just there: then the capabilities of the login decide, or earlier result sets.
 */
import { Fifo } from './fifo.ts';
import { EOF, ERR, INFILE, int16, int24, int32, isProgress, lenenc, OK, statusOf } from './mysql-fields.ts';
import { Packets } from './packets.ts';
import type { Shape } from './packets.ts';
import type { Frame, Framer, Side, Turns } from './protocol.ts';
import { isSettingUp } from './sql-setup.ts';
import { TlsTurns } from './tls-turns.ts';

/** Of a statement, as much is looked at to tell a SET from a query; a longer one is a query. */
export const maxLookBytes = 1024;
/** A packet of this length goes on in the next one. */
const FULL = 0xffffff;
export const maxUnanswered = 1 << 16;

export const COM = {
  quit: 1, initDb: 2, query: 3, fieldList: 4, statistics: 9, processInfo: 10, changeUser: 17, binlogDump: 18, tableDump: 19,
  prepare: 22, execute: 23, longData: 24, closeStatement: 25, fetch: 28, binlogDumpGtid: 30, resetConnection: 31, bulkExecute: 250,
} as const;
const SINGLE = new Set([2, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 21, 26, 27, 29, 31]);

const CLIENT_COMPRESS = 1 << 5, CLIENT_SSL = 1 << 11, CLIENT_DEPRECATE_EOF = 1 << 24, CLIENT_ZSTD = 1 << 26;
const MORE_RESULTS = 8, CURSOR_EXISTS = 64;
const AUTH_MORE = 0x01;
/** AuthMoreData of caching_sha2_password that needs no reply: the OK follows. */
const FAST_AUTH_OK = 3;

/** What a request on its way waits for, beside the commands by their number. */
const AUTH = 1000, INFILE_RESULT = 1001;

/** Where the answer to a command is. */
const In = { first: 0, columns: 1, afterColumns: 2, rows: 3, parameters: 4, preparedColumns: 5, afterParameters: 6, afterPreparedColumns: 7, fields: 8 } as const;
type In = (typeof In)[keyof typeof In];

export class MysqlFramer implements Framer {
  sure = true;
  unsureBecause?: string;
  turns?: Turns;
  private readonly client = new Packets({ shape: (b, at, n) => this.clientShape(b, at, n), begin: (b, at, to, end) => this.clientPacket(b, at, to, end), done: () => this.clientDone() }, maxLookBytes);
  private readonly server = new Packets({ shape: (b, at, n) => this.serverShape(b, at, n), begin: (b, at, to) => this.serverPacket(b, at, to), done: () => this.serverDone() }, maxLookBytes);
  private readonly unanswered = new Fifo(maxUnanswered);
  private out: Frame[] = [];
  private requestStart = 0;
  private responseStart = 0;
  private ends: { role: 'request' | 'oneway'; waits: number; setup: boolean } | undefined;
  private serverEnds: Frame['role'] | 'no' = 'no';
  private turnsInto: string | undefined;
  /** The greeting has come and the login is not over. */
  private loggingIn = false;
  private loggedIn = false;
  private loginSent = false;
  private uploading = false;
  private serverCapabilities = 0;
  private clientCapabilities = 0;
  /** Whether column definitions end without an EOF; undefined: not known yet (a connection older than the recorder). */
  private deprecatesEof: boolean | undefined;
  /** The packet before was full: the next one goes on with it. */
  private readonly continued = { client: false, server: false };
  private in: In = In.first;
  private columns = 0;
  private preparedColumns = 0;

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
    if (packets.inside || packets.offset > (side === 'client' ? this.requestStart : this.responseStart)) this.lose(`the ${side} ended inside a message`);
    this.judge();
  }

  private packets(side: Side): Packets {
    return side === 'client' ? this.client : this.server;
  }

  private judge(): void {
    const reason = this.client.stopped ?? this.server.stopped;
    if (reason === undefined) return;
    this.sure = false;
    this.unsureBecause = reason;
  }

  /** Of statements the text is looked at; of anything else the command, or a login's capabilities. */
  private clientShape(bytes: Uint8Array, at: number, available: number): Shape | number {
    if (available < 4) return 4;
    const body = int24(bytes, at);
    if (this.uploading || body === 0) return { head: 4, body, look: 0 };
    return available < 5 ? 5 : { head: 4, body, look: bytes[at + 4] === COM.query ? maxLookBytes : 8 };
  }

  /** A greeting is looked at up to its capabilities, behind the version; an answer up to its status flags. */
  private serverShape(bytes: Uint8Array, at: number, available: number): Shape | number {
    return available < 4 ? 4 : { head: 4, body: int24(bytes, at), look: this.unanswered.length === 0 ? maxLookBytes : 32 };
  }

  private clientPacket(bytes: Uint8Array, at: number, to: number, end: number): void {
    const length = int24(bytes, at);
    const goesOn = this.continued.client;
    this.continued.client = length === FULL;
    if (this.uploading) {
      if (length === 0 && !goesOn) this.ends = { role: 'request', waits: INFILE_RESULT, setup: false };
      return;
    }
    if (goesOn) {
      if (this.ends === undefined && length < FULL) this.lose('a packet that goes on with nothing');
      return;
    }
    if (this.loggingIn || (bytes[at + 3] !== 0 && !this.loggedIn)) {
      this.loginPacket(bytes, at, length);
      return;
    }
    this.loggedIn = true;
    if (length === 0 || bytes[at + 3] !== 0) {
      this.lose('no MySQL command');
      return;
    }
    this.command(bytes, at + 4, to, end === this.client.offset && length < FULL);
  }

  private loginPacket(bytes: Uint8Array, at: number, length: number): void {
    if (!this.loginSent && length >= 4) {
      this.clientCapabilities = int32(bytes, at + 4);
      if ((this.clientCapabilities & CLIENT_SSL) !== 0 && length === 32) {
        this.ends = { role: 'oneway', waits: 0, setup: true };
        this.turnsInto = 'tls: the client asked for it';
        this.turns = new TlsTurns();
        return;
      }
      this.loginSent = true;
      this.deprecatesEof = (this.clientCapabilities & this.serverCapabilities & CLIENT_DEPRECATE_EOF) !== 0;
    }
    this.ends = { role: 'request', waits: AUTH, setup: true };
  }

  private command(bytes: Uint8Array, at: number, to: number, whole: boolean): void {
    const command = bytes[at]!;
    let role: 'request' | 'oneway' = 'request';
    let setup = false;
    switch (command) {
      case COM.quit: case COM.longData: case COM.closeStatement:
        role = 'oneway';
        break;
      case COM.query:
        setup = whole && isSettingUp(bytes, at + 1, to);
        break;
      case COM.initDb: case COM.prepare:
        setup = true;
        break;
      case COM.changeUser: case COM.resetConnection:
        setup = true;
        break;
      case COM.binlogDump: case COM.binlogDumpGtid: case COM.tableDump:
        this.turnsInto = 'replication stream';
        break;
      case COM.execute: case COM.fetch: case COM.fieldList: case COM.processInfo: case COM.bulkExecute:
        break;
      default:
        if (!SINGLE.has(command)) this.lose('no MySQL command');
    }
    this.ends = { role, waits: command === COM.changeUser ? AUTH : command, setup };
  }

  private clientDone(): void {
    const { ends } = this;
    if (ends === undefined || this.continued.client) return;
    this.ends = undefined;
    this.uploading = false;
    if (ends.role === 'request' && !this.unanswered.push(ends.waits)) {
      this.lose(`more than ${maxUnanswered} commands without an answer`);
      return;
    }
    if (ends.waits === AUTH) this.loggingIn = true;
    const frame: Frame = { side: 'client', start: this.requestStart, end: this.client.offset, role: ends.role };
    this.out.push(ends.setup ? { ...frame, setup: true } : frame);
    this.requestStart = this.client.offset;
    if (this.turnsInto !== undefined) this.lose(this.turnsInto);
  }

  private serverPacket(bytes: Uint8Array, at: number, to: number): void {
    const length = int24(bytes, at);
    const goesOn = this.continued.server;
    this.continued.server = length === FULL;
    if (goesOn) return; // more of a packet whose meaning is known; `serverEnds` stands
    this.serverEnds = 'no';
    const body = at + 4;
    const first = length === 0 ? -1 : bytes[body]!;
    if (this.unanswered.length === 0) {
      this.unasked(bytes, body, to, first);
      return;
    }
    const waits = this.unanswered.first;
    if (first === ERR && isProgress(bytes, body)) return;
    if (waits === AUTH) this.loginAnswer(bytes, body, length, first);
    else if (first === ERR) this.serverEnds = 'response';
    else if (waits === INFILE_RESULT) this.okOrMore(bytes, body, to);
    else this.answer(waits, bytes, body, to, length, first);
  }

  /** The greeting; or an error: too many connections, a shutdown, an idle connection. */
  private unasked(bytes: Uint8Array, body: number, to: number, first: number): void {
    if (first === ERR) {
      this.serverEnds = 'push';
    } else if (first === 10 && !this.loggedIn && !this.loggingIn) {
      this.serverEnds = 'greeting';
      this.loggingIn = true;
      const version = bytes.indexOf(0, body);
      const capabilities = version + 1 + 4 + 8 + 1;
      if (version > 0 && capabilities + 7 <= to) this.serverCapabilities = bytes[capabilities]! | bytes[capabilities + 1]! << 8 | bytes[capabilities + 5]! << 16 | bytes[capabilities + 6]! << 24;
    } else {
      this.lose('an answer to nothing that was seen');
    }
  }

  private loginAnswer(bytes: Uint8Array, body: number, length: number, first: number): void {
    if (first === AUTH_MORE && length === 2 && bytes[body + 1] === FAST_AUTH_OK) return;
    this.serverEnds = 'response';
    if (first !== OK && first !== ERR) return;
    this.loggingIn = false;
    this.loggedIn = true;
    const both = this.clientCapabilities & this.serverCapabilities;
    if (first === OK && (both & (CLIENT_COMPRESS | CLIENT_ZSTD)) !== 0) this.turnsInto = 'compressed protocol';
  }

  private answer(waits: number, bytes: Uint8Array, body: number, to: number, length: number, first: number): void {
    switch (waits) {
      case COM.query: case COM.execute: case COM.processInfo: case COM.bulkExecute:
        this.resultSet(bytes, body, to, length, first);
        return;
      case COM.prepare:
        this.prepared(bytes, body, length, first);
        return;
      case COM.fetch:
        if (first === EOF && length < FULL) this.okOrMore(bytes, body, to);
        return;
      case COM.fieldList:
        if (first === EOF && length < FULL) this.serverEnds = 'response';
        return;
      default:
        this.serverEnds = 'response';
    }
  }

  private resultSet(bytes: Uint8Array, body: number, to: number, length: number, first: number): void {
    switch (this.in) {
      case In.first:
        if (first === OK) {
          this.okOrMore(bytes, body, to);
        } else if (first === INFILE) {
          this.serverEnds = 'response';
          this.uploading = true;
        } else {
          this.columnCount(bytes, body, length);
        }
        return;
      case In.columns:
        if (--this.columns === 0) this.in = In.afterColumns;
        return;
      case In.afterColumns:
        this.in = In.rows;
        if (first === EOF && length === 5) {
          this.deprecatesEof = false;
          // With a cursor open there are no rows here: they come by COM_STMT_FETCH.
          if ((int16(bytes, body + 3) & CURSOR_EXISTS) !== 0) this.okOrMore(bytes, body, to);
          return;
        }
        this.deprecatesEof ??= true;
        if (first === EOF && length < FULL) this.okOrMore(bytes, body, to);
        return;
      default:
        if (first === EOF && length < FULL) this.okOrMore(bytes, body, to);
    }
  }

  /** The packet before the column definitions; MariaDB may add a byte: 0, none follow, for the client has cached them. */
  private columnCount(bytes: Uint8Array, body: number, length: number): void {
    const count = lenenc(bytes, body);
    if (count === undefined || count.value === 0 || length > count.size + 1) {
      this.lose('no MySQL result set');
      return;
    }
    this.columns = count.value;
    const follow = length === count.size || bytes[body + count.size] !== 0;
    this.in = follow ? In.columns : this.deprecatesEof === true ? In.rows : In.afterColumns;
  }

  private prepared(bytes: Uint8Array, body: number, length: number, first: number): void {
    switch (this.in) {
      case In.first: {
        if (first !== OK || length < 12) {
          this.lose('no MySQL answer to a PREPARE');
          return;
        }
        this.preparedColumns = int16(bytes, body + 5);
        const parameters = int16(bytes, body + 7);
        if (parameters + this.preparedColumns > 0 && this.deprecatesEof === undefined) {
          this.lose('joined in mid-life: not known whether definitions end in an EOF');
          return;
        }
        this.columns = parameters;
        if (parameters > 0) this.in = In.parameters;
        else this.preparedColumnsNext();
        return;
      }
      case In.parameters:
        if (--this.columns > 0) return;
        if (this.deprecatesEof === true) this.preparedColumnsNext();
        else this.in = In.afterParameters;
        return;
      case In.afterParameters:
        this.preparedColumnsNext();
        return;
      case In.preparedColumns:
        if (--this.columns > 0) return;
        if (this.deprecatesEof === true) this.serverEnds = 'response';
        else this.in = In.afterPreparedColumns;
        return;
      default:
        this.serverEnds = 'response';
    }
  }

  private preparedColumnsNext(): void {
    this.columns = this.preparedColumns;
    if (this.columns > 0) this.in = In.preparedColumns;
    else this.serverEnds = 'response';
  }

  /** An OK or EOF packet: the answer's end, unless it says that another result follows. */
  private okOrMore(bytes: Uint8Array, body: number, to: number): void {
    if ((statusOf(bytes, body, to) & MORE_RESULTS) !== 0) this.in = In.first;
    else this.serverEnds = 'response';
  }

  private serverDone(): void {
    if (this.serverEnds === 'no' || this.continued.server) return;
    const role = this.serverEnds;
    this.serverEnds = 'no';
    if (role === 'response') {
      this.unanswered.shift();
      this.in = In.first;
    }
    const frame: Frame = { side: 'server', start: this.responseStart, end: this.server.offset, role };
    this.out.push(role === 'push' && !this.loggedIn && !this.loggingIn ? { ...frame, refuses: true } : frame);
    this.responseStart = this.server.offset;
    if (this.turnsInto !== undefined) this.lose(this.turnsInto);
  }

  private lose(reason: string): void {
    this.client.stopped ??= reason;
    this.server.stopped ??= reason;
  }
}
