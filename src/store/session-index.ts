/**
 * The sessions of a recording, listed and found at once. The first reader derives them all and keeps what it found in a
 * file beside the segments; who comes after reads that file, as long as the segments are the same. Deriving is the only
 * truth: the file may be deleted at any time.
 */
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { Derivation } from '../sessions/derivation.ts';
import { sessionRowJson } from '../sessions/json.ts';
import type { Session } from '../sessions/session.ts';
import { traceOf } from '../sessions/trace-of.ts';
import { BlockCache } from './block-cache.ts';
import { codeFingerprint } from './code-fingerprint.ts';
import { IndexWriter } from './index-writer.ts';
import { RecipeWriter, readRecipe } from './recipe.ts';
import type { Recording, Status } from './recording.ts';
import {
  rowMayHaveTrace, traceDigest, INDEX_HEAD_BYTES, INDEX_MAGIC, INDEX_NAME, INDEX_VERSION, readRow, ROW_BYTES, rowHasPrefix, rowStart, rowState,
  rowStatus, rowSummary, rowTgid,
} from './session-rows.ts';
import { isOfTrace, statusMatches, type SessionFilter } from './session-filter.ts';
import type { BlobPlace, Row } from './session-rows.ts';
import { hasTls, summariseTalk } from './session-summary.ts';

export interface IndexOptions {
  /** How long a thread may be quiet after its answer before its calls are nobody's. */
  readonly quietMs: number;
  /** While the index is made: bytes of segments read, and of all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Told when the index can't be kept beside the segments, so that the next reader derives again. */
  readonly onUnkept?: (why: string) => void;
}

export type { SessionFilter };

export interface ListedSession extends Row {
  readonly commandText: string;
  readonly summaryText: string;
  readonly statusText: string | undefined;
}

interface Head {
  readonly recordingId: string;
  readonly code: string;
  readonly quietMs: number;
  readonly segments: readonly (readonly [sequence: number, bytes: number])[];
  readonly status: Status;
}

const ROWS_AT_ONCE = 8192;
const BLOB_CHUNK = 1 << 18;
const MAX_TEXTS = 1 << 16;
const ID_PREFIX = /^[0-9a-z-]+$/i;

/** Opens the index of `recording`, made first where there is none or another's. Close it after use. */
export function openSessionIndex(recording: Recording, options: IndexOptions): SessionIndex {
  const path = join(recording.dir, INDEX_NAME);
  const kept = SessionIndex.read(recording, path, options);
  if (kept !== undefined) return kept;
  try {
    const { uid, gid } = statSync(recording.dir);
    build(recording, path, options, process.getuid?.() === 0 ? { uid, gid } : undefined);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!['EACCES', 'EROFS', 'ENOSPC', 'EDQUOT', 'EPERM', 'EISDIR'].includes(code ?? '')) throw error;
    options.onUnkept?.(message);
    return buildApart(recording, options);
  }
  const made = SessionIndex.read(recording, path, options, true);
  if (made === undefined) throw new Error(`${path} was made and can't be read`);
  return made;
}

