/** A mock from end to end: a command with nothing real behind it, whose calls are answered from recordings, and whose client is its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAddress } from '../bytes/address.ts';
import { EnvironmentError } from '../errors.ts';
import { LISTEN, tcpSockets } from '../kernel/tcp-table.ts';
import { backgroundOf } from './background.ts';
import { NOTHING_BYPASSED } from './bypass.ts';
import { sweep } from './clean.ts';
import { confine, OUTBOUND_PORT, type OwnConfinement } from './confine.ts';
import { mockCalls, type MockCalls } from './mock-calls.ts';
import { MockJudge, refusedCall, type MockedCall } from './mocked.ts';
import type { Loaded } from './options.ts';
import { hostAddresses, notingRules, ownRules, refusedPorts } from './own-network.ts';
import { Pack } from './pack.ts';
import { packedSession } from './packed-session.ts';
import type { Plain } from './plain.ts';
import type { World } from './played.ts';
import { PlayerThread, playedPaths, Playhouse, WORKER_MS } from './playhouse.ts';
import { settingsJudge } from './recorded-settings.ts';
import { datagramDestinations } from './sent-datagrams.ts';
import { worldOf, type WorldOptions } from './world.ts';

export interface MockOptions extends WorldOptions {
  readonly command: readonly string[];
  readonly repeats: NonNullable<World['repeats']>;
  readonly stdoutToStderr: boolean;
  /** Ends the command at once. */
  readonly signal: AbortSignal;
  /** Told of each call as it is made. */
  onCall(call: MockedCall): void;
  /** Something a person should know; not part of the result. */
  note(text: string): void;
}

export interface MockOutcome {
  /** As a shell has it; undefined: it was ended by us. */
  readonly exitStatus: number | undefined;
  readonly recorded: number;
  readonly unused: number;
  readonly leftOut: MockCalls['leftOut'];
}

/** As long as a timer can take. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How often it is looked which ports the command listens on. */
const LOOK_EVERY_MS = 100;

/** `plains`: all that the recordings hold; of their sessions those of `loaded` are played. */
export class Mock {
  readonly #options: MockOptions;
  readonly #calls: MockCalls;
  readonly #loaded: readonly Loaded[];
  readonly #plains: readonly Plain[];
  #confinement: OwnConfinement | undefined;
  #isRunning = false;

  constructor(loaded: readonly Loaded[], plains: readonly Plain[], options: MockOptions) {
    this.#options = options;
    this.#loaded = loaded;
    this.#plains = plains;
    this.#calls = mockCalls(loaded.map(({ session }) => session), plains.flatMap(({ ambient }) => ambient), options.bypassed ?? NOTHING_BYPASSED);
  }

  /** Calls that can be answered. */
  get size(): number {
    return this.#calls.origins.length;
  }

  get leftOut(): MockCalls['leftOut'] {
    return this.#calls.leftOut;
  }

  /** Hands the command a signal; false: there is none yet. */
  kill(name: NodeJS.Signals): boolean {
    if (this.#isRunning) this.#confinement?.kill(name);
    return this.#isRunning;
  }

  /** Runs the command to its end. Whatever happens, nothing is left behind. */
  async run(): Promise<MockOutcome> {
    const options = this.#options;
    const world = this.#world();
    for (const line of sweep()) options.note(line);
    const thread = new PlayerThread(options.signal);
    let house: Playhouse | undefined;
    try {
      const confinement = await this.#confine(world);
      this.#confinement = confinement;
      const judge = new MockJudge(this.#calls, { threshold: world.threshold, settings: settingsJudge(this.#loaded, this.#plains) });
      const told = (call: MockedCall | undefined): void => { if (call !== undefined) options.onCall(call); };
      house = new Playhouse(confinement, thread, world, {
        note: options.note.bind(options),
        hear: (message) => {
          if (message.kind !== 'asked') return false;
          for (const asked of message.calls) told(judge.judge(asked));
          return true;
        },
      });
      const pack = new Pack();
      const paths = playedPaths(world);
      const mock = packedSession(this.#calls.session, pack);
      confinement.start(await house.ready({ pid: confinement.pid, ipv6: confinement.ipv6, sockets: paths, world, learn: [], mock, concurrency: 1 }, pack.buffers));
      this.#isRunning = true;
      for (const path of paths) {
        const why = house.sockets.whyNot(path);
        if (why !== undefined) options.note(`${path} cannot be played here: ${why}`);
      }
      const listening = new ListeningPorts(confinement.pid);
      const finished = house.inbox.take('finished', MAX_TIMER_MS);
      const ended = untilEnded(confinement, options.signal);
      // Should the player fail, nobody would answer the command any more.
      const exitStatus = await Promise.race([ended, finished.then(() => ended)]);
      listening.close();
      house.tell({ kind: 'finish' });
      const message = exitStatus === undefined ? undefined : await Promise.race([finished, sleep(WORKER_MS, undefined, { ref: false })]);
      if (exitStatus !== undefined && message === undefined && !options.signal.aborted) throw new EnvironmentError('The player did not tell what it had been asked');
      if (message === undefined) return { exitStatus, recorded: this.size, unused: this.size, leftOut: this.leftOut };
      const { end } = message;
      for (const one of end.failed) told(judge.failed(one));
      for (const port of this.#strangePorts(confinement.pid, listening)) told(refusedCall(port));
      return { exitStatus, recorded: this.size, unused: end.unused, leftOut: this.leftOut };
    } finally {
      if (house === undefined) {
        await this.#confinement?.stop();
        await thread.end();
      } else await house.close();
    }
  }

  #world(): World {
    const sessions = this.#loaded.map(({ session }) => session);
    const background = backgroundOf(this.#loaded, this.#plains);
    // Where they set their connections up, and what names meant to them; what they called is what can be played of it.
    return { ...worldOf([...sessions.map((session) => ({ ...session, outbound: [] })), this.#calls.session], this.#options, background), repeats: this.#options.repeats };
  }

  #confine({ protocols, bypassed, moved, onMiss }: World): Promise<OwnConfinement> {
    const played = { destinations: Object.keys(protocols), bypassed, moved };
    const own = hostAddresses();
    return confine(this.#options.command, {
      datagrams: datagramDestinations(this.#loaded.map(({ session }) => session)), stdio: { stdoutToStderr: this.#options.stdoutToStderr },
      // What nobody recorded may be real, and is asked for there: only we can tell whether the command listens itself.
      ...(onMiss === 'passthrough' ? {} : { own: (family) => ownRules(family, played, own, OUTBOUND_PORT), noting: notingRules() }),
    });
  }

  /** Ports of its own addresses at which the command was refused, though nothing of the kind was recorded and it never listened there. */
  #strangePorts(pid: number, listening: ListeningPorts): number[] {
    const recorded = new Set(this.#calls.session.outbound.flatMap(({ connection }) => parseAddress(connection.remote)?.port ?? []));
    return refusedPorts(pid).filter((port) => !recorded.has(port) && !listening.ports.has(port));
  }
}

/** Undefined: it was not waited for. */
function untilEnded(confinement: OwnConfinement, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => { resolve(undefined); });
    void confinement.ended.then(({ status }) => { resolve(status); });
  });
}

/** The ports on which a command has listened, at one time or another. */
class ListeningPorts {
  readonly ports = new Set<number>();
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => { this.#look(); }, LOOK_EVERY_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#look();
  }

  #look(): void {
    for (const { state, local } of tcpSockets(this.#pid)) if (state === LISTEN) this.ports.add(local.port);
  }
}
