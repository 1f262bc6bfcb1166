/** One segment being written: whole blocks or nothing. */
import { chownSync, closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { EnvironmentError } from '../errors.ts';
import type { Owner } from './folder.ts';

const WAYS_OUT: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space; everything up to here is kept and readable',
  EDQUOT: "the owner's disk quota is used up; everything up to here is kept and readable",
  EFBIG: 'the file size limit is reached (ulimit -f); everything up to here is kept and readable',
  EROFS: 'the file system is read-only',
  EACCES: 'choose a folder that this user may write',
};

export function cannotWrite(path: string, error: unknown): EnvironmentError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new EnvironmentError(`Cannot write ${path}: ${message}`, WAYS_OUT[code]);
}

export class SegmentFile {
  readonly path: string;
  #fd: number | undefined;
  #bytes = 0;

  /** Makes the file (0600). Throws EnvironmentError. */
  constructor(path: string, owner: Owner | undefined) {
    this.path = path;
    try {
      this.#fd = openSync(path, 'wx', 0o600);
      if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    } catch (error) {
      this.close();
      throw cannotWrite(path, error);
    }
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends. On failure the file is cut back to what it was, and EnvironmentError thrown. */
  append(from: Uint8Array): void {
    const { length } = from;
    if (this.#fd === undefined) throw new Error('append to a closed segment');
    let done = 0;
    try {
      while (done < length) done += writeSync(this.#fd, from, done, length - done, this.#bytes + done);
    } catch (error) {
      try {
        ftruncateSync(this.#fd, this.#bytes);
      } catch {
        // The torn tail is found by every reader.
      }
      throw cannotWrite(this.path, error);
    }
    this.#bytes += length;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
