/**
 * Writes a recording. The ring's worker hands it samples as they lie in ring memory; it copies each once into the block
 * at hand, and whole blocks go to disk. Used by one thread; nothing in here waits for anything but the disk.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { EnvironmentError, UserError } from '../errors.ts';
import { isHotKind } from '../events/encode.ts';
import { appendMessage } from '../events/append-message.ts';
import { AppendedFiles } from '../events/appended-files.ts';
import type { Event, MarkEvent } from '../events/event.ts';
import { OFFSET_SAMPLE_AT_NS, OFFSET_SAMPLE_CONNECTION, OFFSET_SAMPLE_KIND, SAMPLE_APPEND, SAMPLE_FILE } from '../events/layout.ts';
import { encodeEvent } from '../events/message.ts';
import { readU64, sampleToEvent } from '../events/sample.ts';
import { BlockBuffer, MAX_EVENT_BYTES } from './block-buffer.ts';
import { systemClock } from './clock.ts';
import type { Clock, ClockPair } from './clock.ts';
import { listSegments, makePrivateFolder, refuseForeign } from './folder.ts';
import type { Owner } from './folder.ts';
import {
  BLOCK_HAS_HEADER, BLOCK_HEADER_BYTES, BLOCK_IS_SNAPSHOT, BLOCK_TARGET_BYTES, FORMAT_VERSION, MAX_SEQUENCE,
  segmentName, writeBlockHeader, writePrelude,
} from './format.ts';
import { encodeHeader, uuidBytes, type Launch } from './header.ts';
import { LeftOut } from './left-out.ts';
import type { BypassAddress } from './left-out.ts';
import { LiveState } from './live.ts';
import { lockFolder } from './lock.ts';
import { readPrevious } from './previous.ts';
import { cannotWrite, SegmentFile } from './segment-file.ts';
import { dropOldest, FreeSpace } from './space.ts';
import type { FileSystemSpace } from './space.ts';

/** What every segment says of who recorded it. */
export interface RecorderFacts {
  readonly bootId: string;
  readonly host: string;
  /** `uname -r`. */
  readonly kernel: string;
  /** The probe backend. */
  readonly probe: string;
  readonly koalaVersion: string;
  /** As the user gave them. */
  readonly filters: readonly string[];
  /** How those that are recorded had been started, where that shall be kept. */
  readonly launches?: readonly Launch[];
}

export interface WriterOptions {
  /** Absent, empty, or a recording, which is continued. */
  readonly dir: string;
  readonly facts: RecorderFacts;
  /** Whom the files shall belong to; by default this process' user. */
  readonly owner?: Owner;
  /** UUID text of a new recording; by default random. */
  readonly recordingId?: string;
  readonly clock?: Clock;
  /** A segment is closed when it has reached this; default 64 MiB. */
  readonly segmentBytes?: number;
  /** Oldest segments are removed so that the recording stays below it; default: no bound. */
  readonly maxDiskBytes?: number;
  /** Outbound connections to these are left out, whole. */
  readonly bypass?: readonly BypassAddress[];
  /** The file system keeps this much free; default the smaller of 10% of it and 2 GiB; 0: no reserve. */
  readonly minFreeBytes?: number;
  readonly statfs?: (path: string) => FileSystemSpace;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const MIN_MAX_DISK_BYTES = 8 * 1024 * 1024;
/** Of maxDiskBytes a segment takes at most this share, so that dropping one leaves most of the recording. */
const SEGMENTS_IN_MAX_DISK = 8;
/** The wall clock was set, or the machine slept: from here on a new segment with a new clock pair. */
const CLOCK_STEP_NS = 500_000_000n;
const CLOCK_LOOK_NS = 1_000_000_000;
/** Connections that a mark names; where there are more, another one follows. */
const MAX_SENT = 16_384;

export class SegmentWriter {
  readonly dir: string;
  /** UUID text. */
  readonly recordingId: string;
  /** Added to the connection numbers of samples, so that a continued recording uses none twice. */
  readonly connectionOffset: number;
  readonly #options: WriterOptions;
  readonly #clock: Clock;
  readonly #live = new LiveState();
  readonly #files = new AppendedFiles();
  readonly #space: FreeSpace;
  readonly #segmentBytes: number;
  readonly #unlock: () => void;
  readonly #block = new BlockBuffer();
  readonly #leftOut: LeftOut;
  #segment: SegmentFile | undefined;
  #sequence: number;
  #salt = 0;
  #pair: ClockPair = { unixNs: 0n, monotonicNs: 0n };
  /** Unix less monotonic time, in whole µs, so that event times given in µs come back as they were. */
  #offsetNs = 0n;
  #clockLookedNs = 0;
  /** CLOCK_MONOTONIC ns of the last block. */
  #lastNs = 0;
  #highestConnection: number;
  #bytesBefore = 0;
  #events = 0;
  #segments = 0;
  #dropped = 0;
  #failure: EnvironmentError | undefined;
  #closed = false;

