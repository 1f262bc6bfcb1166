/**
 * Writes a recording. The ring's worker hands it samples as they lie in ring memory; it copies each once into the block
 * at hand, and whole blocks go to disk. Used by one thread; nothing in here waits for anything but the disk.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { varintSize, writeVarint, zigzag } from '../bytes/varint.ts';
import { EnvironmentError, UserError } from '../errors.ts';
import { encodeSample, isHotKind, MAX_EVENT_HEAD } from '../events/encode.ts';
import type { Event } from '../events/event.ts';
import {
  OFFSET_SAMPLE_AT_NS, OFFSET_SAMPLE_CAPTURED, OFFSET_SAMPLE_CONNECTION, OFFSET_SAMPLE_KIND,
} from '../events/layout.ts';
import { encodeEvent } from '../events/message.ts';
import { readU64, sampleToEvent } from '../events/sample.ts';
import { systemClock } from './clock.ts';
import type { Clock, ClockPair } from './clock.ts';
import { listSegments, makePrivateFolder, refuseForeign } from './folder.ts';
import type { Owner } from './folder.ts';
import {
  BLOCK_HAS_HEADER, BLOCK_HEADER_BYTES, BLOCK_IS_SNAPSHOT, BLOCK_TARGET_BYTES, FORMAT_VERSION, MAX_SEQUENCE,
  segmentName, writeBlockHeader, writePrelude,
} from './format.ts';
import { encodeHeader, uuidBytes } from './header.ts';
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
  /** Outbound connections to these are left out, whole; `host` undefined: every address. */
  readonly bypass?: readonly { readonly host: string | undefined; readonly port: number }[];
  /** The file system keeps this much free; default the smaller of 10% of it and 2 GiB; 0: no reserve. */
  readonly minFreeBytes?: number;
  readonly statfs?: (path: string) => FileSystemSpace;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const MIN_MAX_DISK_BYTES = 8 * 1024 * 1024;
/** Of maxDiskBytes a segment takes at most this share, so that dropping one leaves most of the recording. */
const SEGMENTS_IN_MAX_DISK = 8;
/** No sample captures more, no event's message is longer. */
const MAX_SAMPLE_BYTES = 1024 * 1024;
/** The wall clock was set, or the machine slept: from here on a new segment with a new clock pair. */
const CLOCK_STEP_NS = 500_000_000n;
const CLOCK_LOOK_NS = 1_000_000_000;

