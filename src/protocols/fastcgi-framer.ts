/**
 * FastCGI framing (specification 1.0, §3–§5). A request is BEGIN_REQUEST up to the end of its last stream (STDIN; PARAMS of an
 * authorizer; DATA of a filter) or an ABORT_REQUEST; its answer ends with END_REQUEST. Management records (request id 0) are
 * talks of their own. Requests that are multiplexed on one connection can't be cut into ranges of bytes: then it is unsure.
 */
import { Packets } from './packets.ts';
import type { Shape } from './packets.ts';
import type { Frame, Framer, Side } from './protocol.ts';

export const TYPE = {
  begin: 1, abort: 2, end: 3, params: 4, stdin: 5, stdout: 6, stderr: 7, data: 8, getValues: 9, getValuesResult: 10, unknownType: 11,
} as const;
export const HEADER_BYTES = 8;
const RESPONDER = 1, AUTHORIZER = 2, FILTER = 3;

export class FastcgiFramer implements Framer {
  sure = true;
  unsureBecause?: string;
  private readonly client = new Packets({ shape: (b, at, n) => shape(b, at, n), begin: (b, at) => this.clientRecord(b, at), done: () => this.clientDone() }, 64);
  private readonly server = new Packets({ shape: (b, at, n) => shape(b, at, n), begin: (b, at) => this.serverRecord(b, at), done: () => this.serverDone() }, 64);
  private out: Frame[] = [];
  private requestStart = 0;
  private responseStart = 0;
  /** The request whose records are coming, 0: none. */
  private request = 0;
  private role = 0;
  private requestEnds = false;
  private responseEnds = false;
  /** Requests that are whole and not answered, and answers that came before their request was whole. */
  private unanswered = 0;
  private early = 0;

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

  end(side: Side, out: Frame[]): void {
    if (!this.sure) return;
    this.out = out;
    const packets = this.packets(side);
    const start = side === 'client' ? this.requestStart : this.responseStart;
    if (packets.inside || packets.offset > start) {
      // A request that was answered early ends with the connection.
      if (side === 'client' && this.early > 0 && !packets.inside) this.emitRequest();
      else this.lose(`the ${side} ended inside a message`);
    }
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

  private clientRecord(bytes: Uint8Array, at: number): void {
    const type = bytes[at + 1]!;
    const id = word(bytes, at + 2);
    const empty = word(bytes, at + 4) === 0;
    this.requestEnds = false;
    if (id === 0) {
      this.requestEnds = type === TYPE.getValues;
      return;
    }
    if (type === TYPE.begin && this.request === 0) {
      this.request = id;
      this.role = word(bytes, at + HEADER_BYTES);
      return;
    }
    if (id !== this.request) {
      // An abort may come after the request was whole; it belongs to the next one's bytes then.
      if (type !== TYPE.abort) this.lose('FastCGI requests multiplexed on one connection');
      return;
    }
    this.requestEnds = type === TYPE.abort
      || (type === TYPE.stdin && empty && this.role !== FILTER)
      || (type === TYPE.params && empty && this.role === AUTHORIZER)
      || (type === TYPE.data && empty && this.role === FILTER);
    if (this.role < RESPONDER || this.role > FILTER) this.lose('a FastCGI role that is not known');
  }

  private clientDone(): void {
    if (this.requestEnds) this.emitRequest();
  }

  private emitRequest(): void {
    this.requestEnds = false;
    this.request = 0;
    if (this.early > 0) this.early--;
    else this.unanswered++;
    this.out.push({ side: 'client', start: this.requestStart, end: this.client.offset, role: 'request' });
    this.requestStart = this.client.offset;
  }

  private serverRecord(bytes: Uint8Array, at: number): void {
    const type = bytes[at + 1]!;
    const id = word(bytes, at + 2);
    this.responseEnds = type === TYPE.end || (id === 0 && type >= TYPE.getValuesResult);
  }

  private serverDone(): void {
    if (!this.responseEnds) return;
    this.responseEnds = false;
    if (this.unanswered > 0) this.unanswered--;
    else if (this.request !== 0 && this.early === 0) this.early++;
    else {
      this.lose('an answer to nothing that was seen');
      return;
    }
    this.out.push({ side: 'server', start: this.responseStart, end: this.server.offset, role: 'response' });
    this.responseStart = this.server.offset;
  }

  private lose(reason: string): void {
    this.client.stopped ??= reason;
    this.server.stopped ??= reason;
  }
}

function shape(bytes: Uint8Array, at: number, available: number): Shape | number | string {
  if (bytes[at] !== 1) return 'no FastCGI record';
  if (available < HEADER_BYTES) return HEADER_BYTES;
  const type = bytes[at + 1]!;
  if (type === 0 || type > TYPE.unknownType) return 'no FastCGI record';
  return { head: HEADER_BYTES, body: word(bytes, at + 4) + bytes[at + 6]!, look: type === TYPE.begin ? 8 : 0 };
}

const word = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) << 8 | (bytes[at + 1] ?? 0);
