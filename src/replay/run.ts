/** A replay from end to end: confine the SUT, wait until it listens, play each session, judge it, undo everything. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { formatAddress, parseAddress, type Address } from '../bytes/address.ts';
import { EnvironmentError } from '../errors.ts';
import { startThread } from '../kernel/thread.ts';
import type { Session } from '../sessions/session.ts';
import { neverConnected } from './calls.ts';
import { confine, type Confinement } from './confine.ts';
import { HostSockets } from './host-sockets.ts';
import { hideSockets, leadToPlayed } from './mounts.ts';
import { owned } from './owned.ts';
import { ofNoSession, type Plain } from './plain.ts';
import type { IdleCall } from './played.ts';
import type { Replayed } from './replayed.ts';
import type { Prepared } from './statements/statements.ts';
import { judge, unplayed } from './verdict.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker.ts';
import { worldOf, type WorldOptions } from './world.ts';

/** So many sessions' calls can be asked for while the SUT starts. */
const MAX_LEARNT = 1_000;
const LOOK_EVERY_MS = 10;
/** So long may a service that listens no more take to end: its status says more. */
const DYING_MS = 2_000;
/** How often sockets that began to listen on the host since are looked for. */
const HIDE_EVERY_MS = 1_000;
/** Beyond the worker's own bounds: it is stuck. */
const WORKER_MS = 30_000;

export interface Loaded {
  readonly session: Session;
  /** The file it came from, where it came from one. */
  readonly file?: string;
  /** What else its recording holds; shared by all its sessions. */
  readonly background?: Plain;
}

export interface ReplayOptions extends WorldOptions {
  readonly command: readonly string[];
  /** Where the SUT listens; by default where each session's request had come in. */
  readonly sut?: Address;
  readonly startupMs: number;
  readonly allowIncomplete: boolean;
  /** Ends the run; what was judged until then has been yielded. */
  readonly signal: AbortSignal;
  /** Something a person should know; not part of the result. */
  note(text: string): void;
}

/** The path of a "unix:/path" that can be played; undefined for anything else: an address, an abstract or a relative name. */
function socketPath(destination: string): string | undefined {
  return destination.startsWith('unix:/') ? destination.slice('unix:'.length) : undefined;
}

/** Why a session can't be played, or undefined when it can. */
export function whyNot(session: Session, allowIncomplete: boolean): string | undefined {
  const { certificate, inbound, outbound, entry } = session;
  if (entry !== 'request') return `it began with a ${entry}, not with a request`;
  const tls = certificate.unseen.find(({ kind }) => kind === 'tls');
  if (inbound.connection.protocol === 'tls') return 'its request is TLS, which cannot be read yet';
  if (tls !== undefined || outbound.some(({ connection }) => connection.protocol === 'tls')) {
    return `TLS inside${tls?.detail === undefined ? '' : ` (${tls.detail})`}, which cannot be read yet`;
  }
  const unix = outbound.filter(({ connection }) => connection.remote.startsWith('unix:'));
  const nowhere = unix.find(({ connection }) => socketPath(connection.remote) === undefined);
  if (nowhere !== undefined) return `it calls ${nowhere.connection.remote}; only unix sockets with an absolute path can be played`;
  const failed = unix.find(neverConnected);
  if (failed !== undefined) return `it failed to connect to ${failed.connection.remote}; that cannot be played yet`;
  if (inbound.request.length === 0) return 'it has no request';
  if (certificate.state === 'complete' || allowIncomplete) return undefined;
  const lost = certificate.lost.reduce((sum, { bytes }) => sum + bytes, 0);
  const reasons = [
    ...(certificate.state === 'open' ? ['the recording ended before it did'] : []),
    ...(lost > 0 ? [`${lost} bytes missing (${[...new Set(certificate.lost.map(({ cause }) => cause))].join(', ')})`] : []),
    ...certificate.unseen.map(({ kind, count }) => `unseen: ${count} ${kind}`),
  ];
  return `incomplete: ${reasons.join('; ') || 'no proof that every byte is there'}; --allow-incomplete plays it`;
}

/** Plays `loaded` one after the other; yields a verdict each, in their order. Whatever happens, nothing is left behind. */
export async function* replay(loaded: readonly Loaded[], options: ReplayOptions): AsyncGenerator<Replayed> {
  const named = (replayed: Replayed, { file }: Loaded): Replayed => (file === undefined ? replayed : { ...replayed, file });
  const playable = loaded.filter(({ session }) => whyNot(session, options.allowIncomplete) === undefined);
  const run = playable.length === 0 ? undefined : await Run.begin(playable.map(({ session }) => session), backgroundOf(playable), options);
  try {
    for (const one of loaded) {
      if (options.signal.aborted) return;
      const reason = whyNot(one.session, options.allowIncomplete);
      const replayed = reason !== undefined || run === undefined
        ? unplayed(one.session, 'skipped', reason ?? '') : await run.play(one.session);
      if (options.signal.aborted) return;
      yield named(replayed, one);
    }
  } finally {
    await run?.end();
  }
}

