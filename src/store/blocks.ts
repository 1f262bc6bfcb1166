/**
 * Reads a segment file block by block. Damage is reported and left behind at the next block header; nothing after it is
 * given up. Reading while the file is being written works: what is not whole yet is `incomplete`.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import {
  BLOCK_HEADER_BYTES, BLOCK_MAGIC, FORMAT_VERSION, PRELUDE_BYTES, readBlockHeader, readPrelude,
} from './format.ts';
import type { BlockHeader, Prelude } from './format.ts';

export interface Block {
  readonly kind: 'block';
  /** Of the block's header in the file. */
  readonly offset: number;
  readonly header: BlockHeader;
  /** In an ArrayBuffer of its own that is never written again. */
  readonly payload: Buffer;
}

/** A stretch that can't be read, and that is followed by one that can. */
export interface Damage {
  readonly kind: 'damage';
  readonly offset: number;
  readonly bytes: number;
  /** Known when the block's header is sound. */
  readonly header?: BlockHeader;
}

/** Nothing more, or bytes that are not a whole block (yet). */
export interface Incomplete {
  readonly kind: 'incomplete';
  readonly offset: number;
  readonly bytes: number;
}

const SCAN_BYTES = 1 << 20;

export class SegmentBlocks {
  readonly path: string;
  readonly prelude: Prelude | 'foreign' | 'damaged';
  #fd: number | undefined;
  #at = PRELUDE_BYTES;
  #salt: number | undefined;
  #ahead: Buffer | undefined;

  /** Throws what fs throws. */
  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, 'r');
    this.prelude = readPrelude(this.#read(0, PRELUDE_BYTES + BLOCK_MAGIC.length));
    if (typeof this.prelude === 'object') this.#salt = this.prelude.salt;
  }

  /** The prelude says a format that this version does not know: the blocks can't be trusted to be understood. */
  get newerVersion(): number | undefined {
    return typeof this.prelude === 'object' && this.prelude.version > FORMAT_VERSION ? this.prelude.version : undefined;
  }

  /** Goes to the block whose header is at `offset`. */
  seek(offset: number): void {
    this.#at = offset;
    this.#ahead = undefined;
  }

  next(): Block | Damage | Incomplete {
    const at = this.#at;
    const size = this.#size();
    if (size - at < BLOCK_HEADER_BYTES) return { kind: 'incomplete', offset: at, bytes: Math.max(0, size - at) };
    const header = this.#header(this.#ahead ?? this.#read(at, BLOCK_HEADER_BYTES), 0);
    this.#ahead = undefined;
    if (header === undefined) return this.#resume(at, size);
    const end = at + BLOCK_HEADER_BYTES + header.length;
    if (end > size) return { kind: 'incomplete', offset: at, bytes: size - at };
    // With the next block's header, to save a system call.
    const bytes = this.#read(at + BLOCK_HEADER_BYTES, header.length + BLOCK_HEADER_BYTES);
    const payload = bytes.subarray(0, header.length);
    if (bytes.length === header.length + BLOCK_HEADER_BYTES) this.#ahead = bytes.subarray(header.length);
    this.#at = end;
    if (crc32(payload) !== header.payloadCrc) return { kind: 'damage', offset: at, bytes: end - at, header };
    return { kind: 'block', offset: at, header, payload };
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #header(bytes: Buffer, at: number): BlockHeader | undefined {
    const header = readBlockHeader(bytes, at);
    if (header === undefined || (this.#salt !== undefined && header.salt !== this.#salt)) return undefined;
    // Without a prelude the first sound header says the salt.
    this.#salt ??= header.salt;
    return header;
  }

  /** Looks for the next sound header after `from`. */
  #resume(from: number, size: number): Damage | Incomplete {
    let start = from + 1;
    while (start < size) {
      const chunk = this.#read(start, SCAN_BYTES);
      if (chunk.length < BLOCK_HEADER_BYTES) break;
      for (let found = chunk.indexOf(BLOCK_MAGIC); found >= 0; found = chunk.indexOf(BLOCK_MAGIC, found + 1)) {
        if (found + BLOCK_HEADER_BYTES > chunk.length) break;
        if (this.#header(chunk, found) === undefined) continue;
        this.#at = start + found;
        return { kind: 'damage', offset: from, bytes: this.#at - from };
      }
      start += chunk.length - BLOCK_HEADER_BYTES + 1;
    }
    return { kind: 'incomplete', offset: from, bytes: size - from };
  }

  #size(): number {
    return this.#fd === undefined ? 0 : fstatSync(this.#fd).size;
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    if (this.#fd === undefined) return bytes.subarray(0, 0);
    let done = 0;
    while (done < length) {
      const got = readSync(this.#fd, bytes, done, length - done, at + done);
      if (got === 0) break;
      done += got;
    }
    return bytes.subarray(0, done);
  }
}
