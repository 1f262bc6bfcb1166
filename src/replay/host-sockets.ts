/**
 * The unix sockets of this host that somebody could connect to by a path, as paths of our own mount namespace. A path is
 * enough to reach one, whatever network namespace either side is in, so all are looked for: each network namespace lists
 * its own (/proc/PID/net/unix), under the path that its owner bound, which may be relative, lead through symbolic links,
 * and mean another place in another mount namespace. Abstract sockets are not among them: a network namespace ends those.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { posix } from 'node:path';

const MAX_LINKS = 40;
/** State of a connected socket (SS_CONNECTED), hexadecimal: nobody else can connect to that. */
const CONNECTED = '03';
const ENTRY = /^[0-9a-fA-F]+: [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ ([0-9A-F]{2}) +(\d+) ?/;

/** A mounted (part of a) file system: `root` of `device` is seen at `point`. Texts hold bytes as latin1, as everywhere here. */
export interface Mount {
  readonly device: string;
  readonly root: string;
  readonly point: string;
}

export interface BoundSocket {
  readonly inode: string;
  /** As it was bound: absolute or relative. */
  readonly path: string;
}

/** The sockets with a path in a /proc/net/unix text; abstract, nameless and connected ones are left out. */
export function boundSockets(text: string): BoundSocket[] {
  const found: { inode: string; path: string; connected: boolean }[] = [];
  for (const line of text.split('\n').slice(1)) {
    const entry = ENTRY.exec(line);
    const last = found.at(-1);
    if (entry !== null) found.push({ inode: entry[2] ?? '', path: line.slice(entry[0].length), connected: entry[1] === CONNECTED });
    else if (line !== '' && last !== undefined) last.path += `\n${line}`;
  }
  return found.filter(({ path, connected }) => !connected && path !== '' && !path.startsWith('@')).map(({ inode, path }) => ({ inode, path }));
}

/** The mounts of a /proc/PID/mountinfo text, in mounting order. */
export function mounts(text: string): Mount[] {
  const plain = (field: string): string => field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text.split('\n').flatMap((line) => {
    const [, , device, root, point] = line.split(' ');
    return device === undefined || root === undefined || point === undefined ? [] : [{ device, root: plain(root), point: plain(point) }];
  });
}

/** What follows `folder` in `path`, with its slash; undefined when it does not lie in there. */
function below(folder: string, path: string): string | undefined {
  if (folder === '/') return path;
  return path === folder ? '' : path.startsWith(`${folder}/`) ? path.slice(folder.length) : undefined;
}

/** Where the file that `theirs` sees at `path` (absolute, without links) could be seen in `ours`: every mount of its file system. */
export function seenAt(path: string, theirs: readonly Mount[], ours: readonly Mount[]): string[] {
  let holder: Mount | undefined;
  for (const mount of theirs) {
    if (below(mount.point, path) !== undefined && mount.point.length >= (holder?.point.length ?? 0)) holder = mount;
  }
  if (holder === undefined) return [];
  const inside = posix.join(holder.root, below(holder.point, path) ?? '');
  return ours.flatMap(({ device, root, point }) => {
    const rest = device === holder.device ? below(root, inside) : undefined;
    return rest === undefined ? [] : [posix.join(point, rest)];
  });
}

const bytes = (path: string): Buffer => Buffer.from(path, 'latin1');

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(bytes(path), 'latin1');
  } catch {
    return undefined;
  }
}

/** `path` without symbolic links, as a process whose root folder is `root` sees it. */
function withoutLinks(path: string, root: string): string {
  let left = posix.normalize(path).split('/').filter((name) => name !== '');
  let done = '';
  for (let links = 0; left.length > 0;) {
    const [name = '', ...rest] = left;
    left = rest;
    if (name === '..') done = posix.dirname(done).replace(/^\/$/, '');
    if (name === '..' || name === '.') continue;
    const link = links < MAX_LINKS ? linkOf(`${root}${done}/${name}`) : undefined;
    if (link === undefined) {
      done += `/${name}`;
      continue;
    }
    links += 1;
    if (link.startsWith('/')) done = '';
    left = [...link.split('/').filter((part) => part !== ''), ...left];
  }
  return done === '' ? '/' : done;
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(bytes(path)).isSocket();
  } catch {
    return false;
  }
}

function isBelow(pid: number, ancestor: number): boolean {
  for (let at = pid, steps = 0; at > 1 && steps < 1_000; steps += 1) {
    if (at === ancestor) return true;
    at = Number(/^PPid:\t(\d+)$/m.exec(readText(`/proc/${at}/status`))?.[1] ?? 0);
  }
  return false;
}

/** What processes of one network namespace see of files: one process a mount namespace. */
interface Viewers {
  readonly pids: number[];
  readonly views: Map<string, number>;
}

export class HostSockets {
  /** Sockets of the last look. */
  #known = new Set<string>();

  /**
   * Paths at which sockets can be reached that were not there at the last look (latin1). Network namespaces in which `sut`
   * or a descendant lives are its own.
   */
  look(sut: number): string[] {
    const ours = mounts(readText('/proc/self/mountinfo'));
    const known = new Set<string>();
    const found = new Set<string>();
    for (const [network, { pids, views }] of networks()) {
      const [first = 0] = pids;
      const fresh = boundSockets(readText(`/proc/${first}/net/unix`)).filter(({ inode, path }) => {
        const key = `${network} ${inode} ${path}`;
        known.add(key);
        return !this.#known.has(key);
      });
      if (fresh.length === 0 || isBelow(first, sut)) continue;
      const theirs = [...views.values()].map((pid) => ({ root: `/proc/${pid}/root`, mounts: mounts(readText(`/proc/${pid}/mountinfo`)) }));
      const folders = fresh.every(({ path }) => path.startsWith('/')) ? [] : [...new Set(pids.flatMap((pid) => linkOf(`/proc/${pid}/cwd`) ?? []))];
      const paths = new Set(fresh.flatMap(({ path }) => (path.startsWith('/') ? [path] : folders.map((folder) => posix.join(folder, path)))));
      for (const path of paths) {
        found.add(path);
        for (const view of theirs) for (const place of seenAt(withoutLinks(path, view.root), view.mounts, ours)) found.add(place);
      }
    }
    this.#known = known;
    return [...found].filter(isSocket);
  }
}

/**
 * Every network namespace that a process lives in. Told apart by the inode of its table, which needs no right to look into
 * the process; mount namespaces of processes that we may not look into count as one.
 */
function networks(): Map<number, Viewers> {
  const all = new Map<number, Viewers>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let network: number;
    try {
      network = statSync(`/proc/${name}/net/unix`).ino;
    } catch {
      continue;
    }
    const viewers = all.get(network) ?? { pids: [], views: new Map<string, number>() };
    const view = linkOf(`/proc/${name}/ns/mnt`) ?? '';
    viewers.pids.push(Number(name));
    if (!viewers.views.has(view)) viewers.views.set(view, Number(name));
    all.set(network, viewers);
  }
  return all;
}