/** What the recordings hold beside the sessions that are played. */
function backgroundOf(loaded: readonly Loaded[]): Pick<Plain, 'ambient' | 'prepared'> {
  const all = [...new Set(loaded.flatMap(({ background }) => background ?? []))];
  const prepared: Record<string, Prepared[]> = {};
  for (const one of all) for (const [destination, some] of Object.entries(one.prepared)) (prepared[destination] ??= []).push(...some);
  return { ambient: all.flatMap(({ ambient }) => ambient), prepared };
}

function sutOf(session: Session, options: ReplayOptions): Address | undefined {
  return options.sut ?? parseAddress(session.inbound.connection.local);
}

class Run {
  readonly #options: ReplayOptions;
  readonly #confinement: Confinement;
  readonly #worker: Worker;
  readonly #world;
  readonly #sockets: HostSockets;
  /** Unix sockets of recorded dependencies that have no place in the SUT's mounts, and why. */
  #unplayable: ReadonlyMap<string, string> = new Map();
  #hiding: NodeJS.Timeout | undefined;
  #ended: number | undefined;
  #isDying = false;
  /** Rejects once: the worker is of no use any more. */
  readonly #broken: Promise<never>;

  private constructor(options: ReplayOptions, confinement: Confinement, worker: Worker, world: ReturnType<typeof worldOf>, sockets: HostSockets) {
    this.#options = options;
    this.#sockets = sockets;
    this.#confinement = confinement;
    this.#worker = worker;
    this.#world = world;
    this.#broken = new Promise((_, reject) => { worker.once('error', reject); });
    this.#broken.catch(() => undefined);
    worker.on('message', (message: FromWorker) => { if (message.kind === 'note') options.note(message.text); });
    void confinement.ended.then(({ status }) => { this.#ended = status; });
  }

  static async begin(sessions: readonly Session[], background: Pick<Plain, 'ambient' | 'prepared'>, options: ReplayOptions): Promise<Run> {
    const idle = sessions[0] === undefined ? [] : [ofNoSession(sessions[0], background.ambient)];
    const world = worldOf([...sessions, ...idle], options, background.prepared);
    const confinement = await confine(options.command);
    if (!confinement.ipv6) options.note('this host has no IPv6 firewall: the service can reach nothing over IPv6');
    const hostSockets = new HostSockets();
    const paths = Object.keys(world.protocols).flatMap((destination) => socketPath(destination) ?? []);
    const start: WorkerStart = {
      pid: confinement.pid, ipv6: confinement.ipv6, sockets: paths, world, learn: [...idle, ...sessions.slice(0, MAX_LEARNT)].map(owned),
    };
    let worker: Worker;
    try {
      worker = startThread('./worker', import.meta.url, start);
    } catch (error) {
      await confinement.stop();
      throw error;
    }
    const run = new Run(options, confinement, worker, world, hostSockets);
    try {
      await run.#heard('up');
      await run.#closeUnixSockets(paths);
      confinement.start();
      const first = sessions[0];
      const sut = first === undefined ? undefined : sutOf(first, options);
      if (sut !== undefined) await run.#untilListening(sut);
      return run;
    } catch (error) {
      await run.end();
      throw error;
    }
  }

  /** Before the SUT begins: the host's sockets can't be reached any more, those of recorded dependencies lead to us. */
  async #closeUnixSockets(played: readonly string[]): Promise<void> {
    const { pid } = this.#confinement;
    const left = await hideSockets(pid, this.#sockets.look(pid));
    for (const [path, why] of left) throw new EnvironmentError(`Cannot keep the service from the socket ${path}: ${why}`);
    this.#unplayable = await leadToPlayed(pid, played);
    this.#hiding = setTimeout(() => { void this.#hideNew(); }, HIDE_EVERY_MS).unref();
  }

  async #hideNew(): Promise<void> {
    const { pid } = this.#confinement;
    try {
      const left = await hideSockets(pid, this.#sockets.look(pid));
      for (const [path, why] of left) this.#options.note(`the service could reach the socket ${path}: ${why}`);
      this.#hiding?.refresh();
    } catch {
      // The namespace is gone, and the service with it.
    }
  }

  async play(session: Session): Promise<Replayed> {
    const unplayable = session.outbound.find(({ connection }) => this.#unplayable.has(socketPath(connection.remote) ?? ''))?.connection.remote;
    if (unplayable !== undefined) {
      return unplayed(session, 'skipped', `it calls ${unplayable}, which cannot be played here: ${this.#unplayable.get(socketPath(unplayable) ?? '') ?? ''}`);
    }
    const sut = sutOf(session, this.#options);
    if (sut === undefined) return unplayed(session, 'skipped', `its request came in at ${session.inbound.connection.local}; say --sut`);
    if (!await this.#listens(sut)) return unplayed(session, 'error', this.#absence(sut));
    this.#tell({ kind: 'play', session: owned(session), sut });
    const message = await this.#heard('played', this.#options.answerMs + WORKER_MS);
    if (message === undefined) return unplayed(session, 'error', 'the replayer got stuck');
    for (const call of message.idle) this.#noteIdle(call);
    const replayed = judge(session, message.played, this.#world);
    if (replayed.verdict !== 'error' || await this.#listens(sut)) return replayed;
    return { ...replayed, reason: `${replayed.reason ?? ''}; ${this.#absence(sut)}` };
  }

  /** Why nobody listens. */
  #absence(sut: Address): string {
    return this.#ended === undefined ? `nothing listens on ${formatAddress(sut)}` : `the service has ended (exit ${this.#ended})`;
  }

  /** Waits for its end once where it does not: a service that is about to end stops listening first. */
  async #listens(sut: Address): Promise<boolean> {
    if (this.#confinement.listening(sut.port)) {
      this.#isDying = false;
      return true;
    }
    if (this.#isDying) return false;
    this.#isDying = true;
    await Promise.race([this.#confinement.ended, sleep(DYING_MS)]);
    return this.#confinement.listening(sut.port);
  }

  async end(): Promise<void> {
    clearTimeout(this.#hiding);
    this.#hiding = undefined;
    await this.#confinement.stop();
    await this.#worker.terminate();
  }

  #noteIdle({ answered, destination, summary }: IdleCall): void {
    if (!answered) this.#options.note(`between sessions the service asked ${destination} for ${summary}: nothing recorded answers that`);
  }

  #tell(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** The next message of that kind; undefined when the run is aborted or `boundMs` have passed. */
  async #heard<Kind extends FromWorker['kind']>(kind: Kind, boundMs = WORKER_MS): Promise<Extract<FromWorker, { kind: Kind }> | undefined> {
    const { signal } = this.#options;
    let forget: () => void = () => undefined;
    const heard = new Promise<Extract<FromWorker, { kind: Kind }> | undefined>((resolve) => {
      const listener = (message: FromWorker): void => {
        if (message.kind === kind) resolve(message as Extract<FromWorker, { kind: Kind }>);
      };
      const giveUp = (): void => { resolve(undefined); };
      const timer = setTimeout(giveUp, boundMs);
      this.#worker.on('message', listener);
      signal.addEventListener('abort', giveUp);
      forget = () => {
        clearTimeout(timer);
        this.#worker.off('message', listener);
        signal.removeEventListener('abort', giveUp);
      };
    });
    try {
      return await Promise.race([heard, this.#broken]);
    } finally {
      forget();
    }
  }

  async #untilListening(sut: Address): Promise<void> {
    const { startupMs, signal } = this.#options;
    const until = performance.now() + startupMs;
    while (!this.#confinement.listening(sut.port)) {
      if (signal.aborted) return;
      if (this.#ended === 127 || this.#ended === 126) {
        throw new EnvironmentError(`Cannot start ${this.#options.command[0] ?? ''}: it is not an executable command`);
      }
      if (this.#ended !== undefined) throw await this.#neverUp(`ended (exit ${this.#ended}) before it listened on port ${sut.port}`);
      if (performance.now() > until) throw await this.#neverUp(`did not listen on port ${sut.port} within ${startupMs / 1000} s`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** What the SUT wanted while it started and did not get is the likeliest reason. */
  async #neverUp(how: string): Promise<Error> {
    this.#tell({ kind: 'idle' });
    const message = await this.#heard('idle', 1_000);
    const missed = message?.idle.filter(({ answered }) => !answered) ?? [];
    const asked = missed.slice(0, 3).map(({ destination, summary }) => `${destination} for ${summary}`).join(', ');
    return new EnvironmentError(`The service ${how}${asked === '' ? '' : `; it asked ${asked}, which nothing recorded answers`}`,
      'see its own output above; --sut names its port, --startup-timeout how long it may take');
  }
}