export class SegmentWriter {
  readonly dir: string;
  /** UUID text. */
  readonly recordingId: string;
  /** Added to the connection numbers of samples, so that a continued recording uses none twice. */
  readonly connectionOffset: number;
  readonly #options: WriterOptions;
  readonly #clock: Clock;
  readonly #live = new LiveState();
  readonly #space: FreeSpace;
  readonly #segmentBytes: number;
  readonly #unlock: () => void;
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_HEADER_BYTES + BLOCK_TARGET_BYTES + MAX_SAMPLE_BYTES + 2 * MAX_EVENT_HEAD);
  readonly #blockView = new DataView(this.#block.buffer);
  /** Where the next event goes. */
  #at = BLOCK_HEADER_BYTES;
  #blockEvents = 0;
  /** CLOCK_MONOTONIC ns that the block's events count from. */
  #baseNs = 0;
  #segment: SegmentFile | undefined;
  #sequence: number;
  #salt = 0;
  #pair: ClockPair = { unixNs: 0n, monotonicNs: 0n };
  /** Unix less monotonic time, in whole µs, so that event times given in µs come back as they were. */
  #offsetNs = 0n;
  #clockLookedNs = 0;
  #highestConnection: number;
  #bytesBefore = 0;
  /** Connections that are left out. Seldom any: then no sample is looked up. */
  readonly #leftOut = new Set<number>();
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
    if (!isHotKind(kind)) {
      this.#rareSample(ring, view, offset, atNs);
      return;
    }
    const captured = view.getUint32(offset + OFFSET_SAMPLE_CAPTURED, true);
    if (captured > MAX_SAMPLE_BYTES) throw new Error(`sample of ${captured} bytes`);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#leftOut.size > 0 && this.#leftOut.has(readU64(view, offset + OFFSET_SAMPLE_CONNECTION) + this.connectionOffset)) return;
    if (this.#blockEvents === 0) this.#baseNs = atNs;
    this.#at = encodeSample(
      this.#block, this.#blockView, this.#at, ring, view, offset, atNs - this.#baseNs, this.connectionOffset,
    );
    this.#blockEvents++;
    this.#events++;
    if (this.#at >= BLOCK_HEADER_BYTES + BLOCK_TARGET_BYTES) this.flush();
  }

  /** Writes an event that did not come from the ring (import, loss that user space found). Throws as `sample` does. */
  event(event: Event): void {
    if (this.#failure !== undefined) throw this.#failure;
    const message = encodeEvent(event);
    this.#put(message, this.#monotonicNs(event.atUs), false);
    this.#events++;
    this.#live.note(event, message);
    if ('connection' in event && event.connection > this.#highestConnection) this.#highestConnection = event.connection;
    if (this.#at >= BLOCK_HEADER_BYTES + BLOCK_TARGET_BYTES) this.flush();
  }

  /** Writes what there is as a block. To be called when idle and at least every 200 ms. Throws as `sample` does. */
  flush(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#blockEvents === 0) return;
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
    const event = sampleToEvent(ring, view, offset, this.#unixUs(atNs), this.connectionOffset);
    if (event === undefined) throw new Error(`sample of unknown kind ${view.getUint8(offset + OFFSET_SAMPLE_KIND)}`);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#leavesOut(event)) return;
    const message = encodeEvent(event);
    this.#put(message, atNs, false);
    this.#events++;
    this.#live.note(event, message);
    const connection = readU64(view, offset + OFFSET_SAMPLE_CONNECTION) + this.connectionOffset;
    if (connection > this.#highestConnection) this.#highestConnection = connection;
    if (this.#at >= BLOCK_HEADER_BYTES + BLOCK_TARGET_BYTES) this.flush();
  }

  #leavesOut(event: Event): boolean {
    if (event.kind === 'open' && event.role === 'outbound') {
      const { host, port } = event.remote;
      const matches = this.#options.bypass?.some((bypass) => bypass.port === port && (bypass.host === undefined || bypass.host === host));
      if (matches === true) this.#leftOut.add(event.connection);
    }
    if (this.#leftOut.size === 0 || !('connection' in event) || !this.#leftOut.has(event.connection)) return false;
    if (event.kind === 'close' && (event.phase === 'done' || event.phase === 'failed')) this.#leftOut.delete(event.connection);
    return true;
  }

  /** An encoded message without `at`, which goes before it, as does `snapshot`. */
  #put(message: Uint8Array, atNs: number, snapshot: boolean): void {
    if (message.length > MAX_SAMPLE_BYTES) throw new Error(`event of ${message.length} bytes`);
    if (this.#blockEvents === 0) this.#baseNs = atNs;
    const delta = zigzag(Math.round(atNs - this.#baseNs));
    const block = this.#block;
    let at = writeVarint(block, this.#at, 1 + varintSize(delta) + (snapshot ? 2 : 0) + message.length);
    block[at] = 0x08; // Event.at
    at = writeVarint(block, at + 1, delta);
    if (snapshot) {
      block[at] = 0x28; // Event.snapshot
      block[at + 1] = 1;
      at += 2;
    }
    block.set(message, at);
    this.#at = at + message.length;
    this.#blockEvents++;
  }

  #writeBlock(flags: number): void {
    const length = this.#at - BLOCK_HEADER_BYTES;
    writeBlockHeader(this.#block, {
      length, events: this.#blockEvents, flags, salt: this.#salt, baseUnixNs: this.#unixNs(this.#baseNs),
      payloadCrc: crc32(this.#block.subarray(BLOCK_HEADER_BYTES, this.#at)),
    });
    this.#at = BLOCK_HEADER_BYTES;
    this.#blockEvents = 0;
    this.#write(this.#block, BLOCK_HEADER_BYTES + length);
  }

  #write(bytes: Uint8Array, length: number): void {
    try {
      this.#space.ensure(length);
      this.#segment?.append(bytes, length);
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
      this.#dropped += dropOldest(this.dir, maxDiskBytes, this.#segmentBytes + BLOCK_TARGET_BYTES + MAX_SAMPLE_BYTES);
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
      ...this.#options.facts, continued, connectionOffset: this.connectionOffset, highestConnection: this.#highestConnection,
    });
    const header = Buffer.alloc(BLOCK_HEADER_BYTES);
    writeBlockHeader(header, {
      length: payload.length, events: 0, flags: BLOCK_HAS_HEADER, salt: this.#salt, baseUnixNs: this.#pair.unixNs,
      payloadCrc: crc32(payload),
    });
    const head = Buffer.concat([prelude, header, payload]);
    this.#write(head, head.length);
    this.#writeSnapshot();
  }

  #writeSnapshot(): void {
    const nowNs = Number(this.#pair.monotonicNs);
    for (const { atUs, message } of this.#live.entries()) {
      if (this.#blockEvents === 0) this.#baseNs = nowNs;
      this.#put(message, this.#monotonicNs(atUs), true);
      if (this.#at >= BLOCK_HEADER_BYTES + BLOCK_TARGET_BYTES) this.#writeBlock(BLOCK_IS_SNAPSHOT);
    }
    if (this.#blockEvents > 0) this.#writeBlock(BLOCK_IS_SNAPSHOT);
  }

  #clockStepped(): boolean {
    if (this.#baseNs - this.#clockLookedNs < CLOCK_LOOK_NS) return false;
    this.#clockLookedNs = this.#baseNs;
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