  /**
   * Takes the folder and opens a segment. Throws UserError for a foreign folder or one that another recorder writes,
   * EnvironmentError where it can't be written or too little room is left.
   */
  constructor(options: WriterOptions) {
    this.#options = options;
    this.dir = options.dir;
    this.#clock = options.clock ?? systemClock;
    const { maxDiskBytes = Infinity, segmentBytes = DEFAULT_SEGMENT_BYTES } = options;
    if (maxDiskBytes < MIN_MAX_DISK_BYTES) throw new UserError(`--max-disk ${maxDiskBytes}: at least ${MIN_MAX_DISK_BYTES} bytes (8 MiB) are needed`);
    this.#segmentBytes = Math.min(segmentBytes, Math.floor(maxDiskBytes / SEGMENTS_IN_MAX_DISK));
    this.#leftOut = new LeftOut(options.bypass ?? []);
    this.#space = new FreeSpace(this.dir, options.minFreeBytes, options.statfs);
    refuseForeign(this.dir);
    makePrivateFolder(this.dir, options.owner);
    this.#unlock = this.#takeLock();
    try {
      const existing = listSegments(this.dir);
      const previous = existing.length === 0 ? undefined : readPrevious(this.dir, existing);
      this.recordingId = previous?.recordingId ?? options.recordingId ?? randomUUID();
      this.#sequence = previous?.lastSequence ?? 0;
      this.#highestConnection = this.connectionOffset = previous?.highestConnection ?? 0;
      this.#openSegment(previous !== undefined);
      if (previous !== undefined) {
        const resumedAtUs = this.#unixUs(Number(this.#pair.monotonicNs));
        this.event({ kind: 'pause', atUs: Math.min(previous.untilUs, resumedAtUs), resumedAtUs, ...NOBODY });
      }
    } catch (error) {
      this.#segment?.close();
      this.#unlock();
      throw error;
    }
  }

  /** Bytes written to disk by this writer. */
  get bytesWritten(): number {
    return this.#bytesBefore + (this.#segment?.bytes ?? 0);
  }

  /** Events taken, written or still in the block at hand; snapshots not counted. */
  get events(): number {
    return this.#events;
  }

  /** Segments begun by this writer. */
  get segments(): number {
    return this.#segments;
  }

  /** Oldest segments removed for `maxDiskBytes`. */
  get droppedSegments(): number {
    return this.#dropped;
  }

  /** Connections that are open now. */
  get openConnections(): number {
    return this.#live.connections;
  }

