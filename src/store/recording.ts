/** Reads a recording: all its events in order, from a folder of segments, in constant memory, also while it is written. */
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CorruptError, EnvironmentError, UserError } from '../errors.ts';
import { nextEvent } from '../events/decode.ts';
import type { EventCursor } from '../events/decode.ts';
import type { Event, LostEvent } from '../events/event.ts';
import { SegmentBlocks } from './blocks.ts';
import type { Block, Damage, Incomplete } from './blocks.ts';
import { listSegments, refuseForeign } from './folder.ts';
import type { SegmentFile } from './folder.ts';
import { BLOCK_HAS_HEADER, BLOCK_IS_SNAPSHOT, FORMAT_VERSION } from './format.ts';
import { decodeHeader, uuidText } from './header.ts';
import type { SegmentHeader } from './header.ts';
import { isRecorderAlive } from './lock.ts';
import { Outlook } from './outlook.ts';

/** Where a block lies. */
export interface BlockPlace {
  readonly sequence: number;
  /** Of the block's header in the segment file. */
  readonly offset: number;
}

export interface Status {
  /** The last recorder stopped in its own time, and everything it wrote is there. */
  readonly endedOrderly: boolean;
  /** Unix µs of the latest event read so far; 0 before the first. */
  readonly untilUs: number;
  /** A sentence each: damaged blocks, a torn tail, missing segments. */
  readonly problems: readonly string[];
  /** When nobody recorded, Unix µs: after each recorder but the last. */
  readonly pauses: readonly Pause[];
}

export interface Pause {
  readonly fromUs: number;
  readonly toUs: number;
}

export interface ReadOptions {
  /** The first segment to read; by default the oldest. */
  readonly fromSequence?: number;
  /** Unix µs: events before are left out. */
  readonly fromUs?: number;
  /** Unix µs: events from then on are left out. */
  readonly toUs?: number;
  /** Called now and then with the bytes of segment files read so far. */
  readonly onProgress?: (bytes: number) => void;
}

const POLL_MS = 50;
const NS_PER_US = 1000;

/** How a recording is opened. Throws UserError when `dir` is absent, empty, foreign or of a newer version, EnvironmentError when it may not be read. */
export function openRecording(dir: string): Recording {
  const segments = listSegments(dir);
  // What a person put beside the segments is no reason not to read them.
  if (segments.length === 0) refuseForeign(dir);
  if (segments.length === 0) throw new UserError(`${dir} is empty: nothing was recorded there; record with 'koala-bpf attach --out ${dir} …'`);
  return new Recording(dir, segments);
}

export class Recording {
  readonly dir: string;
  /** UUID text. */
  readonly id: string;
  /** Header of the first segment that can be read; undefined when that block is damaged everywhere. */
  readonly header: SegmentHeader | undefined;
  #status: Status = { endedOrderly: false, untilUs: 0, problems: [], pauses: [] };
  readonly #places = new WeakMap<ArrayBufferLike, BlockPlace>();

  constructor(dir: string, segments: readonly SegmentFile[]) {
    this.dir = dir;
    let id: string | undefined;
    for (const segment of segments) {
      const blocks = openSegment(segment.path);
      try {
        const { prelude, newerVersion } = blocks;
        if (newerVersion !== undefined) throw newer(segment.path, newerVersion);
        if (typeof prelude === 'object') id ??= uuidText(prelude.recordingId);
        const first = blocks.next();
        if (first.kind === 'block' && (first.header.flags & BLOCK_HAS_HEADER) !== 0) this.header ??= decodeHeader(first.payload);
      } finally {
        blocks.close();
      }
      if (this.header !== undefined) break;
    }
    id ??= this.header?.recordingId;
    if (id === undefined) {
      throw new CorruptError(`${segments[0]?.path ?? dir}: no segment's beginning can be read; it is no recording, or damaged beyond use`);
    }
    this.id = id;
  }

  /** The segments as they are now. */
  segments(): SegmentFile[] {
    return listSegments(this.dir);
  }

  /** As far as was read; complete once `events()` has ended. */
  status(): Status {
    return this.#status;
  }

  /** Whether a recorder is writing it. */
  get live(): boolean {
    return isRecorderAlive(this.dir);
  }

  /** Where the block lies that `bytes` (of a DataEvent, or a view on it) is a view on; undefined for a copy. */
  placeOf(bytes: Uint8Array): BlockPlace | undefined {
    return this.#places.get(bytes.buffer);
  }

