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
