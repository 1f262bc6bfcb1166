/** The folder of a recording: what may lie in it, and the segments that do. */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EnvironmentError, UserError } from '../errors.ts';
import { segmentSequence } from './format.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface SegmentFile {
  readonly path: string;
  readonly sequence: number;
  readonly bytes: number;
}

export const LOCK_NAME = 'recorder.lock';
const INDEX_NAME = /^index\.[a-z0-9.-]+$/;

const errorCode = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

/** Whether a file of this name belongs to a recording. `lost+found` is there when the folder is a file system of its own. */
function isOurs(name: string): boolean {
  return segmentSequence(name) !== undefined || name.startsWith(LOCK_NAME) || INDEX_NAME.test(name) || name === 'lost+found';
}

/** The names in `dir`, undefined when it is absent. Throws UserError when it is no folder, EnvironmentError when it may not be read. */
function names(dir: string): string[] | undefined {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    if (errorCode(error) === 'ENOTDIR') throw new UserError(`${dir} is a file; a recording is a folder`);
    if (errorCode(error) === 'EACCES') {
      throw new EnvironmentError(`${dir} may not be read by this user`, 'recordings are private to who recorded them: use sudo, or be that user');
    }
    throw new EnvironmentError(`Cannot read ${dir}: ${(error as Error).message}`);
  }
}

/** The segments in `dir` by sequence. Throws UserError when there is no such folder. */
export function listSegments(dir: string): SegmentFile[] {
  const segments: SegmentFile[] = [];
  const present = names(dir);
  if (present === undefined) throw new UserError(`${dir}: no such recording; 'koala-bpf attach --out ${dir} …' would make it`);
  for (const name of present) {
    const sequence = segmentSequence(name);
    if (sequence === undefined) continue;
    const path = join(dir, name);
    try {
      segments.push({ path, sequence, bytes: statSync(path).size });
    } catch (error) {
      // The recorder dropped it (--max-disk) between the two calls.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
  return segments.sort((left, right) => left.sequence - right.sequence);
}

/** Throws UserError when `dir` holds anything that no recording holds. An absent folder passes. */
export function refuseForeign(dir: string): void {
  const foreign = names(dir)?.find((name) => !isOurs(name));
  if (foreign !== undefined) {
    throw new UserError(`${dir} is no recording: it holds ${JSON.stringify(foreign)}; name a folder that is absent, empty or a recording`);
  }
}

/** Makes `dir` as `makeFolder` does; one that is there is made private. */
export function makePrivateFolder(dir: string, owner: Owner | undefined): void {
  if (makeFolder(dir, owner)) return;
  try {
    chmodSync(dir, 0o700);
  } catch (error) {
    throw new EnvironmentError(`Cannot make the folder ${dir} private: ${(error as Error).message}`);
  }
}

/**
 * Makes `dir` and the missing folders above it, private (0700) and the owner's. False when it was there. Throws UserError
 * when something else is in the way, EnvironmentError.
 */
export function makeFolder(dir: string, owner: Owner | undefined): boolean {
  try {
    // Not by mkdir's `recursive`: where the kernel refuses with ENOENT though the parent is there (/proc), it never returns.
    const missing: string[] = [];
    for (let path = resolve(dir); !existsSync(path) && path !== dirname(path); path = dirname(path)) missing.unshift(path);
    for (const path of missing) {
      mkdirSync(path, { mode: 0o700 });
      if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    }
    if (!statSync(dir).isDirectory()) throw new UserError(`${dir} is a file, not a folder`);
    return missing.length > 0;
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (errorCode(error) === 'EEXIST' || errorCode(error) === 'ENOTDIR') throw new UserError(`${dir} is a file, not a folder`);
    throw new EnvironmentError(`Cannot make the folder ${dir}: ${(error as Error).message}`);
  }
}