/** For who may not write beside the segments: a private file that is gone as soon as it is open. */
function buildApart(recording: Recording, options: IndexOptions): SessionIndex {
  const folder = mkdtempSync(join(tmpdir(), 'koala-index-'));
  try {
    const path = join(folder, INDEX_NAME);
    build(recording, path, options, undefined);
    const made = SessionIndex.read(recording, path, options, true);
    if (made === undefined) throw new Error(`${path} was made and can't be read`);
    return made;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function build(recording: Recording, path: string, options: IndexOptions, owner: { uid: number; gid: number } | undefined): void {
  const writer = new IndexWriter(path, owner);
  const outlook = recording.outlook();
  try {
    // Before reading: what grows meanwhile makes the next reader look again.
    const segments = recording.segments().map(({ sequence, bytes }) => [sequence, bytes] as const);
    const total = segments.reduce((sum, [, bytes]) => sum + bytes, 0);
    const recipes = new RecipeWriter(recording, writer);
    const derivation = new Derivation({
      recordingId: recording.id, quietMs: options.quietMs, onSession: (session) => writeSession(writer, recipes, session),
      quietUntilUs: (wantedUs) => outlook.until(wantedUs),
    });
    for (const event of recording.events({ onProgress: (done) => options.onProgress?.(done, total) })) derivation.push(event);
    const status = recording.status();
    derivation.finish(status.endedOrderly);
    const head: Head = { recordingId: recording.id, code: codeFingerprint(), quietMs: options.quietMs, segments, status };
    writer.finish(head);
  } catch (error) {
    writer.abandon();
    throw error;
  } finally {
    outlook.close();
  }
}

function writeSession(writer: IndexWriter, recipes: RecipeWriter, session: Session): void {
  const { text, status } = summariseTalk(session.inbound);
  // First the prologues that it shares, then the recipe: writing it puts those into the file.
  const [offset, length] = writer.put(recipes.write(session));
  writer.row({
    id: session.id, startedAtUs: session.startedAtUs, durationMs: session.durationMs, tgid: session.process.tgid,
    outbound: session.outbound.length, ties: session.ties, state: session.certificate.state, tls: hasTls(session),
    trace: traceDigests(session),
    command: writer.text(session.process.command), summary: writer.text(text), status: writer.text(status ?? ''),
    recipe: { offset, length },
  });
}

function traceDigests(session: Session): readonly [number, number] {
  const { traceId, requestIds } = traceOf(session) ?? {};
  const [requestId] = requestIds ?? [];
  return [traceId === undefined ? 0 : traceDigest(traceId), requestId === undefined ? 0 : traceDigest(requestId)];
}

export class SessionIndex {
  /** Of the recording when the index was made. */
  readonly status: Status;
  readonly count: number;
  readonly #fd: number;
  readonly #rowsAt: number;
  readonly #blocks: BlockCache;
  readonly #texts = new Map<number, string>();
  #chunk: { readonly offset: number; readonly bytes: Buffer } = { offset: 0, bytes: Buffer.alloc(0) };
  #closed = false;

  private constructor(fd: number, head: Head, count: number, rowsAt: number, dir: string) {
    this.#fd = fd;
    this.status = head.status;
    this.count = count;
    this.#rowsAt = rowsAt;
    this.#blocks = new BlockCache(dir);
  }

  /** undefined: there is none, or it is of other segments, code or options. `fresh`: made just now, segments may have grown since. */
  static read(recording: Recording, path: string, options: IndexOptions, fresh = false): SessionIndex | undefined {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch {
      return undefined;
    }
    try {
      const first = readAt(fd, 0, INDEX_HEAD_BYTES);
      if (first.length === INDEX_HEAD_BYTES && first.subarray(0, 8).equals(INDEX_MAGIC) && first.readUInt32LE(8) === INDEX_VERSION) {
        const count = first.readUInt32LE(12);
        const rowsAt = first.readDoubleLE(16);
        const head = JSON.parse(readAt(fd, first.readDoubleLE(24), first.readUInt32LE(32)).toString()) as Head;
        const whole = fstatSync(fd).size === rowsAt + count * ROW_BYTES;
        if (whole && (fresh || fits(head, recording, options))) return new SessionIndex(fd, head, count, rowsAt, recording.dir);
      }
    } catch {
      // Damaged: made anew.
    }
    closeSync(fd);
    return undefined;
  }

  /** The sessions that pass the filter, by start. */
  *list(filter: SessionFilter = {}): Generator<ListedSession> {
    const { sinceUs = -Infinity, untilUs = Infinity, tgid, trace, incomplete = false } = filter;
    const digests = trace?.map(traceDigest);
    const grep = filter.grep?.toLowerCase();
    const summaryFits = this.#decided((text) => grep === undefined || text.toLowerCase().includes(grep));
    const statusFits = this.#decided((text) => filter.status === undefined || statusMatches(text, filter.status));
    for (const { bytes, at } of this.#rows()) {
      const start = Math.round(rowStart(bytes, at)); // as it is shown
      if (start < sinceUs) continue;
      if (start >= untilUs) return;
      if (tgid !== undefined && rowTgid(bytes, at) !== tgid) continue;
      if (incomplete && rowState(bytes, at) === 'complete') continue;
      if (grep !== undefined && !summaryFits(rowSummary(bytes, at))) continue;
      if (filter.status !== undefined && !statusFits(rowStatus(bytes, at))) continue;
      if (digests !== undefined && !digests.some((digest) => rowMayHaveTrace(bytes, at, digest))) continue;
      // Two ids may have one digest.
      if (trace !== undefined && !isOfTrace(this.load(this.#listed(readRow(bytes, at))), trace)) continue;
      yield this.#listed(readRow(bytes, at));
    }
  }

  /** The one session whose id begins with `prefix`. Throws UserError when there is none, or more than one. */
  find(prefix: string): ListedSession {
    const wanted = ID_PREFIX.test(prefix) ? prefix.toLowerCase() : '';
    let found: Row | undefined;
    let count = 0;
    if (wanted !== '') {
      for (const { bytes, at } of this.#rows()) {
        if (!rowHasPrefix(bytes, at, wanted)) continue;
        count++;
        found ??= readRow(bytes, at);
        if (found.id === wanted) break;
      }
    }
    if (found === undefined) throw new UserError(`no session ${JSON.stringify(prefix)} in this recording; 'koala-bpf ls' lists those that are there`);
    if (count > 1) throw new UserError(`${count} sessions begin with ${JSON.stringify(prefix)}; give more of the id`);
    return this.#listed(found);
  }

  /** What `ls --json` says of it. */
  line(row: ListedSession): object {
    const { summaryText: text, statusText: status, tls } = row;
    const said = sessionRowJson(this.#read(row, undefined), { text, ...(status === undefined ? {} : { status }) });
    // Its digests are in the row; the ids themselves in what was said.
    const trace = row.trace.some((digest) => digest !== 0) ? traceOf(this.load(row)) : undefined;
    return { ...said, ...(trace === undefined ? {} : { trace }), ...(tls ? { tls } : {}) };
  }

  /** The session with its bytes, as it was derived. */
  load(row: ListedSession): Session {
    return this.#read(row, this.#blocks);
  }

  #read(row: ListedSession, blocks: BlockCache | undefined): Session {
    return readRecipe(row, this.#blob(row.recipe), { get: (place) => this.#blob(place) }, blocks);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
    this.#blocks.close();
  }

  /** A test of texts that is made once for each place: equal texts mostly lie at one. */
  #decided(test: (text: string) => boolean): (place: BlobPlace) => boolean {
    const known = new Map<number, boolean>();
    return (place) => {
      let passes = known.get(place.offset);
      if (passes === undefined) {
        passes = test(place.length === 0 ? '' : this.#text(place));
        if (known.size > MAX_TEXTS) known.clear();
        known.set(place.offset, passes);
      }
      return passes;
    };
  }

  *#rows(): Generator<{ bytes: Buffer; at: number }> {
    for (let done = 0; done < this.count; done += ROWS_AT_ONCE) {
      const bytes = readAt(this.#fd, this.#rowsAt + done * ROW_BYTES, Math.min(ROWS_AT_ONCE, this.count - done) * ROW_BYTES);
      for (let at = 0; at < bytes.length; at += ROW_BYTES) yield { bytes, at };
    }
  }

  #listed(row: Row): ListedSession {
    // Not spread: a list makes a million of these.
    return Object.assign(row, {
      commandText: this.#text(row.command), summaryText: this.#text(row.summary),
      statusText: row.status.length === 0 ? undefined : this.#text(row.status),
    });
  }

  #text(place: BlobPlace): string {
    let text = this.#texts.get(place.offset);
    if (text === undefined) {
      text = this.#blob(place).toString();
      if (this.#texts.size > MAX_TEXTS) this.#texts.clear();
      this.#texts.set(place.offset, text);
    }
    return text;
  }

  /** Neighbours are read together. */
  #blob({ offset, length }: BlobPlace): Buffer {
    const { offset: from, bytes } = this.#chunk;
    if (offset >= from && offset + length <= from + bytes.length) return bytes.subarray(offset - from, offset - from + length);
    if (length > BLOB_CHUNK) return readAt(this.#fd, offset, length);
    this.#chunk = { offset, bytes: readAt(this.#fd, offset, BLOB_CHUNK) };
    return this.#chunk.bytes.subarray(0, length);
  }
}

function fits(head: Head, recording: Recording, options: IndexOptions): boolean {
  const now = recording.segments();
  return head.recordingId === recording.id && head.code === codeFingerprint() && head.quietMs === options.quietMs &&
    head.segments.length === now.length &&
    now.every(({ sequence, bytes }, index) => head.segments[index]?.[0] === sequence && head.segments[index]?.[1] === bytes);
}

function readAt(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const got = readSync(fd, bytes, done, length - done, at + done);
    if (got === 0) break;
    done += got;
  }
  return bytes.subarray(0, done);
}
