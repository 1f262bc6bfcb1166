/**
 * The ring's worker thread: ring memory → one copy into the block → disk. It polls: no event wakes anybody, and no FFI call
 * is made for one. Sleeps 1 to 20 ms by how full the ring was.
 */
import { setPriority } from 'node:os';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { CorruptError, EnvironmentError, UserError } from '../errors.ts';
import type { Event } from '../events/event.ts';
import {
  OFFSET_SAMPLE_CAPTURED, OFFSET_SAMPLE_CAUSE, OFFSET_SAMPLE_KIND, OFFSET_SAMPLE_LENGTH, SAMPLE_DATA, SAMPLE_GAP,
  KERNEL_CAUSES, OFFSET_PROCESS_PAYLOAD_CHILD_TGID, OFFSET_PROCESS_PAYLOAD_WHAT, OFFSET_SAMPLE_TGID, PROCESS_EXEC, PROCESS_FORK, PROCESS_SEEN, SAMPLE_OPEN, SAMPLE_PROCESS, SIZE_SAMPLE,
} from '../events/layout.ts';
import { SIZE_CONNECTION } from '../kernel/layout.ts';
import { BpfMap } from '../kernel/map.ts';
import type { Counted } from '../kernel/missed.ts';
import { RingReader } from '../kernel/ring.ts';
import { SegmentWriter } from '../store/writer.ts';
import type { WriterOptions } from '../store/writer.ts';
import { ABANDON, COMMAND, COUNTERS, DRAIN, HURRY, makeShared, RUN } from './control.ts';
import { LossCounters } from './losses.ts';
import type { Loss } from './losses.ts';
import { Marks } from './marks.ts';
import { PoolWatch } from './pool-watch.ts';
import { SentSoFar, standing, takeUnreported } from './sweep.ts';

/** The writer's options but for what only functions can say. */
export type PlainWriterOptions = Omit<WriterOptions, 'clock' | 'statfs'>;

export interface WorkerInput {
  readonly shared: SharedArrayBuffer;
  readonly ringFd: number;
  readonly ringBytes: number;
  readonly lossesFd: number;
  /** The attached programs. */
  readonly counted: Counted;
  readonly cpus: number;
  readonly connectionsFd: number;
  readonly unreportedFd: number;
  readonly writer: PlainWriterOptions;
  /** `pool-found` is to be said. */
  readonly watchPools: boolean;
}

/** What the worker says: once when it is ready, whenever a process runs something else (or was chosen), once when threads are seen to call for others, once when it has stopped. */
export type WorkerOutput =
  | { readonly kind: 'ready'; readonly recordingId: string }
  | { readonly kind: 'executed'; readonly tgid: number }
  | { readonly kind: 'forked'; readonly tgid: number; readonly parent: number }
  | { readonly kind: 'pool-found' }
  | {
    readonly kind: 'stopped';
    /** What was lost by cause: what the kernel counted and what it declared on the spot. */
    readonly lost: Readonly<Record<string, Loss>>;
    readonly failure?: { readonly name: string; readonly message: string };
  };

const FLUSH_MS = 200;
const LOOK_MS = 250;
const MAX_SLEEP_MS = 20;
/** So long after a process executed something, or is about to, what comes is looked at every millisecond: it may have to be known what it runs. */
const HURRY_MS = 500;
/** A program that has taken the time may be held up for so long before what it tells is in the ring. */
const MARK_MARGIN_NS = 250e6;
/** Ring read at a go, between two looks at the clock. */
const BATCH_BYTES = 4 << 20;

const input = workerData as WorkerInput;
const { command, counters } = makeShared(input.shared);
const lost: Record<string, Loss> = {};

/** A service at saturation starves whoever only reads along, and a starved reader loses: this thread goes first. */
const PRIORITY = -10;

