/**
 * A mock, in the thread that lives in the command's network: all recorded calls are in play while the command runs, and what it asks
 * for is told as it is asked.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TcpSocket } from '../kernel/tcp-table.ts';
import type { Session } from '../sessions/session.ts';
import type { Engine } from './engine.ts';
import { FAULT_CHAIN, FaultRules } from './fault-rules.ts';
import { faultsOf } from './faults.ts';
import type { Play } from './play.ts';
import type { LiveCall } from './played.ts';

/** A call that was made. `passedOn`: nothing recorded answers it, and the real server did. `connect`: a connection to where nothing was recorded, of which no more is known. */
export interface AskedCall {
  readonly call: LiveCall;
  readonly passedOn?: true;
  readonly connect?: true;
}

export interface MockEnd {
  /** Connects that failed as recorded, by destination: how many. */
  readonly failed: readonly { readonly destination: string; readonly recorded: number; readonly times: number }[];
  /** Recorded calls that nobody made. */
  readonly unused: number;
}

export interface MockingOptions {
  readonly engine: Engine;
  readonly session: Session;
  /** What nothing recorded answers is asked elsewhere. */
  readonly passesOn: boolean;
  readonly sockets: () => readonly TcpSocket[];
  tell(calls: readonly AskedCall[]): void;
}

const LAST_MS = 20;
/** Calls made within so long are told of in one message. */
const TELL_AFTER_MS = 2;

export class Mocking {
  readonly #options: MockingOptions;
  readonly #rules: FaultRules | undefined;
  readonly #play: Play;
  readonly #startedMs = performance.now();
  /** Connections to where nothing was recorded. */
  readonly #unknown = new Map<Socket, string>();
  /** Asked elsewhere, not answered yet. */
  readonly #onTheirWay = new Set<LiveCall>();
  #asked: AskedCall[] = [];

  constructor(options: MockingOptions) {
    this.#options = options;
    const { engine, session, sockets } = options;
    const faults = faultsOf(session);
    this.#rules = faults.length === 0 ? undefined : new FaultRules(faults, FAULT_CHAIN, sockets);
    this.#play = engine.beginMock(session);
    this.#play.onCall = () => { this.#take(); };
  }

  /** Before the command begins. */
  async begin(): Promise<void> {
    await this.#rules?.impose();
  }

  passedOn(call: LiveCall, answered: boolean): void {
    if (this.#onTheirWay.delete(call)) this.#tell({ call, ...(answered ? { passedOn: true as const } : {}) });
  }

  /** A connection to where nothing was recorded was let through whole, or would have been. */
  connected(destination: string, answered: boolean): void {
    this.#tell({ call: this.#connect(destination), connect: true, ...(answered ? { passedOn: true as const } : {}) });
  }

  /** A connection to where nothing was recorded: who says nothing on it waits for the server to speak first, in vain. */
  unknown(socket: Socket, destination: string): void {
    this.#unknown.set(socket, destination);
    socket.once('close', () => { this.#left(socket); });
  }

  /** The command has ended. */
  async end(): Promise<MockEnd> {
    // What it said last may still be on its way.
    await sleep(LAST_MS);
    for (const socket of [...this.#unknown.keys()]) this.#left(socket);
    for (const call of this.#onTheirWay) this.#tell({ call });
    this.#onTheirWay.clear();
    const met = await this.#rules?.met() ?? [];
    this.#flush();
    return {
      failed: met.flatMap(({ fault: { destination, indexes: [recorded] }, attempts }) => (attempts === 0 || recorded === undefined ? [] : [{ destination, recorded, times: attempts }])),
      unused: this.#play.awaited.length,
    };
  }

  /** The calls are not kept: a command may run for days. */
  #take(): void {
    for (const call of this.#play.calls.splice(0)) {
      if (call.how === 'none' && this.#options.passesOn) this.#onTheirWay.add(call);
      else this.#tell({ call });
    }
  }

  #left(socket: Socket): void {
    const destination = this.#unknown.get(socket);
    this.#unknown.delete(socket);
    if (destination === undefined || socket.bytesRead > 0) return;
    this.#tell({ call: this.#connect(destination), connect: true });
  }

  #connect(destination: string): LiveCall {
    const nowMs = performance.now() - this.#startedMs;
    return { destination, protocol: 'unknown', request: new Uint8Array(0), how: 'none', beganMs: nowMs, endedMs: nowMs };
  }

  #tell(asked: AskedCall): void {
    if (this.#asked.push(asked) === 1) setTimeout(() => { this.#flush(); }, TELL_AFTER_MS);
  }

  #flush(): void {
    if (this.#asked.length === 0) return;
    this.#options.tell(this.#asked);
    this.#asked = [];
  }
}
