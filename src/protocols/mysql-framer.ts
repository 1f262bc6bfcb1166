/**
 * MySQL and MariaDB framing (MySQL Internals, "Client/Server Protocol"; MariaDB documentation, "Clients & Servers protocol").
 * A talk is a command and its answer, all result sets of it included. Where the server waits for the client within a talk
 * (authentication, LOCAL INFILE), it is cut there: each turn is a talk of its own.
 */
import { Fifo } from './fifo.ts';
import { MysqlAnswer, type AnswerStep } from './mysql-answer.ts';
import { COM, ERR, FULL, int24, int32, isProgress, OK } from './mysql-fields.ts';
import { Packets } from './packets.ts';
import type { Shape } from './packets.ts';
import type { Frame, Framer, Side, Turns } from './protocol.ts';
import { isSettingUp } from './sql-setup.ts';
import { TlsTurns } from './tls-turns.ts';

/** Of a statement, as much is looked at to tell a SET from a query; a longer one is a query. */
export const maxLookBytes = 1024;
export const maxUnanswered = 1 << 16;

const SINGLE = new Set([2, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 21, 26, 27, 29, 31]);

const CLIENT_COMPRESS = 1 << 5, CLIENT_SSL = 1 << 11, CLIENT_DEPRECATE_EOF = 1 << 24, CLIENT_ZSTD = 1 << 26;
const AUTH_MORE = 0x01;
/** AuthMoreData of caching_sha2_password that needs no reply: the OK follows. */
const FAST_AUTH_OK = 3;

/** What a request on its way waits for, beside the commands by their number. */
const AUTH = 1000, INFILE_RESULT = 1001;

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
  /** The packet before was full: the next one goes on with it. */
  private readonly continued = { client: false, server: false };
  private readonly answer = new MysqlAnswer();

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
      this.answer.deprecatesEof = (this.clientCapabilities & this.serverCapabilities & CLIENT_DEPRECATE_EOF) !== 0;
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
    else this.answered(waits === INFILE_RESULT ? this.answer.ok(bytes, body, to) : this.answer.packet(waits, bytes, body, to, length, first));
  }

  private answered(step: AnswerStep): void {
    if (typeof step === 'object') return this.lose(step.lost);
    if (step === 'goes on') return;
    this.serverEnds = 'response';
    if (step === 'asks for a file') this.uploading = true;
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

  private serverDone(): void {
    if (this.serverEnds === 'no' || this.continued.server) return;
    const role = this.serverEnds;
    this.serverEnds = 'no';
    if (role === 'response') {
      this.unanswered.shift();
      this.answer.begin();
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
