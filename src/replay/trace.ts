/**
 * What a replay changed outside of itself while a service that runs already was redirected: written down before it is done,
 * so that whoever finds the note (we at the end, the next run, `koala-bpf clean`) can undo it. Undoing is synchronous, can be
 * repeated, and does what is left to do when half of it was done or gone.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupRoot } from '../kernel/probes.ts';
import { allProcesses, cgroupOf, networkOf } from '../kernel/processes.ts';
import { markSocket, type ForeignSocket } from '../kernel/foreign-sockets.ts';
import type { Owner } from './owner.ts';
import { liftRules } from './rules.ts';

const FOLDER = '/run/koala-bpf';

export interface Trace {
  readonly owner: Owner;
  /** `net:[…]` that holds the chains. */
  readonly network: string;
  /** Inside the unified hierarchy: the cgroup that was made, and those that its processes came from. */
  readonly cgroup?: { readonly path: string; readonly homes: readonly (readonly [tgid: number, path: string])[] };
  /** Sockets older than that, and the mark they had. */
  readonly marked: readonly (ForeignSocket & { readonly mark: number })[];
}

const fileOf = (owner: Owner): string => join(FOLDER, `${owner}.json`);

/** Replaces what was written for this owner. */
export function writeTrace(trace: Trace): void {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  const file = fileOf(trace.owner);
  writeFileSync(`${file}.new`, JSON.stringify(trace), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Every trace that is written down; unreadable ones are left out. */
export function readTraces(): Trace[] {
  let names: string[];
  try {
    names = readdirSync(FOLDER);
  } catch {
    return [];
  }
  return names.filter((name) => name.endsWith('.json')).flatMap((name) => {
    try {
      return [JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Trace];
    } catch {
      return [];
    }
  });
}

/** A process in a network namespace; undefined when nobody lives in it any more (and its rules are gone with it). */
export function inhabitantOf(network: string): number | undefined {
  if (networkOf(process.pid) === network) return process.pid;
  return allProcesses().find(({ tgid }) => networkOf(tgid) === network)?.tgid;
}

/** Moves a process, and what it starts from then on, into a cgroup. False when it is gone or that one is. */
export function moveTo(path: string, tgid: number): boolean {
  try {
    writeFileSync(join(cgroupRoot() ?? '/nowhere', path, 'cgroup.procs'), String(tgid));
    return true;
  } catch {
    return false;
  }
}

export function processesIn(path: string): number[] {
  return allProcesses().map(({ tgid }) => tgid).filter((tgid) => {
    const at = cgroupOf(tgid);
    return at === path || at?.startsWith(`${path}/`) === true;
  });
}

/** Empties a cgroup of ours and removes it. `homes`: where to, by process; others to where it lies itself. What could not be done. */
export function removeCgroup(path: string, homes: ReadonlyMap<number, string> = new Map()): string[] {
  const above = path.slice(0, path.lastIndexOf('/'));
  // A process that forks meanwhile leaves a child here: again, until it is empty.
  for (let attempt = 0; attempt < 10; attempt += 1) {
    for (const tgid of processesIn(path)) if (!moveTo(homes.get(tgid) ?? above, tgid)) moveTo(above, tgid);
    try {
      rmdirSync(join(cgroupRoot() ?? '/nowhere', path));
      return [];
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return [];
      if (code !== 'EBUSY' && code !== 'ENOTEMPTY') return [`cgroup ${path}: ${(error as Error).message}`];
    }
  }
  return [`cgroup ${path}: it can't be emptied`];
}

/** Takes back what the trace says, and the note when nothing of it is left. What could not be done. */
export function undo({ owner, network, cgroup, marked }: Trace): string[] {
  const pid = inhabitantOf(network);
  const problems = pid === undefined ? [] : liftRules(pid, owner);
  for (const { mark, ...socket } of marked) markSocket(socket, mark);
  if (cgroup !== undefined) problems.push(...removeCgroup(cgroup.path, new Map(cgroup.homes)));
  if (problems.length === 0) rmSync(fileOf(owner), { force: true });
  return problems;
}
