/** Writes an index file: blobs as they come, rows at the end, all under another name until it is whole. */
import { chownSync, closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { Owner } from './folder.ts';
import { INDEX_HEAD_BYTES, INDEX_MAGIC, INDEX_VERSION, MAX_TEXT_BYTES, ROW_BYTES, sortedOrder, writeRow } from './session-rows.ts';
import type { BlobPlace, Row } from './session-rows.ts';

const BUFFER_BYTES = 1 << 20;
const ROWS_IN_CHUNK = 8192;
/** Texts remembered so that equal ones are stored once; forgotten all together when there are more. */
const MAX_INTERNED = 1 << 16;

export class IndexWriter {
  readonly #path: string;
  readonly #draft: string;
  #fd: number | undefined;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;
  /** Where the buffer will go. */
  #written = INDEX_HEAD_BYTES;
  readonly #interned = new Map<string, BlobPlace>();
  readonly #rows: Buffer[] = [];
  #count = 0;

  /** Throws what fs throws. */
  constructor(path: string, owner: Owner | undefined) {
    this.#path = path;
    this.#draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
    this.#fd = openSync(this.#draft, 'wx', 0o600);
    if (owner !== undefined) chownSync(this.#draft, owner.uid, owner.gid);
  }

  get count(): number {
    return this.#count;
  }

  put(bytes: Buffer): readonly [offset: number, length: number] {
    if (bytes.length > BUFFER_BYTES - this.#used) this.#flush();
    const offset = this.#written + this.#used;
    if (bytes.length > BUFFER_BYTES) {
      this.#write(bytes, offset);
      this.#written += bytes.length;
    } else {
      bytes.copy(this.#buffer, this.#used);
      this.#used += bytes.length;
    }
    return [offset, bytes.length];
  }

  text(text: string): BlobPlace {
    const known = this.#interned.get(text);
    if (known !== undefined) return known;
    const [offset, length] = this.put(Buffer.from(text).subarray(0, MAX_TEXT_BYTES));
    if (this.#interned.size >= MAX_INTERNED) this.#interned.clear();
    const place = { offset, length };
    this.#interned.set(text, place);
    return place;
  }

  row(row: Row): void {
    const index = this.#count % ROWS_IN_CHUNK;
    if (index === 0) this.#rows.push(Buffer.allocUnsafeSlow(ROWS_IN_CHUNK * ROW_BYTES));
    const chunk = this.#rows.at(-1);
    if (chunk !== undefined) writeRow(chunk, index * ROW_BYTES, row);
    this.#count++;
  }

  /** Sorts the rows, writes head and rows, and puts the file in its place. */
  finish(head: object): void {
    const meta = this.put(Buffer.from(JSON.stringify(head)));
    const rowsAt = meta[0] + meta[1];
    const keys = new Float64Array(this.#count);
    for (let index = 0; index < keys.length; index++) keys[index] = this.#chunk(index).readDoubleLE(offsetInChunk(index) + 16);
    for (const index of sortedOrder(keys)) {
      const at = offsetInChunk(index);
      this.put(this.#chunk(index).subarray(at, at + ROW_BYTES));
    }
    this.#flush();
    const first = Buffer.alloc(INDEX_HEAD_BYTES);
    INDEX_MAGIC.copy(first);
    first.writeUInt32LE(INDEX_VERSION, 8);
    first.writeUInt32LE(this.#count, 12);
    first.writeDoubleLE(rowsAt, 16);
    first.writeDoubleLE(meta[0], 24);
    first.writeUInt32LE(meta[1], 32);
    this.#write(first, 0);
    this.#close();
    renameSync(this.#draft, this.#path);
  }

  /** Leaves nothing behind. */
  abandon(): void {
    this.#close();
    rmSync(this.#draft, { force: true });
  }

  #chunk(index: number): Buffer {
    const chunk = this.#rows[Math.floor(index / ROWS_IN_CHUNK)];
    if (chunk === undefined) throw new Error(`no row ${index}`);
    return chunk;
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#write(this.#buffer.subarray(0, this.#used), this.#written);
    this.#written += this.#used;
    this.#used = 0;
  }

  #write(bytes: Uint8Array, at: number): void {
    if (this.#fd === undefined) throw new Error('write to a finished index');
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

const offsetInChunk = (index: number): number => (index % ROWS_IN_CHUNK) * ROW_BYTES;
