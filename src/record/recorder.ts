/** Recording: probes, the ring's worker, and their end. What happens to the events is none of this folder's business. */
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import type { Worker } from 'node:worker_threads';
import { EnvironmentError, UserError } from '../errors.ts';
import type { Event } from '../events/event.ts';
import { LoadError } from '../kernel/libbpf.ts';
import { possibleCpus, Probes } from '../kernel/probes.ts';
import type { NodeReads, ProbeOptions } from '../kernel/probes.ts';
import { startThread } from '../kernel/thread.ts';
import type { ProcessFacts } from '../kernel/processes.ts';
import { hostFacts } from '../store/facts.ts';
import type { Launch } from '../store/header.ts';
import { lostEvent } from './losses.ts';
import { ABANDON, COMMAND, COUNTERS, DRAIN, HURRY, makeShared } from './control.ts';
import type { Shared } from './control.ts';
import type { PlainWriterOptions, WorkerInput, WorkerOutput } from './worker.ts';

export interface RecorderOptions extends ProbeOptions {
  readonly writer: Omit<PlainWriterOptions, 'facts'>;
  /** The user's flags as given, kept in the recording. */
  readonly filters: readonly string[];
  /** Kept in the recording. */
  readonly launches?: readonly Launch[];
  /** Whether it is told who wakes whom: from the start, or once a pool of threads is seen. Undefined: never. */
  readonly wakeups?: 'on' | 'auto' | undefined;
  /** That is of use, and can't be had. */
  readonly onNoWakeups?: (why: string) => void;
}

export interface RecordedSummary {
  readonly connections: number;
  readonly bytes: number;
  readonly lost: { readonly bytes: number; readonly byCause: Readonly<Record<string, number>> };
  /** How often, by cause: lost samples, gaps, skipped probes. */
  readonly lostEvents: Readonly<Record<string, number>>;
  readonly ringPeakBytes: number;
  readonly nodeReads: NodeReads;
}

/**
 * The worker's objects die within a sample, but for some 400 bytes a connection. V8's defaults let 48 MB of the young and up to 256 MB of
 * those that survived a while pile up before it looks, which is more than all that the recorder keeps; and then let the heap grow to
 * up to four times of what is alive before it looks again.
 */
const WORKER_YOUNG_MB = 2;
const WORKER_HEAP = ['--initial-old-space-size=4', '--heap-growing-percent=20'];

type Stopped = Extract<WorkerOutput, { kind: 'stopped' }>;

export class Recorder {
  readonly probes: Probes;
  readonly #shared: Shared;
  readonly #worker: Worker;
  readonly #stopped: Promise<Stopped>;
  #ended: Stopped | undefined;