  /**
   * All events, in the order they were written, up to the last whole block. What a later segment repeats of an earlier
   * one (snapshots) is left out. A damaged stretch is a `lost` event with cause `corrupt`.
   */
  *events(options: ReadOptions = {}): Generator<Event, void, undefined> {
    const source = this.#source(options);
    try {
      for (let event = source.next(); event !== undefined; event = source.next()) yield event;
    } finally {
      this.#status = source.finish();
    }
  }

  /** Like `events`, and then what comes, until the recorder has gone or `signal` is aborted. */
  async *follow(signal: AbortSignal, options: ReadOptions = {}): AsyncGenerator<Event, void, undefined> {
    const source = this.#source(options);
    try {
      while (!signal.aborted) {
        // Asked before reading: what a recorder that is gone wrote is there by then.
        const live = this.live;
        for (let event = source.next(); event !== undefined && !signal.aborted; event = source.next()) yield event;
        if (!live) return;
        await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      this.#status = source.finish();
    }
  }

  /** Looks ahead of whoever reads all events. To be closed. */
  outlook(): Outlook {
    return new Outlook(this.dir);
  }

  #source(options: ReadOptions): EventSource {
    return new EventSource(this.dir, options, (payload, place) => this.#places.set(payload.buffer, place));
  }
}

function openSegment(path: string): SegmentBlocks {
  try {
    return new SegmentBlocks(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') {
      throw new EnvironmentError(`${path} may not be read by this user`, 'recordings are private to who recorded them: use sudo, or be that user');
    }
    throw new EnvironmentError(`Cannot read ${path}: ${message}`);
  }
}

const newer = (path: string, version: number): UserError =>
  new UserError(`${path} is of format ${version}; this koala-bpf reads up to ${FORMAT_VERSION}: use a newer koala-bpf`);

/** A walk over the segments: one block in memory. `next` returns undefined when there is nothing more *now*. */
class EventSource {
  readonly #dir: string;
  readonly #options: ReadOptions;
  readonly #onBlock: (payload: Buffer, place: BlockPlace) => void;
  readonly #problems: string[] = [];
  readonly #pauses: Pause[] = [];
  #segment: SegmentBlocks | undefined;
  #sequence: number;
  readonly #start: number;
  #cursor: EventCursor = { bytes: new Uint8Array(0), at: 0, baseUs: 0 };
  /** Snapshots say something: this is the first segment, or something is missing before it. */
  #needSnapshot = true;
  /** Something was lost in this segment: the next one's snapshot may say what. */
  #damaged = false;
  #untilUs = 0;
  #ended = false;
  #tail: Incomplete | undefined;
  #doneBytes = 0;
  #unknown = 0;

  constructor(dir: string, options: ReadOptions, onBlock: (payload: Buffer, place: BlockPlace) => void) {
    this.#dir = dir;
    this.#options = options;
    this.#onBlock = onBlock;
    this.#start = options.fromSequence ?? 0;
    this.#sequence = Math.max(0, this.#start - 1);
  }

