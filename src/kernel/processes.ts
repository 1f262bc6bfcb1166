/** Processes as /proc shows them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { LISTEN, tcpSockets } from './tcp-table.ts';

/** The first pid namespace's inode number (PROC_PID_INIT_INO): BPF tells tgids as that namespace has them. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

export interface ProcessFacts {
  readonly tgid: number;
  readonly parent: number;
  /** comm: at most 15 characters. */
  readonly command: string;
}

/** True where the process ids that we see are the kernel's own. */
export function seesFirstPidNamespace(): boolean {
  return readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE;
}

/** `id` may be a thread's: its process is meant. Undefined when there is none, or it is a zombie. */
export function processFacts(id: number): ProcessFacts | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${id}/status`, 'utf8');
  } catch {
    return undefined;
  }
  const field = (name: string): string => new RegExp(`^${name}:\\t(.*)$`, 'm').exec(status)?.[1] ?? '';
  if (field('State').startsWith('Z') || field('State').startsWith('X')) return undefined;
  return { tgid: Number(field('Tgid')), parent: Number(field('PPid')), command: field('Name') };
}

export function allProcesses(): ProcessFacts[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    .map((name) => processFacts(Number(name))).filter((facts) => facts !== undefined);
}

/** Those and all that descend from them, as of now. */
export function withDescendants(roots: ReadonlySet<number>, all = allProcesses()): ProcessFacts[] {
  const chosen = new Set(roots);
  for (let before = -1; before !== chosen.size;) {
    before = chosen.size;
    for (const { tgid, parent } of all) if (chosen.has(parent)) chosen.add(tgid);
  }
  return all.filter(({ tgid }) => chosen.has(tgid));
}

/** When it began, in clock ticks since the host's start: with its id it names a process for ever. Undefined when it is gone. */
export function startTicksOf(tgid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${tgid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}

/** `net:[4026531840]`; undefined when it is gone or may not be looked into. */
export function networkOf(tgid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${tgid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Path inside the unified cgroup hierarchy; undefined when it can't be told. */
export function cgroupOf(tgid: number): string | undefined {
  try {
    return /^0::(.*)$/m.exec(readFileSync(`/proc/${tgid}/cgroup`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

export function executableOf(tgid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${tgid}/exe`).replace(/ \(deleted\)$/, '');
  } catch {
    return undefined;
  }
}

/** Inode numbers of the sockets that listen on a TCP port in a process' network namespace. */
function listeningInodes(tgid: number, ports: ReadonlySet<number>): Set<string> {
  return new Set(tcpSockets(tgid).filter(({ state, local }) => state === LISTEN && ports.has(local.port)).map(({ inode }) => inode));
}

/** Processes that hold a socket listening on one of the ports, in whatever network namespace. */
export function listenersOn(ports: ReadonlySet<number>): ProcessFacts[] {
  const byNamespace = new Map<string, Set<string>>();
  return allProcesses().filter(({ tgid }) => {
    try {
      const namespace = readlinkSync(`/proc/${tgid}/ns/net`);
      const inodes = byNamespace.get(namespace) ?? listeningInodes(tgid, ports);
      byNamespace.set(namespace, inodes);
      if (inodes.size === 0) return false;
      return readdirSync(`/proc/${tgid}/fd`).some((fd) => {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${tgid}/fd/${fd}`))?.[1];
        return inode !== undefined && inodes.has(inode);
      });
    } catch {
      return false; // gone meanwhile
    }
  });
}
