/** Which file it is: one that was written over is another one. */
import { statSync } from 'node:fs';

/** Device, inode, size and time of change. Undefined where there is none, as of a process that is gone. */
export function fileId(path: string): string | undefined {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return `${dev} ${ino} ${size} ${mtimeMs}`;
  } catch {
    return undefined;
  }
}

/** Files of which it is remembered what they hold. Past that all are read anew. */
const MAX_FILES = 64;

/** What `path` was found to hold, or is now, by its file's id; undefined: nothing, or there is no such file. */
export function remembered<T>(known: Map<string, T | undefined>, path: string, find: (path: string) => T | undefined): T | undefined {
  const id = fileId(path);
  if (id === undefined) return undefined;
  if (known.has(id)) return known.get(id);
  if (known.size >= MAX_FILES) known.clear();
  const found = find(path);
  known.set(id, found);
  return found;
}