function run(): void {
  try {
    setPriority(0, PRIORITY); // Linux: 0 is the calling thread
  } catch { /* not allowed here: then as everybody */ }
  const ring = new RingReader(input.ringFd, input.ringBytes);
  const losses = LossCounters.of(input.lossesFd, input.cpus, input.counted);
  const unreported = new BpfMap(input.unreportedFd, 'unreported', 8, SIZE_CONNECTION);
  const writer = new SegmentWriter(input.writer);
  post({ kind: 'ready', recordingId: writer.recordingId });
  let hurriedUntilMs = 0;
  let bytes = 0;
  let events = 0;
  let connections = 0;
  const { bytes: memory, view } = ring;
  const pools = input.watchPools ? new PoolWatch() : undefined;
  const take = (offset: number): void => {
    const kind = view.getUint8(offset + OFFSET_SAMPLE_KIND);
    events++;
    if (pools?.found === false && pools.sees(view, offset)) post({ kind: 'pool-found' });
    if (kind === SAMPLE_DATA) bytes += view.getUint32(offset + OFFSET_SAMPLE_CAPTURED, true);
    else if (kind === SAMPLE_OPEN) connections++;
    else if (kind === SAMPLE_PROCESS) {
      const what = view.getUint8(offset + SIZE_SAMPLE + OFFSET_PROCESS_PAYLOAD_WHAT);
      if (what === PROCESS_SEEN) counters[COUNTERS.newcomers] = (counters[COUNTERS.newcomers] ?? 0) + 1;
      if (what === PROCESS_EXEC || what === PROCESS_SEEN) {
        post({ kind: 'executed', tgid: view.getUint32(offset + OFFSET_SAMPLE_TGID, true) });
        hurriedUntilMs = performance.now() + HURRY_MS;
      } else if (what === PROCESS_FORK) {
        const child = view.getUint32(offset + SIZE_SAMPLE + OFFSET_PROCESS_PAYLOAD_CHILD_TGID, true);
        post({ kind: 'forked', tgid: child, parent: view.getUint32(offset + OFFSET_SAMPLE_TGID, true) });
      }
    } else if (kind === SAMPLE_GAP) {
      const cause = KERNEL_CAUSES[view.getUint8(offset + OFFSET_SAMPLE_CAUSE)] ?? 'unknown';
      addLost(cause, 1, Number(view.getBigUint64(offset + OFFSET_SAMPLE_LENGTH, true)));
    }
    writer.sample(memory, view, offset);
  };
  const look = (): void => {
    const atUs = Date.now() * 1000;
    takeEvents((event) => {
      if (event.kind === 'lost') addLost(event.cause, event.events, event.bytes);
      writer.event(event);
    });
    const found = losses.look(atUs);
    for (const event of found) {
      addLost(event.cause, event.events, event.bytes); // also of 0 bytes: something was lost
      counters[COUNTERS.lostEvents] = (counters[COUNTERS.lostEvents] ?? 0) + event.events;
      writer.event(event);
    }
    if (found.length > 0) for (const event of takeUnreported(unreported, atUs, writer.connectionOffset)) writer.event(event);
  };
  const connectionTable = new BpfMap(input.connectionsFd, 'connections', 8, SIZE_CONNECTION);
  const [marks, sent] = [new Marks(), new SentSoFar()];
  const mark = (): void => {
    const atNs = Number(process.hrtime.bigint()) - MARK_MARGIN_NS;
    const { events: written } = writer;
    look();
    if (ring.waiting > 0 || writer.events !== written) return;
    // By many system calls, in the midst of which the kernel runs no kprobe's program on that processor: so not when somebody has only paused.
    const further = marks.last ? sent.take(connectionTable, writer.connectionOffset) : [];
    writer.mark(atNs, further);
    marks.made(writer.events);
  };
  const publish = (): void => {
    counters[COUNTERS.bytes] = bytes;
    counters[COUNTERS.events] = events;
    counters[COUNTERS.connections] = connections;
    counters[COUNTERS.openConnections] = writer.openConnections;
    counters[COUNTERS.bytesWritten] = writer.bytesWritten;
    counters[COUNTERS.segments] = writer.segments;
    counters[COUNTERS.droppedSegments] = writer.droppedSegments;
  };
  try {
    let flushedMs = performance.now();
    let lookedMs = flushedMs;
    let sleepMs = 1;
    let hurries = 0;
    for (;;) {
      const wanted = Atomics.load(command, COMMAND);
      if (wanted === ABANDON) return;
      const waiting = ring.waiting;
      if (waiting > (counters[COUNTERS.ringPeak] ?? 0)) counters[COUNTERS.ringPeak] = waiting;
      const got = waiting === 0 ? 0 : ring.drain(take, BATCH_BYTES);
      const nowMs = performance.now();
      if (marks.due(writer.events, nowMs)) mark();
      if (nowMs - flushedMs >= FLUSH_MS) {
        writer.flush();
        flushedMs = nowMs;
      }
      if (nowMs - lookedMs >= LOOK_MS) {
        look();
        publish();
        lookedMs = nowMs;
      }
      if (wanted === DRAIN && got === 0) break;
      if (got >= BATCH_BYTES) continue;
      // An eighth of the ring between two looks is plenty; half of it is too late.
      if (waiting > input.ringBytes / 8) sleepMs = 1;
      else sleepMs = waiting < input.ringBytes / 64 ? Math.min(MAX_SLEEP_MS, sleepMs + 1) : Math.max(1, sleepMs - 2);
      if (Atomics.load(command, HURRY) !== hurries) {
        hurries = Atomics.load(command, HURRY);
        hurriedUntilMs = nowMs + HURRY_MS;
      }
      if (nowMs < hurriedUntilMs) sleepMs = 1;
      if (wanted === RUN) Atomics.wait(command, COMMAND, RUN, sleepMs);
    }
    look();
    for (const event of standing(connectionTable, Date.now() * 1000, writer.connectionOffset)) writer.event(event);
    writer.close();
  } finally {
    publish();
    writer.close();
    losses.close();
  }
}

function addLost(cause: string, events: number, bytes: number): void {
  const before = lost[cause];
  lost[cause] = { events: (before?.events ?? 0) + events, bytes: (before?.bytes ?? 0) + bytes };
  counters[COUNTERS.lostBytes] = (counters[COUNTERS.lostBytes] ?? 0) + bytes;
}

/** Events that the main thread knows of. This thread never returns to its event loop: it asks. */
function takeEvents(take: (event: Event) => void): void {
  while (parentPort !== null) {
    const received = receiveMessageOnPort(parentPort) as { message: readonly Event[] } | undefined;
    if (received === undefined) return;
    received.message.forEach(take);
  }
}

function post(message: WorkerOutput): void {
  parentPort?.postMessage(message);
}

try {
  run();
  post({ kind: 'stopped', lost });
} catch (error) {
  if (!(error instanceof Error)) throw error;
  // A recording beyond use can't be continued: the user named the wrong folder.
  const name = error instanceof UserError || error instanceof CorruptError ? 'UserError'
    : error instanceof EnvironmentError ? 'EnvironmentError' : 'Error';
  post({ kind: 'stopped', lost, failure: { name, message: name === 'Error' ? error.stack ?? error.message : error.message } });
}