  next(): Event | undefined {
    const { fromUs = -Infinity, toUs = Infinity } = this.#options;
    for (;;) {
      const event = nextEvent(this.#cursor);
      if (typeof event === 'object') {
        if (event.atUs > this.#untilUs) this.#untilUs = event.atUs;
        if (event.snapshot) {
          if (!this.#needSnapshot) continue;
        } else {
          this.#ended = event.kind === 'pause' && event.resumedAtUs === 0;
          if (event.kind === 'pause' && event.resumedAtUs > 0) this.#pauses.push({ fromUs: event.atUs, toUs: event.resumedAtUs });
        }
        if (event.atUs >= toUs || (event.atUs < fromUs && !event.snapshot)) continue;
        return event;
      }
      if (event === 'unknown') {
        this.#unknown++;
        continue;
      }
      if (event === 'damaged') {
        const bytes = this.#cursor.bytes.length - this.#cursor.at;
        this.#cursor.at = this.#cursor.bytes.length;
        return this.#lost(`a block of ${this.#segment?.path ?? ''} has a sound checksum and unreadable events`, 0, bytes);
      }
      const lost = this.#nextBlock();
      if (lost === 'end') return undefined;
      if (lost !== undefined) return lost;
    }
  }

  /** Takes the next block into the cursor. */
  #nextBlock(): LostEvent | 'end' | undefined {
    if (this.#segment === undefined) return this.#nextSegment();
    const step = this.#segment.next();
    if (step.kind === 'incomplete') {
      this.#tail = step.bytes > 0 ? step : undefined;
      return this.#nextSegment();
    }
    this.#tail = undefined;
    if (step.kind === 'damage') return this.#damage(step);
    return this.#take(step);
  }

  #take(block: Block): undefined {
    const { header, payload, offset } = block;
    this.#options.onProgress?.(this.#doneBytes + offset + payload.length);
    if ((header.flags & BLOCK_HAS_HEADER) !== 0) return;
    if ((header.flags & BLOCK_IS_SNAPSHOT) !== 0 && !this.#needSnapshot) return;
    if ((header.flags & BLOCK_IS_SNAPSHOT) === 0) this.#needSnapshot = false;
    this.#onBlock(payload, { sequence: this.#sequence, offset });
    // 2^53 ns is 104 days: Unix time in µs and its rest are converted apart.
    const baseUs = Number(header.baseUnixNs / 1000n) + Number(header.baseUnixNs % 1000n) / NS_PER_US;
    this.#cursor = { bytes: payload, at: 0, baseUs };
  }

  #damage(damage: Damage): LostEvent {
    const { header, offset, bytes } = damage;
    const events = header === undefined ? 'a number of events not known' : `${header.events} events`;
    this.#ended = false;
    return this.#lost(`${bytes} damaged bytes at ${offset} of ${this.#segment?.path ?? ''}: ${events} lost`, header?.events ?? 0, bytes);
  }

  #lost(problem: string, events: number, bytes: number): LostEvent {
    this.#problems.push(problem);
    this.#damaged = true;
    return { kind: 'lost', cause: 'corrupt', events, bytes, atUs: this.#untilUs, tgid: 0, tid: 0, context: 0, snapshot: false };
  }

  #nextSegment(): LostEvent | 'end' | undefined {
    const next = listSegments(this.#dir).find((segment) => segment.sequence > this.#sequence);
    if (next === undefined) return 'end';
    const current = this.#segment;
    if (current !== undefined) {
      // The writer is through with a segment before it makes the next one: what it wrote meanwhile comes first.
      const last = current.next();
      if (last.kind === 'block') return this.#take(last);
      if (last.kind === 'damage') return this.#damage(last);
      if (last.bytes > 0) this.#problems.push(torn(current.path, last));
      this.#tail = undefined;
      this.#doneBytes += statSync(current.path, { throwIfNoEntry: false })?.size ?? 0;
      current.close();
      this.#segment = undefined;
    }
    const missing = this.#sequence < this.#start || this.#sequence === 0 ? 0 : next.sequence - this.#sequence - 1;
    this.#sequence = next.sequence;
    const opened = openSegment(next.path);
    if (opened.newerVersion !== undefined) throw newer(next.path, opened.newerVersion);
    if (opened.prelude === 'foreign') {
      opened.close();
      return this.#lost(`${next.path} is no segment of a recording: left out`, 0, next.bytes);
    }
    if (opened.prelude === 'damaged' && next.bytes > 0) this.#problems.push(`${next.path}: its first bytes are damaged`);
    this.#segment = opened;
    if (this.#damaged || missing > 0) this.#needSnapshot = true;
    this.#damaged = false;
    if (missing === 0) return undefined;
    const lost = this.#lost(`${missing} segments before ${next.path} are missing`, 0, 0);
    this.#damaged = false;
    return lost;
  }

  finish(): Status {
    if (this.#tail !== undefined && this.#segment !== undefined && !isRecorderAlive(this.#dir)) {
      this.#problems.push(torn(this.#segment.path, this.#tail));
      this.#ended = false;
    }
    if (this.#unknown > 0) this.#problems.push(`${this.#unknown} events of kinds that this version does not know were left out`);
    this.#segment?.close();
    this.#segment = undefined;
    return { endedOrderly: this.#ended, untilUs: this.#untilUs, problems: this.#problems, pauses: this.#pauses };
  }
}

const torn = (path: string, tail: Incomplete): string =>
  `${path} ends in ${tail.bytes} bytes of an unfinished block: what was being written when the recorder was stopped is lost`;
