/** What a recording may take of the disk: oldest segments go, and the file system keeps some room. */
import { rmSync, statfsSync } from 'node:fs';
import { EnvironmentError } from '../errors.ts';
import { listSegments } from './folder.ts';

/** `statfs(2)`, as far as it matters here. */
export interface FileSystemSpace {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
}

const DEFAULT_MIN_FREE_SHARE = 0.1;
const DEFAULT_MIN_FREE_BYTES = 2 * 1024 ** 3;
/** Written bytes between two looks at the file system. */
const LOOK_EVERY_BYTES = 8 * 1024 * 1024;

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 / 1024)} MiB`;

/** Keeps `minFreeBytes` of the file system free: by default 10% of it or 2 GiB, whichever is less. */
export class FreeSpace {
  readonly #dir: string;
  readonly #minFreeBytes: number | undefined;
  readonly #statfs: (path: string) => FileSystemSpace;
  #since = Infinity;

  constructor(dir: string, minFreeBytes: number | undefined, statfs: (path: string) => FileSystemSpace = statfsSync) {
    this.#dir = dir;
    this.#minFreeBytes = minFreeBytes;
    this.#statfs = statfs;
  }

  /** To be called before `bytes` are written. Throws EnvironmentError when too little would be left. */
  ensure(bytes: number): void {
    this.#since += bytes;
    if (this.#since < LOOK_EVERY_BYTES) return;
    this.#since = 0;
    const { bsize, blocks, bavail } = this.#statfs(this.#dir);
    const keep = this.#minFreeBytes ?? Math.min(blocks * bsize * DEFAULT_MIN_FREE_SHARE, DEFAULT_MIN_FREE_BYTES);
    const free = bavail * bsize;
    if (free - bytes - LOOK_EVERY_BYTES >= keep || keep === 0) return;
    this.#since = Infinity;
    throw new EnvironmentError(
      `Stopped writing ${this.#dir}: only ${mebibytes(free)} are free on its file system and ${mebibytes(keep)} are to stay so`,
      'free some space, record to another disk, or bound the recording with --max-disk or the reserve with --min-free',
    );
  }
}

/** Removes oldest segments until what is left and `comingBytes` fit `maxBytes`; never the newest. Returns how many went. */
export function dropOldest(dir: string, maxBytes: number, comingBytes: number): number {
  const segments = listSegments(dir);
  let total = segments.reduce((sum, segment) => sum + segment.bytes, comingBytes);
  let dropped = 0;
  for (const segment of segments) {
    if (total <= maxBytes) break;
    rmSync(segment.path, { force: true });
    total -= segment.bytes;
    dropped++;
  }
  return dropped;
}
