/**
 * HTTP/1 framing after RFC 9112 §6 (message body length), and what servers and clients do beyond it: bare LF, leading
 * CRLF, obs-fold, early answers, tunnels. Bodies are counted, never held. Every byte of a sure stream is in exactly one
 * frame: a frame starts where the one before it ended, so blank lines between messages belong to the later one.
 *
 * `unsureBecause` of tunnels begins with `upgrade to` or `tunnel`.
 */
import { equalsAt, latin1Text } from './ascii.ts';
import { Fifo } from './fifo.ts';
import { readField } from './http-fields.ts';
import { At, HttpStream, Kind } from './http-stream.ts';
import { CR, digits, hex, HTTP_1, isBlank, isChunked, isPreface, isToken, LF, maxMethodChars, METHODS, NO_LENGTH, SP, trimCr, TWO_LENGTHS } from './http-syntax.ts';
import type { Frame, Framer, Side } from './protocol.ts';

/** Caps. Servers stop far below: nginx at 8 KiB a line, Node at 16 KiB a head, Go at 1 MiB. */
export const maxHeadBytes = 1 << 20;
export const maxChunkLineBytes = 16 << 10;
/** Requests that are on their way without an answer. */
export const maxUnanswered = 1 << 16;

export class HttpFramer implements Framer {
  sure = true;
  unsureBecause?: string;
  private readonly client = new HttpStream('client', maxHeadBytes);
  private readonly server = new HttpStream('server', maxHeadBytes);
  /** Kinds of the requests whose answer's head has not come. */
  private readonly unanswered = new Fifo(maxUnanswered);
  /** The answer to the request whose head is still coming has come already (408, 431). */
  private answeredInHead = false;

  push(side: Side, bytes: Uint8Array, out: Frame[]): void {
    const stream = side === 'client' ? this.client : this.server;
    let from = 0;
    while (from < bytes.length && this.sure) from = this.step(stream, bytes, from, out);
  }

  gap(side: Side, length: number, _out: Frame[]): void {
    if (!this.sure || length <= 0) return;
    const stream = side === 'client' ? this.client : this.server;
    if (stream.at === At.untilEnd) {
      stream.offset += length;
    } else if ((stream.at === At.body || stream.at === At.chunkData) && length <= stream.remaining) {
      stream.offset += length;
      stream.remaining -= length;
      if (stream.remaining === 0) this.bodyPartDone(stream, _out);
    } else {
      this.lose(stream.at === At.body || stream.at === At.chunkData
        ? 'gap across the end of a body' : stream.inside ? 'gap in a header' : 'gap between messages');
    }
  }

  end(side: Side, out: Frame[]): void {
    if (!this.sure) return;
    const stream = side === 'client' ? this.client : this.server;
    if (stream.at === At.untilEnd) {
      this.emit(stream, out);
    } else if (side === 'client' && stream.inside && this.isAnswered(stream)) {
      stream.offset += stream.pending.length;
      this.emit(stream, out);
    } else if (stream.inside && stream.at !== At.connecting && !this.onlyBlankLines(stream)) {
      this.lose(`the ${side} ended inside a message`);
    }
  }

  /** Reads some of `bytes` from `from` on; returns where it stopped: further on, or at the same byte in another state. */
  private step(stream: HttpStream, bytes: Uint8Array, from: number, out: Frame[]): number {
    switch (stream.at) {
      case At.body:
      case At.chunkData: {
        const taken = Math.min(stream.remaining, bytes.length - from);
        stream.offset += taken;
        stream.remaining -= taken;
        if (stream.remaining === 0) this.bodyPartDone(stream, out);
        return from + taken;
      }
      case At.untilEnd:
        stream.offset += bytes.length - from;
        return bytes.length;
      case At.connecting:
        this.lose('tunnel by CONNECT (the client did not wait for the answer)');
        return bytes.length;
      case At.declined:
        return this.bodyOrNextRequest(stream, bytes, from, out);
      default:
        return this.readLine(stream, bytes, from, out);
    }
  }

