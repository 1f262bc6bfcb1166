/** What an HTTP/1 framer knows of one direction of its connection. */
import { Pending } from './pending.ts';
import type { Frame, Side } from './protocol.ts';

/** Where a side is within its current message. */
export const At = {
  start: 0, header: 1, body: 2, chunkSize: 3, chunkData: 4, chunkEnd: 5, trailer: 6, untilEnd: 7, declined: 8, connecting: 9,
} as const;
export type At = (typeof At)[keyof typeof At];

/** Kinds of request that change how the answer is read. */
export const Kind = { plain: 0, head: 1, connect: 2 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** One direction's state: where it stands, and the facts of the head that it read last. */
export class HttpStream {
  readonly side: Side;
  readonly pending: Pending;
  at: At = At.start;
  /** Stream offset of the next byte to be read, and of the current message's first byte. */
  offset = 0;
  start = 0;
  /** Bytes of head, chunk line or trailers since the last bound was reset. */
  lineBytes = 0;
  /** Bytes of body or chunk still to come. */
  remaining = 0;
  // Facts of the current head.
  kind: Kind = Kind.plain;
  status = 0;
  contentLength = -1;
  transfer: string | undefined;
  upgrade: string | undefined;
  expects = false;
  /** The header field that a folded line would continue. */
  folding: 'content-length' | 'transfer-encoding' | 'other' = 'other';
  role: Frame['role'] = 'request';
  bodyStart = 0;

  constructor(side: Side, maxPendingBytes: number) {
    this.side = side;
    this.pending = new Pending(maxPendingBytes);
  }

  /** Something of a message is there. */
  get inside(): boolean {
    return this.at !== At.start || this.offset > this.start || this.pending.length > 0;
  }

  next(): void {
    this.at = At.start;
    this.start = this.offset;
    this.lineBytes = 0;
    this.forgetHead();
  }

  forgetHead(): void {
    this.contentLength = -1;
    this.transfer = undefined;
    this.upgrade = undefined;
    this.expects = false;
    this.folding = 'other';
  }
}
