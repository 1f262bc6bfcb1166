/** One run of the SUT: confine it, wait until it listens, have sessions played, judge them, undo everything. */
import { availableParallelism } from 'node:os';
import { parseAddress, type Address } from '../bytes/address.ts';
import type { Probes } from '../kernel/probes.ts';
import type { Session } from '../sessions/session.ts';
import { sweep } from './clean.ts';
import { RecordedClock, unreached } from './clock.ts';
import { confine, type Confinement } from './confine.ts';
import { Conductor } from './conductor.ts';
import { launchText } from './launch.ts';
import { Pack } from './pack.ts';
import { packedSession, type PackedSession } from './packed-session.ts';
import type { Background } from './background.ts';
import type { Loaded, ReplayOptions, RunFacts } from './options.ts';
import { ofNoSession } from './plain.ts';
import { socketPath, whyNot } from './playable.ts';
import type { IdleCall, Played, World } from './played.ts';
import { PlayerThread, playedPaths, Playhouse, WORKER_MS } from './playhouse.ts';
import { Presence } from './presence.ts';
import { FEW, ProbesAhead } from './probes.ts';
import { datagramDestinations } from './sent-datagrams.ts';
import type { Replayed } from './replayed.ts';
import type { JudgeOptions } from './judge-calls.ts';
import { processesOf, takeRunning, type Running } from './running.ts';
import { packedTask } from './task.ts';
import { trackerSource } from './tracker.ts';
import { verdictOfTwo } from './second-run.ts';
import { judge, sessionSummary, unplayed } from './verdict.ts';
import type { WorkerStart } from './worker.ts';
import { worldOf } from './world.ts';

/** So many sessions' calls can be asked for while the SUT starts. */
const MAX_LEARNT = 1_000;
/** Different calls between sessions that are told of, each once: something may ask all the time. */
const MAX_NOTED_IDLE = 100;

function sutOf(session: Session, options: ReplayOptions): Address | undefined {
  return options.sut ?? parseAddress(session.inbound.connection.local);
}

type RunOptions = ReplayOptions & Required<Pick<JudgeOptions, 'settings'>>;

interface RunParts {
  readonly house: Playhouse;
  readonly world: World;
  /** Absent: whose call it is can't be told. */
  readonly probes: Probes | undefined;
  readonly concurrency: number;
  readonly clock: RecordedClock | undefined;
}

export class Run {
  readonly #options: RunOptions;
  readonly #house: Playhouse;
  readonly #world: World;
  readonly #probes: Probes | undefined;
  readonly #concurrency: number;
  readonly #clock: RecordedClock | undefined;
  readonly #presence: Presence;
  readonly #notedIdle = new Set<string>();
  #serialised = 0;
  #untied = 0;
  #background = 0;
  #again = (): number => 0;

  private constructor(options: RunOptions, parts: RunParts) {
    this.#options = options;
    this.#house = parts.house;
    this.#world = parts.world;
    this.#probes = parts.probes;
    this.#concurrency = parts.concurrency;
    this.#clock = parts.clock;
    this.#presence = new Presence(parts.house.confinement);
  }