  private readLine(stream: HttpStream, bytes: Uint8Array, from: number, out: Frame[]): number {
    const length = bytes.length;
    let to = from;
    while (to < length && bytes[to] !== LF) to++;
    const pending = stream.pending;
    if (stream.at === At.start && pending.length === 0 && !this.mayStart(stream, bytes[from]!)) {
      this.lose(`no HTTP/1 where a ${stream.side === 'client' ? 'request' : 'response'} should begin`);
      return length;
    }
    const cap = stream.at === At.chunkSize || stream.at === At.chunkEnd ? maxChunkLineBytes : maxHeadBytes;
    stream.lineBytes += to - from + 1;
    if (stream.lineBytes > cap) {
      this.lose(cap === maxHeadBytes ? `a header beyond ${maxHeadBytes} bytes` : `a chunk line beyond ${maxChunkLineBytes} bytes`);
      return length;
    }
    if (to === length) {
      stream.lineBytes--;
      pending.append(bytes, from, to);
      return length;
    }
    stream.offset += to + 1 - from;
    if (pending.length === 0) {
      this.line(stream, bytes, from, trimCr(bytes, from, to), out);
    } else {
      stream.offset += pending.length;
      pending.append(bytes, from, to);
      const whole = pending.bytes();
      this.line(stream, whole, 0, trimCr(whole, 0, whole.length), out);
      pending.clear();
    }
    return to + 1;
  }

  /** A whole line `bytes[from, to)` without its end. */
  private line(stream: HttpStream, bytes: Uint8Array, from: number, to: number, out: Frame[]): void {
    switch (stream.at) {
      case At.start:
        if (from === to) return; // blank lines before a message (RFC 9112 §2.2)
        if (stream.side === 'client') this.requestLine(stream, bytes, from, to);
        else this.statusLine(stream, bytes, from, to);
        return;
      case At.header:
        if (from === to) this.headDone(stream, out);
        else readField(stream, bytes, from, to);
        return;
      case At.chunkSize:
        this.chunkSize(stream, bytes, from, to);
        return;
      case At.chunkEnd:
        if (from !== to) this.lose('a chunk that does not end where it said');
        stream.at = At.chunkSize;
        stream.lineBytes = 0;
        return;
      default: // trailer
        if (from === to) this.emit(stream, out);
    }
  }

  private requestLine(stream: HttpStream, bytes: Uint8Array, from: number, to: number): void {
    let space = from;
    while (space < to && bytes[space] !== SP) space++;
    const version = to - 8;
    if (space === from || space - from > maxMethodChars || version <= space + 1 || bytes[version - 1] !== SP || !equalsAt(bytes, version, HTTP_1)) {
      this.lose(isPreface(bytes, from, to) ? 'HTTP/2 preface' : 'no HTTP/1 where a request should begin');
      return;
    }
    stream.kind = Kind.plain;
    if (space - from === 4 && bytes[from] === 0x48 && bytes[from + 1] === 0x45 && bytes[from + 2] === 0x41) stream.kind = Kind.head;
    else if (space - from === 7 && bytes[from] === 0x43 && bytes[from + 1] === 0x4f && bytes[from + 2] === 0x4e) stream.kind = Kind.connect;
    stream.at = At.header;
  }

  private statusLine(stream: HttpStream, bytes: Uint8Array, from: number, to: number): void {
    const status = to - from < 12 ? -1 : digits(bytes, from + 9, from + 12);
    if (status < 100 || !equalsAt(bytes, from, HTTP_1) || bytes[from + 8] !== SP) {
      this.lose('no HTTP/1 where a response should begin');
      return;
    }
    stream.status = status;
    stream.at = At.header;
  }

  private headDone(stream: HttpStream, out: Frame[]): void {
    stream.bodyStart = stream.offset;
    stream.lineBytes = 0;
    if (stream.side === 'client') this.requestHead(stream, out);
    else this.responseHead(stream, out);
  }

  private requestHead(stream: HttpStream, out: Frame[]): void {
    stream.role = 'request';
    if (this.answeredInHead) {
      this.answeredInHead = false;
    } else if (!this.unanswered.push(stream.kind)) {
      this.lose(`more than ${maxUnanswered} requests without an answer`);
      return;
    }
    if (stream.transfer !== undefined) {
      if (isChunked(stream.transfer)) stream.at = At.chunkSize;
      else this.lose('a request with a transfer coding that has no end');
    } else if (stream.contentLength > 0) {
      stream.at = At.body;
      stream.remaining = stream.contentLength;
    } else if (stream.contentLength < NO_LENGTH) {
      this.lose(stream.contentLength === TWO_LENGTHS ? 'two different Content-Lengths' : 'a Content-Length that is no number');
    } else {
      const connects = stream.kind === Kind.connect;
      this.emit(stream, out);
      if (connects) stream.at = At.connecting;
    }
  }

