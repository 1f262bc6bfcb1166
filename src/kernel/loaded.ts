/** Which files a process has loaded, as /proc/PID/maps has it (proc(5)). */
import { readFileSync } from 'node:fs';

export interface Loaded {
  /** As the process sees it. */
  readonly path: string;
  /** Where the file's first byte is. */
  readonly start: number;
}

/** Those whose first byte is loaded, in the order of their addresses, and whose path is `wanted`; none where the process is gone. */
export function loadedFiles(tgid: number, wanted: RegExp): readonly Loaded[] {
  let maps: string;
  try {
    maps = readFileSync(`/proc/${tgid}/maps`, 'latin1');
  } catch {
    return [];
  }
  return maps.split('\n').flatMap((line): readonly Loaded[] => {
    // address perms offset dev inode path
    const at = line.indexOf('/');
    const path = line.slice(at);
    if (at < 0 || !wanted.test(path)) return [];
    const [range = '', , offset = ''] = line.split(' ', 3);
    return Number.parseInt(offset, 16) === 0 ? [{ path, start: Number.parseInt(range, 16) }] : [];
  });
}

/** Where we see what process `tgid` sees at `path`. */
export const rooted = (tgid: number, path: string): string => `/proc/${tgid}/root${path}`;
