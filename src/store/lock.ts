/**
 * One recorder a folder. The lock is a file that names its holder; who finds the holder dead takes it over. (flock(2)
 * would need the FFI in every process that writes.)
 */
import { chownSync, linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { LOCK_NAME } from './folder.ts';
import type { Owner } from './folder.ts';

/** When a process began, in ticks since boot (proc(5), stat field 22); undefined when there is none. */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

/** Pid, start and boot: a pid alone comes back after a while. */
const identity = (pid: number, start: string): string => `${pid} ${start} ${bootId()}\n`;

function isAlive(content: string): boolean {
  const [pid = '', start = ''] = content.split(' ');
  const now = startTicks(Number(pid));
  return now !== undefined && identity(Number(pid), now) === content && start === now;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** Whether a recorder that lives holds the lock of `dir`. */
export function isRecorderAlive(dir: string): boolean {
  const holder = read(join(dir, LOCK_NAME));
  return holder !== undefined && isAlive(holder);
}

/** Takes the lock of `dir` and returns what releases it (callable twice). Throws UserError while another recorder holds it. */
export function lockFolder(dir: string, owner: Owner | undefined): () => void {
  const path = join(dir, LOCK_NAME);
  const mine = identity(process.pid, startTicks(process.pid) ?? '0');
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(draft, mine, { mode: 0o600, flag: 'wx' });
  if (owner !== undefined) chownSync(draft, owner.uid, owner.gid);
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        linkSync(draft, path);
        let held = true;
        return () => {
          if (held && read(path) === mine) rmSync(path, { force: true });
          held = false;
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = read(path);
      if (holder === undefined) continue;
      if (isAlive(holder)) {
        throw new UserError(`${dir} is being recorded by process ${holder.split(' ')[0]}; choose another --out or stop that one`);
      }
      removeStale(path, holder, draft);
    }
    throw new UserError(`${dir} is being taken by another recorder; choose another --out`);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Two may find the same stale lock: who renames it away looks at what it got, and puts a fresh one back. */
function removeStale(path: string, stale: string, draft: string): void {
  const aside = `${draft}.stale`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (read(aside) !== stale) {
    try {
      linkSync(aside, path);
    } catch {
      // A third one holds it by now.
    }
  }
  unlinkSync(aside);
}