  /**
   * Takes the sample at `offset` of `ring` (its `struct sample`; `view` is of the same memory). Nothing is kept of the
   * ring's memory. Throws EnvironmentError when the disk refuses; the recording stays readable and takes no more.
   */
  sample(ring: Uint8Array, view: DataView, offset: number): void {
    const kind = view.getUint8(offset + OFFSET_SAMPLE_KIND);
    const atNs = readU64(view, offset + OFFSET_SAMPLE_AT_NS);
    if (kind !== SAMPLE_APPEND && !isHotKind(kind)) {
      this.#rareSample(ring, view, offset, atNs);
      return;
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (kind === SAMPLE_APPEND) {
      this.#block.message(appendMessage(ring, view, offset, this.#files.of(readU64(view, offset + OFFSET_SAMPLE_CONNECTION))), atNs, false);
      this.#events++;
      if (this.#block.full) this.flush();
      return;
    }
    if (this.#leftOut.any && this.#leftOut.has(readU64(view, offset + OFFSET_SAMPLE_CONNECTION) + this.connectionOffset)) return;
    this.#block.sample(ring, view, offset, atNs, this.connectionOffset);
    this.#events++;
    if (this.#block.full) this.flush();
  }

  /** Writes an event that did not come from the ring (import, loss that user space found). Throws as `sample` does. */
  event(event: Event): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#take(event, this.#monotonicNs(event.atUs));
  }

  /** Says that whatever happened before `atNs` (CLOCK_MONOTONIC) was given, and how far connections have sent. Throws as `sample` does. */
  mark(atNs: number, sent: MarkEvent['sent'] = []): void {
    if (this.#failure !== undefined) throw this.#failure;
    const at = { kind: 'mark', atUs: this.#unixUs(atNs), ...NOBODY } as const;
    this.#take({ ...at, sent: sent.slice(0, MAX_SENT) }, atNs);
    for (let from = MAX_SENT; from < sent.length; from += MAX_SENT) this.#take({ ...at, sent: sent.slice(from, from + MAX_SENT) }, atNs);
  }

  /** Writes what there is as a block. To be called when idle and at least every 200 ms. Throws as `sample` does. */
  flush(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#block.events === 0) return;
    this.#writeBlock(0);
    if ((this.#segment?.bytes ?? 0) >= this.#segmentBytes || this.#clockStepped()) this.#rotate();
  }

  /** Writes what is left and says that this is the end; releases the folder. What can't be written any more is given up silently: `sample` said it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#failure === undefined) {
        const atUs = this.#unixUs(Number(this.#clock(false).monotonicNs));
        this.event({ kind: 'pause', atUs, resumedAtUs: 0, ...NOBODY });
        this.#writeBlock(0);
      }
    } finally {
      this.#segment?.close();
      this.#unlock();
    }
  }

  #takeLock(): () => void {
    try {
      return lockFolder(this.dir, this.#options.owner);
    } catch (error) {
      throw error instanceof UserError ? error : cannotWrite(this.dir, error);
    }
  }

  #rareSample(ring: Uint8Array, view: DataView, offset: number, atNs: number): void {
    const event = sampleToEvent(ring, view, offset, this.#unixUs(atNs), this.connectionOffset, this.#files);
    if (event === undefined && view.getUint8(offset + OFFSET_SAMPLE_KIND) === SAMPLE_FILE) return;
    if (event === undefined) throw new Error(`sample of unknown kind ${view.getUint8(offset + OFFSET_SAMPLE_KIND)}`);
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#leftOut.takes(event)) this.#take(event, atNs);
  }

  #take(event: Event, atNs: number): void {
    const message = encodeEvent(event);
    this.#block.message(message, atNs, false);
    this.#events++;
    this.#live.note(event, message);
    if ('connection' in event && event.connection > this.#highestConnection) this.#highestConnection = event.connection;
    if (this.#block.full) this.flush();
  }

  #writeBlock(flags: number): void {
    this.#lastNs = this.#block.baseNs;
    this.#write(this.#block.seal({ flags, salt: this.#salt, baseUnixNs: this.#unixNs(this.#lastNs) }));
  }

  #write(bytes: Uint8Array): void {
    try {
      this.#space.ensure(bytes.length);
      this.#segment?.append(bytes);
    } catch (error) {
      this.#failure = error instanceof EnvironmentError ? error : cannotWrite(this.dir, error);
      throw this.#failure;
    }
  }

  #rotate(): void {
    this.#bytesBefore += this.#segment?.bytes ?? 0;
    this.#segment?.close();
    this.#segment = undefined;
    const { maxDiskBytes } = this.#options;
    if (maxDiskBytes !== undefined) {
      this.#dropped += dropOldest(this.dir, maxDiskBytes, this.#segmentBytes + BLOCK_TARGET_BYTES + MAX_EVENT_BYTES);
    }
    try {
      this.#openSegment(false);
    } catch (error) {
      this.#failure ??= error instanceof EnvironmentError ? error : cannotWrite(this.dir, error);
      throw this.#failure;
    }
  }

  #openSegment(continued: boolean): void {
    if (this.#sequence >= MAX_SEQUENCE) throw new EnvironmentError(`${this.dir} has its last segment number`, 'record to another folder');
    this.#sequence++;
    this.#pair = this.#clock(true);
    const offsetNs = this.#pair.unixNs - this.#pair.monotonicNs;
    this.#offsetNs = offsetNs - (offsetNs % 1000n);
    this.#clockLookedNs = Number(this.#pair.monotonicNs);
    this.#salt = randomBytes(4).readUInt32LE();
    this.#space.ensure(0);
    this.#segment = new SegmentFile(join(this.dir, segmentName(this.#sequence)), this.#options.owner);
    this.#segments++;
    const prelude = writePrelude({
      version: FORMAT_VERSION, salt: this.#salt, sequence: this.#sequence, recordingId: uuidBytes(this.recordingId),
    });
    const payload = encodeHeader({
      formatVersion: FORMAT_VERSION, recordingId: this.recordingId, sequence: this.#sequence, ...this.#pair,
      launches: [], ...this.#options.facts, continued, connectionOffset: this.connectionOffset, highestConnection: this.#highestConnection,
    });
    const header = Buffer.alloc(BLOCK_HEADER_BYTES);
    writeBlockHeader(header, {
      length: payload.length, events: 0, flags: BLOCK_HAS_HEADER, salt: this.#salt, baseUnixNs: this.#pair.unixNs,
      payloadCrc: crc32(payload),
    });
    const head = Buffer.concat([prelude, header, payload]);
    this.#write(head);
    this.#writeSnapshot();
  }

  #writeSnapshot(): void {
    for (const { atUs, message } of this.#live.entries()) {
      this.#block.message(message, this.#monotonicNs(atUs), true);
      if (this.#block.full) this.#writeBlock(BLOCK_IS_SNAPSHOT);
    }
    if (this.#block.events > 0) this.#writeBlock(BLOCK_IS_SNAPSHOT);
  }

  #clockStepped(): boolean {
    if (this.#lastNs - this.#clockLookedNs < CLOCK_LOOK_NS) return false;
    this.#clockLookedNs = this.#lastNs;
    const { unixNs, monotonicNs } = this.#clock(false);
    const step = unixNs - monotonicNs - this.#offsetNs;
    return step > CLOCK_STEP_NS || step < -CLOCK_STEP_NS;
  }

  #unixNs(monotonicNs: number): bigint {
    return BigInt(Math.round(monotonicNs)) + this.#offsetNs;
  }

  #unixUs(monotonicNs: number): number {
    return Number(this.#offsetNs / 1000n) + monotonicNs / 1000;
  }

  #monotonicNs(unixUs: number): number {
    return (unixUs - Number(this.#offsetNs / 1000n)) * 1000;
  }
}

const NOBODY = { tgid: 0, tid: 0, context: 0, snapshot: false } as const;
