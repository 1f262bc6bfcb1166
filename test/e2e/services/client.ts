/**
 * The clients: raw sockets that write down every byte they sent and got, so that the recording can be held against them.
 * The little HTTP reader here is the test's own, on purpose: truth must not come from the code under test.
 */
import { createConnection, type Socket } from 'node:net';

export interface Asked {
  readonly rid: string;
  /** Path and query, the id in it. */
  readonly target: string;
  /** With a body it is a POST, else a GET. */
  readonly body?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Exchange extends Omit<Asked, 'body' | 'headers'> {
  readonly request: Buffer;
  /** Every byte of the answer, as it came, and when it was whole (performance.now). */
  readonly response: Buffer;
  readonly answeredAt: number;
  readonly status: number;
  /** The answer's body, chunking undone. */
  readonly body: Buffer;
  /** "IP:PORT" of the client's end. */
  readonly from: string;
  /** Tells connections apart, also where a port was used again. */
  readonly connection: number;
}

/** `size` clients, each with one connection at a time; a connection that the server closes is opened anew. */
export class Clients {
  readonly #port: number;
  readonly #clients: Client[];
  /** How many answers came so far. */
  answered = 0;

  constructor(port: number, size: number, options: { readonly keepAlive: boolean }) {
    this.#port = port;
    this.#clients = Array.from({ length: size }, () => new Client(this.#port, options.keepAlive));
  }

  /** Sends them all, each client one after the other's answer; resolves in the order asked. */
  async send(asked: readonly Asked[]): Promise<Exchange[]> {
    const exchanges: Exchange[] = [];
    let next = 0;
    await Promise.all(this.#clients.map(async (client) => {
      for (let index = next++; index < asked.length; index = next++) {
        exchanges[index] = await client.send(asked[index]!);
        this.answered += 1;
      }
    }));
    return exchanges;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

let connections = 0;

class Client {
  readonly #port: number;
  readonly #keepAlive: boolean;
  #socket: Socket | undefined;
  #connection = 0;

  constructor(port: number, keepAlive: boolean) {
    this.#port = port;
    this.#keepAlive = keepAlive;
  }

  async send(asked: Asked): Promise<Exchange> {
    const kept = this.#socket;
    const usable = kept !== undefined && !kept.destroyed && !kept.readableEnded;
    const socket = usable ? kept : await connect(this.#port);
    if (!usable) this.#connection = connections += 1;
    this.#socket = socket;
    const from = `${socket.localAddress}:${socket.localPort}`;
    const body = asked.body ?? Buffer.alloc(0);
    const length = asked.body === undefined ? '' : `Content-Length: ${body.length}\r\n`;
    const head = `${asked.body === undefined ? 'GET' : 'POST'} ${asked.target} HTTP/1.1\r\nHost: shop.test\r\nX-Rid: ${asked.rid}\r\n`
      + `${Object.entries(asked.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`).join('')}${length}${this.#keepAlive ? '' : 'Connection: close\r\n'}\r\n`;
    const request = Buffer.concat([Buffer.from(head), body]);
    const { response, ended } = await exchange(socket, request, asked.rid);
    const read = readResponse(response, ended);
    if (read === undefined) throw new Error(`${asked.rid}: the answer ended early after ${response.length} bytes`);
    if (read.closes || ended) this.close();
    return { rid: asked.rid, target: asked.target, request, response, answeredAt: performance.now(), status: read.status, body: read.body, from, connection: this.#connection };
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

function connect(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.once('connect', () => resolve(socket));
    socket.on('error', reject);
  });
}

function exchange(socket: Socket, request: Buffer, rid: string): Promise<{ response: Buffer; ended: boolean }> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const done = (error: Error | undefined, ended: boolean): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('error', onError);
      if (error === undefined) resolve({ response: Buffer.concat(parts), ended });
      else reject(error);
    };
    const onData = (part: Buffer): void => {
      parts.push(part);
      const read = readResponse(Buffer.concat(parts), false);
      if (read !== undefined && !read.closes) done(undefined, false);
    };
    const onEnd = (): void => done(undefined, true);
    const onError = (error: Error): void => done(error, false);
    const timer = setTimeout(() => done(new Error(`${rid}: no whole answer in 20 s`), false), 20_000);
    socket.on('data', onData).once('end', onEnd).once('error', onError);
    socket.write(request);
  });
}

interface Read {
  readonly status: number;
  readonly body: Buffer;
  /** The server said it closes: the answer is whole only at its FIN. */
  readonly closes: boolean;
}

/** The response, once it is whole; undefined before. `ended`: the server has sent its FIN. */
export function readResponse(bytes: Buffer, ended: boolean): Read | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const rest = bytes.subarray(headEnd + 4);
  const status = Number(head.slice(9, 12));
  const closes = /\r\nconnection: *close/i.test(head);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    const body = unchunk(rest);
    return body === undefined ? undefined : { status, body, closes };
  }
  if (length !== undefined) return rest.length < Number(length) ? undefined : { status, body: rest, closes };
  return ended ? { status, body: rest, closes: true } : undefined;
}

function unchunk(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const start = lineEnd + 2;
    if (bytes.length < start + size + 2) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
}
