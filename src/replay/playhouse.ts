/**
 * Where a service is played to: its namespace, the thread that plays the world in there, the host's unix sockets kept from it.
 * Who plays what on that stage (sessions, a mock) is another's business.
 */
import type { Worker } from 'node:worker_threads';
import { EnvironmentError } from '../errors.ts';
import { startThread } from '../kernel/thread.ts';
import type { Confinement, Listening } from './confine.ts';
import { CoveredSockets } from './covered-sockets.ts';
import { Inbox } from './inbox.ts';
import { dialReal } from './passthrough.ts';
import { socketPath } from './playable.ts';
import type { World } from './played.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker.ts';

/** Beyond the worker's own bounds: it is stuck. */
export const WORKER_MS = 30_000;

/** The thread, which loads its modules while the rest is made ready. */
export class PlayerThread {
  readonly inbox: Inbox<FromWorker>;
  readonly #worker: Worker;

  constructor(signal: AbortSignal) {
    this.#worker = startThread('./worker', import.meta.url, undefined);
    this.inbox = new Inbox<FromWorker>(this.#worker, signal);
  }

  /** The buffers move there. */
  tell(message: ToWorker | WorkerStart, moved: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, moved);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Paths of the recorded unix sockets that are to be played. */
export const playedPaths = ({ protocols, bypassed }: Pick<World, 'protocols' | 'bypassed'>): string[] =>
  Object.keys(protocols).flatMap((destination) => socketPath(destination) ?? []).filter((path) => bypassed.sockets?.includes(path) !== true);

export interface Heard {
  note(text: string): void;
  /** Told of what the thread says beyond what every run hears; true: nobody waits for it. */
  hear?(message: FromWorker): boolean;
}

export class Playhouse {
  readonly confinement: Confinement;
  readonly sockets: CoveredSockets;
  readonly #thread: PlayerThread;

  /** `world`: which real unix sockets are let through. */
  constructor(confinement: Confinement, thread: PlayerThread, { bypassed }: Pick<World, 'bypassed'>, { note, hear }: Heard) {
    this.confinement = confinement;
    this.#thread = thread;
    this.sockets = new CoveredSockets(confinement.pid, bypassed.sockets ?? [], note);
    const { inbox } = thread;
    inbox.onMessage = (message) => {
      if (message.kind === 'note') note(message.text);
      else if (message.kind === 'dial') void dialReal(message).then((dialled) => { this.tell(dialled); });
      else if (message.kind === 'failed') inbox.fail(new EnvironmentError(message.text));
      else return hear?.(message) !== true;
      return false;
    };
    if (!confinement.ipv6) note('this host has no IPv6 firewall: the service can reach nothing over IPv6');
    void confinement.ended.then(() => { this.tell({ kind: 'ended' }); });
  }

  get inbox(): Inbox<FromWorker> {
    return this.#thread.inbox;
  }

  /** Fulfilled when the thread has listened, and the host's sockets can't be reached any more: the service may begin. */
  async ready(start: WorkerStart, moved: ArrayBuffer[]): Promise<Listening> {
    this.#thread.tell(start, moved);
    const up = await this.inbox.take('up', WORKER_MS);
    if (up === undefined) throw new EnvironmentError('The replayer did not get ready');
    if (start.running === undefined) await this.sockets.cover(start.sockets);
    return up.listening;
  }

  tell(message: ToWorker, moved: ArrayBuffer[] = []): void {
    this.#thread.tell(message, moved);
  }

  /** The service is ended, and nothing is left of it. May be called twice. */
  async close(): Promise<void> {
    this.sockets.close();
    await this.confinement.stop();
    await this.#thread.end();
  }
}
