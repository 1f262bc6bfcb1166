/**
 * Connections to the SUT as the recorded clients had them: one that carried several sessions carries them again. Kept only
 * while its next session is to come, and never at the cost of others: a service whose every thread waits on a kept one would
 * answer nobody.
 */
import { Socket } from 'node:net';
import { canonicalHost, formatAddress, type Address } from '../bytes/address.ts';
import { connectMarked } from '../kernel/namespace.ts';
import { OUR_MARK } from './confine.ts';

const CONNECT_AGAIN_MS = [5, 20, 100, 400];

export interface Dialling {
  readonly sut: Address;
  /** False: who refuses is not asked again. */
  readonly patient: () => boolean;
}

/** Who reads from a connection at the moment. */
export interface Reader {
  data(bytes: Buffer): void;
  ended(how: 'fin' | 'reset' | 'refused'): void;
}

export class ClientConnection {
  readonly socket: Socket;
  /** Our end, "IP:PORT". */
  readonly local: string | undefined;
  #reader: Reader | undefined;
  #isOver = false;

  constructor(socket: Socket) {
    this.socket = socket;
    const { localAddress, localPort } = socket;
    this.local = localAddress === undefined ? undefined : formatAddress({ host: canonicalHost(localAddress) ?? localAddress, port: localPort ?? 0 });
    // What comes unasked ends it.
    socket.on('data', (bytes: Buffer) => { if (this.#reader === undefined) this.close(); else this.#reader.data(bytes); });
    socket.on('end', () => { this.#over('fin'); });
    socket.on('error', (error: NodeJS.ErrnoException) => { this.#over(error.code === 'ECONNREFUSED' ? 'refused' : 'reset'); });
    socket.on('close', () => { this.#over('fin'); });
  }

  /** Where the next request begins in the stream of all that was sent. */
  get position(): number {
    return this.socket.bytesWritten;
  }

  /** Nothing comes any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  readTo(reader: Reader | undefined): void {
    this.#reader = reader;
  }

  close(): void {
    this.#isOver = true;
    this.#reader = undefined;
    this.socket.destroy();
  }

  #over(how: 'fin' | 'reset' | 'refused'): void {
    this.#isOver = true;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.socket.destroy();
    else reader.ended(how);
  }
}

export class ClientConnections {
  readonly #kept = new Map<string, ClientConnection>();

  /** The one that an earlier session of this line left, if it still is one. */
  take(line: string): ClientConnection | undefined {
    const kept = this.#kept.get(line);
    this.#kept.delete(line);
    return kept === undefined || kept.isOver ? undefined : kept;
  }

  keep(line: string, connection: ClientConnection): void {
    this.#kept.get(line)?.close();
    connection.readTo(undefined);
    this.#kept.set(line, connection);
  }

  /** Ends those that wait for their next session; true when there were some. */
  release(): boolean {
    const some = this.#kept.size > 0;
    for (const kept of this.#kept.values()) kept.close();
    this.#kept.clear();
    return some;
  }
}

/** A connection to the SUT from the address of the recorded client (its port too, if it is free); retried briefly when it refuses. */
export async function dial({ sut, patient }: Dialling, client: Address | undefined): Promise<ClientConnection | undefined> {
  let from = client;
  for (let attempt = 0; ;) {
    try {
      const fd = connectMarked(sut, OUR_MARK, from);
      return new ClientConnection(new Socket({ fd, readable: true, writable: true, allowHalfOpen: true }));
    } catch (error) {
      const taken = ['EADDRNOTAVAIL', 'EADDRINUSE'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (taken && from !== undefined && from.port !== 0) {
        from = { host: from.host, port: 0 };
        continue;
      }
      const pauseMs = CONNECT_AGAIN_MS[attempt];
      if (pauseMs === undefined || !patient()) return undefined;
      attempt += 1;
      await new Promise((resolve) => { setTimeout(resolve, pauseMs); });
    }
  }
}