  get facts(): RunFacts {
    return { concurrency: this.#concurrency, tracker: this.#probes?.probe ?? 'none', serialised: this.#serialised, again: this.#again(), untied: this.#untied, background: this.#background };
  }

  static async begin(sessions: readonly Session[], background: Background, options: RunOptions): Promise<Run> {
    for (const line of sweep()) options.note(line);
    const { running } = options;
    const wanted = Math.min(options.concurrency ?? (sessions.length < FEW ? 1 : availableParallelism()), sessions.length);
    // Others whom it serves may ask for the same as a session that is played alone.
    const isTracked = wanted > 1 || (running !== undefined && options.servesOthers === true);
    const clock = options.recordedClock === true ? new RecordedClock(Math.min(...sessions.map(({ startedAtUs }) => startedAtUs)) / 1000) : undefined;
    // Each takes a while: the probes, the thread, the namespace, and meanwhile here what the sessions have in common.
    const ahead = options.probes ?? new ProbesAhead();
    if (isTracked) ahead.begin();
    const thread = new PlayerThread(options.signal);
    const datagrams = datagramDestinations(sessions);
    const confining = running === undefined ? confine(clock?.wrapped(options.command) ?? options.command, { datagrams, launch: options.launch === undefined ? undefined : launchText(options.launch) }) : undefined;
    confining?.catch(() => { /* who awaits it is told */ });
    let confinement: Confinement | undefined;
    let probes: Probes | undefined;
    let start: WorkerStart;
    const pack = new Pack();
    let run: Run;
    try {
      const starts = (options.startup ?? []).flatMap(({ sessions: some }) => some);
      const idle = sessions[0] === undefined ? [] : [{ ...ofNoSession(sessions[0], background.ambient), ...(background.firstUs === undefined ? {} : { startedAtUs: background.firstUs }) }];
      const world = worldOf([...sessions, ...starts, ...idle], options, background);
      const paths = playedPaths(world);
      // All in a few buffers: handing over one for each call is slow.
      const callsOf = (session: Session): PackedSession => packedSession({ ...session, inbound: { ...session.inbound, response: [] }, prologues: [], names: {} }, pack);
      const learn = [...starts, ...sessions.slice(0, MAX_LEARNT)].map(callsOf);
      confinement = await confining
        ?? takeRunning(running as Running, { servesOthers: options.servesOthers === true, sockets: { played: paths, bypassed: world.bypassed.sockets ?? [] }, datagrams, note: (text) => { options.note(text); } });
      probes = isTracked ? await ahead.take(options.note) : undefined;
      const concurrency = probes === undefined ? 1 : wanted;
      start = {
        pid: confinement.pid, ipv6: confinement.ipv6, ...(running === undefined ? {} : { running }), sockets: paths, world, learn, concurrency,
        ...(clock === undefined ? {} : { clock: clock.file }),
        ...(idle[0] === undefined ? {} : { background: callsOf(idle[0]) }),
        ...(probes === undefined ? {} : { tracker: trackerSource(probes) }),
      };
      const house = new Playhouse(confinement, thread, world, {
        note: options.note.bind(options),
        hear: (message) => {
          if (message.kind === 'executed') probes?.executed(message.tgid);
          if (message.kind === 'forked') probes?.forked(message.parent, message.tgid);
          return message.kind === 'executed' || message.kind === 'forked';
        },
      });
      run = new Run(options, { house, world, probes, concurrency, clock });
    } catch (error) {
      confinement ??= await confining?.catch(() => undefined);
      await confinement?.stop();
      await thread.end();
      probes?.close();
      clock?.close();
      throw error;
    }
    try {
      const listening = await run.#house.ready(start, pack.buffers);
      // With their descendants, from before the service's first instruction.
      for (const tgid of processesOf(running ?? { pid: confinement.pid })) probes?.watch(tgid);
      // Where a service listens that runs already says which of its connections are its clients'.
      if (running !== undefined) probes?.findExisting();
      probes?.expect(options.command);
      options.beforeStart?.(confinement.pid);
      confinement.start(listening);
      const first = sessions[0];
      const sut = first === undefined ? undefined : sutOf(first, options);
      if (sut !== undefined) await run.#presence.untilListening(sut, options, () => run.#idleSoFar());
      if (clock !== undefined) for (const line of unreached(confinement.pid)) options.note(line);
      return run;
    } catch (error) {
      await run.end();
      throw error;
    }
  }

  async* play(loaded: readonly Loaded[]): AsyncGenerator<Replayed> {
    let at = 0;
    for await (const replayed of this.#conductor(loaded.map(({ session }) => session)).play(this.#options.signal)) {
      const file = loaded[at]?.file;
      at += 1;
      yield file === undefined ? replayed : { ...replayed, file };
    }
  }

  #conductor(sessions: readonly Session[]): Conductor {
    const conductor = new Conductor(sessions, {
      place: (session) => this.#place(session),
      send: (tasks) => {
        const pack = new Pack();
        this.#house.tell({ kind: 'play', tasks: tasks.map((task) => packedTask(task, pack)) }, pack.buffers);
      },
      receive: async () => {
        const message = await this.#house.inbox.take('played', this.#options.answerMs + WORKER_MS);
        for (const call of message?.idle ?? []) this.#noteIdle(call);
        this.#serialised = message?.serialised ?? this.#serialised;
        return message;
      },
      judge: (session, played) => this.#judge(session, played),
      twice: this.#options.twice ?? 'never', concurrency: this.#concurrency,
      settle: (first, second) => {
        this.#options.onTwice?.(first, second);
        return first.verdict === 'different' ? verdictOfTwo(first, second, this.#options.strict === true) : first;
      },
      note: (text) => { this.#options.note(text); },
    });
    const before = this.#again();
    this.#again = () => before + conductor.again;
    return conductor;
  }

  async #place(session: Session): Promise<Address | Replayed> {
    const reason = whyNot(session, this.#options.allowIncomplete);
    if (reason !== undefined) return unplayed(session, 'skipped', reason);
    const unplayable = session.outbound.find(({ connection }) => this.#house.sockets.whyNot(socketPath(connection.remote) ?? '') !== undefined)?.connection.remote;
    if (unplayable !== undefined) {
      return unplayed(session, 'skipped', `it calls ${unplayable}, which cannot be played here: ${this.#house.sockets.whyNot(socketPath(unplayable) ?? '') ?? ''}`);
    }
    const sut = sutOf(session, this.#options);
    if (sut === undefined) return unplayed(session, 'skipped', `its request came in at ${session.inbound.connection.local}; say --sut`);
    // Others may go on when its first process has ended (daemons).
    if (this.#presence.hasEnded && !await this.#presence.listens(sut)) return unplayed(session, 'error', this.#presence.absence(sut));
    return sut;
  }

  async #judge(session: Session, played: Played): Promise<Replayed> {
    const { strict = false, explain = false, noise, settings } = this.#options;
    const replayed = judge(session, played, { threshold: this.#world.threshold, strict, explain, settings, ...noise?.for(sessionSummary(session)) });
    const sut = replayed.verdict === 'error' ? sutOf(session, this.#options) : undefined;
    if (sut === undefined || await this.#presence.listens(sut)) return replayed;
    return { ...replayed, reason: `${replayed.reason ?? ''}; ${this.#presence.absence(sut)}` };
  }

  async end(): Promise<void> {
    await this.#house.close();
    this.#clock?.close();
    this.#probes?.close();
  }

  #noteIdle({ answered, destination, summary, odd, during }: IdleCall): void {
    if (odd === true) this.#untied += 1;
    if (during === true) this.#background += 1;
    const text = `between sessions the service asked ${destination} for ${summary}: nothing recorded answers that`;
    if (answered || this.#notedIdle.has(text) || this.#notedIdle.size >= MAX_NOTED_IDLE) return;
    this.#notedIdle.add(text);
    this.#options.note(text);
  }

  /** What the SUT asked for while it started. */
  async #idleSoFar(): Promise<readonly IdleCall[]> {
    this.#house.tell({ kind: 'idle' });
    return (await this.#house.inbox.take('idle', 1_000))?.idle ?? [];
  }
}
