/** Blocks read again by place, checked anew: what was fine when it was indexed may have rotted since. */
import { join } from 'node:path';
import { dropFirst } from '../bounded.ts';
import { CorruptError } from '../errors.ts';
import { SegmentBlocks } from './blocks.ts';
import { segmentName } from './format.ts';
import type { BlockPlace } from './recording.ts';

/** 64 blocks of 256 KiB: sessions side by side in time share them. */
const MAX_BLOCKS = 64;
const MAX_FILES = 16;

export class BlockCache {
  readonly #dir: string;
  readonly #blocks = new Map<string, Buffer>();
  readonly #files = new Map<number, SegmentBlocks>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The block's payload. Throws CorruptError when it is damaged or gone. */
  payload(place: BlockPlace): Buffer {
    const key = `${place.sequence} ${place.offset}`;
    let payload = this.#blocks.get(key);
    if (payload === undefined) payload = this.#read(place);
    else this.#blocks.delete(key);
    this.#blocks.set(key, payload);
    dropFirst(this.#blocks, MAX_BLOCKS);
    return payload;
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
    this.#blocks.clear();
  }

  #read({ sequence, offset }: BlockPlace): Buffer {
    const file = this.#file(sequence);
    file.seek(offset);
    const block = file.next();
    if (block.kind === 'block' && block.offset === offset) return block.payload;
    throw new CorruptError(`${file.path}: the block at ${offset} is damaged`);
  }

  #file(sequence: number): SegmentBlocks {
    const known = this.#files.get(sequence);
    if (known !== undefined) return known;
    const path = join(this.#dir, segmentName(sequence));
    try {
      const file = new SegmentBlocks(path);
      this.#files.set(sequence, file);
      dropFirst(this.#files, MAX_FILES)?.close();
      return file;
    } catch (error) {
      throw new CorruptError(`${path} can't be read any more: ${(error as Error).message}`);
    }
  }
}
