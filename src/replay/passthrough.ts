/**
 * The way to the real world, for what the user let through. The proxy lives in the service's network, from where nothing real
 * can be reached; so the main thread, which stayed in the host's, connects, and hands over the descriptor: threads share those,
 * and a socket keeps the network that it was made in.
 */
import { lookup } from 'node:dns/promises';
import { isIP, Socket } from 'node:net';
import type { Address } from '../bytes/address.ts';
import { connectMarked } from '../kernel/namespace.ts';
import type { Frame, Framer, Protocol } from '../protocols/protocol.ts';
import { OUR_MARK } from './confine.ts';

/** Asked by the worker; `host` may be a name. `here`: only its address is wanted, the worker's network is the real one. */
export interface Dial {
  readonly kind: 'dial';
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly here: boolean;
}

export interface Dialled {
  readonly kind: 'dialled';
  readonly id: number;
  readonly to: { readonly fd: number } | { readonly address: Address } | { readonly problem: string };
}

/** In the main thread. */
export async function dialReal({ id, host, port, here }: Dial): Promise<Dialled> {
  try {
    const address = { host: isIP(host) === 0 ? (await lookup(host)).address : host, port };
    return { kind: 'dialled', id, to: here ? { address } : { fd: connectMarked(address, 0) } };
  } catch (error) {
    return { kind: 'dialled', id, to: { problem: (error as Error).message } };
  }
}

/** In the worker. */
export class RealWorld {
  readonly #ask: (dial: Dial) => void;
  readonly #here: boolean;
  readonly #waiting = new Map<number, (to: Dialled['to']) => void>();
  #asked = 0;

  /** `here`: the service runs in the real world already, and our mark is all it takes to leave from its network. */
  constructor(here: boolean, ask: (dial: Dial) => void) {
    this.#here = here;
    this.#ask = ask;
  }

  dialled({ id, to }: Dialled): void {
    this.#waiting.get(id)?.(to);
    this.#waiting.delete(id);
  }

  /** A connection that may still be connecting; undefined, and `problem` is told, when there is none to be had. */
  async connect(host: string, port: number, problem: (why: string) => void): Promise<Socket | undefined> {
    const id = this.#asked += 1;
    const to = await new Promise<Dialled['to']>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#ask({ kind: 'dial', id, host, port, here: this.#here });
    });
    try {
      if ('problem' in to) throw new Error(to.problem);
      const fd = 'fd' in to ? to.fd : connectMarked(to.address, OUR_MARK);
      return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    } catch (error) {
      problem((error as Error).message);
      return undefined;
    }
  }
}

/** Each hears what the other says, and ends when it does. */
export function join(client: Socket, server: Socket): void {
  client.pipe(server).pipe(client);
  for (const [one, other] of [[client, server], [server, client]] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}

export interface RealCallOptions {
  connect(): Promise<Socket | undefined>;
  readonly protocol: Protocol | undefined;
  /** How long an answer may take, and the pause that ends one whose end can't be told. */
  readonly answerMs: number;
  readonly quietMs: number;
  /** Default `MAX_ANSWER_BYTES`. */
  readonly maxAnswerBytes?: number;
}

export interface RealAnswer {
  readonly bytes: Uint8Array;
  /** The server ended the connection with it. */
  readonly ended: boolean;
}

/** Set-up requests that are said again. */
const MAX_SETUPS = 64;
/** An answer that is longer is broken off, as the server's connection is. */
export const MAX_ANSWER_BYTES = 256 << 20;

/** Single requests of one connection, asked of the real server on a connection of its own; one after the other. */
export class RealCalls {
  readonly #options: RealCallOptions;
  /** What the service set its connection up with: said again on each of ours. */
  readonly #setups: Uint8Array[] = [];
  #framer: Framer | undefined;
  #frames: Frame[] = [];
  #socket: Socket | undefined;
  #before: Promise<unknown> = Promise.resolve();
  #heard: (bytes: Buffer) => void = () => undefined;
  #over: () => void = () => undefined;

  constructor(options: RealCallOptions) {
    this.#options = options;
  }

  /** Of more than are kept the first and the latest: a login, and what holds now. */
  setUp(request: Uint8Array): void {
    if (this.#setups.length >= MAX_SETUPS) this.#setups.splice(MAX_SETUPS / 2, 1);
    this.#setups.push(request);
  }

  /** The real answer; undefined when none was to be had. Never rejects. */
  ask(request: Uint8Array): Promise<RealAnswer | undefined> {
    const answer = this.#before.then(() => this.#ask(request));
    this.#before = answer;
    return answer;
  }

  close(): void {
    this.#socket?.destroy();
  }

  async #ask(request: Uint8Array): Promise<RealAnswer | undefined> {
    if (this.#socket === undefined) {
      this.#socket = await this.#open();
      for (const setup of this.#setups) if (this.#socket !== undefined) await this.#exchange(this.#socket, setup);
    }
    return this.#socket === undefined ? undefined : this.#exchange(this.#socket, request);
  }

  #exchange(socket: Socket, request: Uint8Array): Promise<RealAnswer | undefined> {
    const { answerMs, quietMs } = this.#options;
    // One after the other: what was asked before is answered.
    this.#frames.length = 0;
    this.#framer?.push('client', request, this.#frames);
    const asked = this.#frames.filter(({ role }) => role === 'request').length;
    const framed = this.#framer?.sure === true && asked > 0;
    const isWhole = (): boolean => this.#frames.filter(({ role }) => role === 'response').length >= asked;
    const parts: Uint8Array[] = [];
    let length = 0;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const done = (ended: boolean): void => {
        clearTimeout(timer);
        this.#heard = () => undefined;
        this.#over = () => undefined;
        resolve(parts.length === 0 ? undefined : { bytes: Buffer.concat(parts), ended });
      };
      const wait = (ms: number): void => {
        clearTimeout(timer);
        timer = setTimeout(done, ms, false);
      };
      wait(answerMs);
      this.#over = () => { done(true); };
      this.#heard = (bytes) => {
        parts.push(bytes);
        length += bytes.length;
        if (length > (this.#options.maxAnswerBytes ?? MAX_ANSWER_BYTES)) {
          done(true);
          socket.destroy();
          return;
        }
        this.#framer?.push('server', bytes, this.#frames);
        if (framed && isWhole()) done(false);
        else wait(framed ? answerMs : quietMs);
      };
      socket.write(request);
    });
  }

  async #open(): Promise<Socket | undefined> {
    this.#framer = this.#options.protocol?.framer();
    this.#frames = [];
    const socket = await this.#options.connect();
    const over = (): void => {
      if (this.#socket === socket) this.#socket = undefined;
      this.#over();
    };
    socket?.on('data', (bytes: Buffer) => { this.#heard(bytes); });
    for (const event of ['error', 'end', 'close']) socket?.on(event, over);
    return socket;
  }
}