  private responseHead(stream: HttpStream, out: Frame[]): void {
    const { status } = stream;
    if (status < 200 && status !== 101) {
      stream.role = 'interim';
      if (status === 100) this.client.expects = false;
      this.emit(stream, out);
      return;
    }
    const kind = this.answer(stream);
    if (status === 101) {
      const to = stream.upgrade ?? 'an unnamed protocol';
      this.emit(stream, out);
      this.lose(`upgrade to ${to}`);
    } else if (kind === Kind.connect && status < 300) {
      this.emit(stream, out);
      this.lose('tunnel by CONNECT');
    } else if (kind === Kind.head || status === 204 || status === 304) {
      this.emit(stream, out);
    } else if (stream.transfer !== undefined) {
      stream.at = isChunked(stream.transfer) ? At.chunkSize : At.untilEnd;
    } else if (stream.contentLength < NO_LENGTH) {
      this.lose(stream.contentLength === TWO_LENGTHS ? 'two different Content-Lengths' : 'a Content-Length that is no number');
    } else if (stream.contentLength === NO_LENGTH) {
      stream.at = At.untilEnd;
    } else if (stream.contentLength === 0) {
      this.emit(stream, out);
    } else {
      stream.at = At.body;
      stream.remaining = stream.contentLength;
    }
  }

  /** Which request a final response answers; sets the response's role. */
  private answer(stream: HttpStream): Kind {
    const client = this.client;
    stream.role = 'response';
    if (this.unanswered.length > 0) {
      const kind = this.unanswered.shift() as Kind;
      if (this.unanswered.length > 0) return kind;
      if (client.at === At.connecting) client.at = At.start;
      if (client.expects && client.offset === client.bodyStart && client.pending.length === 0
        && (client.at === At.body || client.at === At.chunkSize)) {
        client.at = At.declined;
      }
      return kind;
    }
    if (client.inside && !this.answeredInHead && (client.at === At.start || client.at === At.header)) this.answeredInHead = true;
    else stream.role = 'push';
    return Kind.plain;
  }

  /**
   * The client waited for 100 and got its answer instead: it may send the body all the same, or leave it out and go on
   * with its next request (RFC 9110 §10.1.1). The next bytes tell: a known method and a space are a request.
   */
  private bodyOrNextRequest(stream: HttpStream, bytes: Uint8Array, from: number, out: Frame[]): number {
    const { pending } = stream;
    let at = from;
    let byte = bytes[at]!;
    while (byte >= 65 && byte <= 90 && pending.length + (at - from) < maxMethodChars) {
      at++;
      if (at === bytes.length) {
        pending.append(bytes, from, at);
        return at;
      }
      byte = bytes[at]!;
    }
    pending.append(bytes, from, at);
    const held = pending.bytes().slice();
    pending.clear();
    if (byte === SP && METHODS.has(latin1Text(held))) this.emit(stream, out);
    else if (stream.transfer !== undefined) stream.at = At.chunkSize;
    else stream.at = At.body;
    stream.expects = false;
    this.push(stream.side, held, out);
    return at;
  }

  private chunkSize(stream: HttpStream, bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    let size = 0;
    let value = hex(bytes[at]);
    while (at < to && value >= 0) {
      size = size * 16 + value;
      if (size > Number.MAX_SAFE_INTEGER) break;
      value = hex(bytes[++at]);
    }
    const after = bytes[at];
    if (at === from || size > Number.MAX_SAFE_INTEGER || (at < to && after !== 59 && !isBlank(after!))) {
      this.lose('a chunk size that is no number');
      return;
    }
    stream.lineBytes = 0;
    if (size === 0) {
      stream.at = At.trailer;
    } else {
      stream.remaining = size;
      stream.at = At.chunkData;
    }
  }

  private bodyPartDone(stream: HttpStream, out: Frame[]): void {
    if (stream.at === At.body) this.emit(stream, out);
    else stream.at = At.chunkEnd;
  }

  private emit(stream: HttpStream, out: Frame[]): void {
    out.push({ side: stream.side, start: stream.start, end: stream.offset, role: stream.role });
    stream.next();
  }

  private lose(reason: string): void {
    if (!this.sure) return;
    this.sure = false;
    this.unsureBecause = reason;
    this.client.pending.clear();
    this.server.pending.clear();
    this.unanswered.clear();
  }

  private isAnswered(client: HttpStream): boolean {
    if (client.at === At.start || client.at === At.header) return this.answeredInHead;
    return client.at !== At.connecting && this.unanswered.length === 0;
  }

  private onlyBlankLines(stream: HttpStream): boolean {
    return stream.at === At.start && stream.pending.length <= 1;
  }

  private mayStart(stream: HttpStream, byte: number): boolean {
    if (byte === CR || byte === LF) return true;
    return stream.side === 'server' ? byte === 0x48 : isToken(byte);
  }
}