  private constructor(probes: Probes, shared: Shared, worker: Worker, stopped: Promise<Stopped>) {
    this.probes = probes;
    this.#shared = shared;
    this.#worker = worker;
    this.#stopped = stopped;
    void stopped.then((ended) => { this.#ended = ended; });
  }

  /** Probes attached, worker reading; nobody is watched yet. Throws UserError, EnvironmentError. */
  static async start(options: RecorderOptions): Promise<Recorder> {
    const probes = await Probes.load(options);
    const shared = makeShared();
    const workerData: WorkerInput = {
      shared: shared.buffer, ringFd: probes.ringFd, ringBytes: options.ringBytes, lossesFd: probes.lossesFd,
      watchPools: options.wakeups === 'auto', counted: probes.counted, cpus: possibleCpus(), connectionsFd: probes.connections.fd, unreportedFd: probes.unreported.fd,
      writer: { ...options.writer, facts: { ...hostFacts(probes.probe, options.filters), launches: options.launches ?? [] } },
    };
    for (const flag of WORKER_HEAP) setFlagsFromString(flag); // for isolates made from now on
    const worker = startThread('./worker', import.meta.url, workerData, { maxYoungGenerationSizeMb: WORKER_YOUNG_MB });
    let ready: () => void = () => undefined;
    const isReady = new Promise<void>((resolve) => { ready = resolve; });
    const stopped = new Promise<Stopped>((resolve) => {
      worker.on('message', (message: WorkerOutput) => {
        if (message.kind === 'executed') probes.executed(message.tgid);
        else if (message.kind === 'forked') probes.forked(message.parent, message.tgid);
        else if (message.kind === 'pool-found') tellWakeups(probes, options);
        else if (message.kind === 'ready') ready();
        else resolve(message);
      });
      worker.on('error', (error) => resolve({ kind: 'stopped', lost: {}, failure: { name: 'Error', message: error.stack ?? error.message } }));
    });
    if (options.wakeups === 'on') tellWakeups(probes, options);
    const recorder = new Recorder(probes, shared, worker, stopped);
    const failed = await Promise.race([isReady, stopped]);
    if (failed !== undefined) {
      probes.close();
      throw failureOf(failed) ?? new Error('the ring worker ended at once');
    }
    return recorder;
  }

  /** What so many processes did before they were found is lost. */
  declareLate(processes: number): void {
    this.#worker.postMessage([lostEvent(Date.now() * 1000, 'seen-late', processes)]);
  }

  /** Watches these and remembers them in the recording. */
  watch(processes: readonly ProcessFacts[], atUs = Date.now() * 1000): void {
    const seen: Event[] = processes.map(({ tgid, parent, command }) => ({
      kind: 'process', what: 'seen', atUs, tgid, tid: tgid, context: 0, snapshot: false,
      childTgid: tgid, childTid: tgid, parentTgid: parent, exitCode: 0, command, path: '',
    }));
    for (const { tgid } of processes) this.probes.watch(tgid);
    if (seen.length > 0) this.#worker.postMessage(seen);
  }

  /** A process is about to run something: what it is will be seen at once. */
  hurry(): void {
    Atomics.add(this.#shared.command, HURRY, 1);
    Atomics.notify(this.#shared.command, COMMAND);
  }

  counter(name: keyof typeof COUNTERS): number {
    return this.#shared.counters[COUNTERS[name]] ?? 0;
  }

  /** Fulfilled when the worker stopped of itself: the disk refused, or a bug. */
  get stopped(): Promise<unknown> {
    return this.#stopped;
  }

  /** True while a watched process lives. Not to be asked under --all. */
  anyWatched(): boolean {
    for (const _ of this.probes.watched.keys()) return true;
    return false;
  }

  /** No more events; what happened before is drained to disk. */
  async stop(): Promise<RecordedSummary> {
    this.probes.detach();
    return this.#end(DRAIN);
  }

  /** At once: what is still in the ring is given up. The recording reads. */
  abandon(): void {
    Atomics.store(this.#shared.command, COMMAND, ABANDON);
    Atomics.notify(this.#shared.command, COMMAND);
  }

  async #end(word: number): Promise<RecordedSummary> {
    if (Atomics.compareExchange(this.#shared.command, COMMAND, 0, word) === 0) Atomics.notify(this.#shared.command, COMMAND);
    const ended = this.#ended ?? await this.#stopped;
    if (this.#worker.threadId !== -1) await once(this.#worker, 'exit');
    const { nodeReads } = this.probes;
    this.probes.close();
    const failure = failureOf(ended);
    const lost = Object.entries(ended.lost);
    const summary = {
      connections: this.counter('connections'), bytes: this.counter('bytes'),
      lost: {
        bytes: lost.reduce((sum, [, { bytes }]) => sum + bytes, 0),
        byCause: Object.fromEntries(lost.map(([cause, { bytes }]) => [cause, bytes])),
      },
      lostEvents: Object.fromEntries(lost.map(([cause, { events }]) => [cause, events])),
      ringPeakBytes: this.counter('ringPeak'), nodeReads,
    };
    if (failure !== undefined) throw Object.assign(failure, { summary });
    return summary;
  }
}

function tellWakeups(probes: Probes, { onNoWakeups }: RecorderOptions): void {
  try {
    probes.tellWakeups();
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    onNoWakeups?.(error.message);
  }
}

function failureOf({ failure }: Stopped): Error | undefined {
  if (failure === undefined) return undefined;
  if (failure.name === 'UserError') return new UserError(failure.message);
  if (failure.name === 'EnvironmentError') return new EnvironmentError(failure.message);
  return new Error(failure.message);
}
