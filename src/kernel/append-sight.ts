/** Of which file systems it is seen what is appended to their files, and where some are mounted of which it isn't. */
import { readFileSync } from 'node:fs';
import { backend, isTracepointProgram } from './backends.ts';
import type { Backend, ProbeName } from './backends.ts';
import { KernelBtf } from './btf.ts';

/** Types of file systems as mountinfo has them; `all`, where one function that every write passes is hooked. */
export type AppendSight = 'all' | ReadonlySet<string>;

/** By what is hooked. ext3 is ext4's driver; ext2 may be another. */
const SEEN_BY: Readonly<Record<string, readonly string[]>> = { ext4_da_write_end: ['ext3', 'ext4'], xfs_file_buffered_write: ['xfs'] };
/** Without a device (proc(5), filesystems), and with files of users all the same. */
const FILES_WITHOUT_DEVICE = /^(tmpfs|ramfs|overlay|nfs\d*|cifs|smb3|9p|virtiofs|ceph|zfs|fuse(\..*)?)$/;

/** Programs of a backend that see appends and have what they hook here, with that. */
export function appendHooks({ appends }: Backend, btf: KernelBtf): readonly (readonly [program: string, target: string])[] {
  return Object.entries(appends).filter(([name, target]) => isTracepointProgram(name) ? btf.hasTracepoint(target) : btf.functionId(target) !== undefined);
}

export function sightOf(hooks: readonly (readonly [program: string, target: string])[]): AppendSight {
  if (hooks.some(([program]) => !isTracepointProgram(program))) return 'all';
  return new Set(hooks.flatMap(([, target]) => SEEN_BY[target] ?? []));
}

/** Of a backend that is not loaded. */
export function appendSightOf(name: ProbeName): AppendSight {
  const btf = new KernelBtf();
  try {
    return sightOf(appendHooks(backend(name), btf));
  } finally {
    btf.close();
  }
}

export interface UnseenAppends {
  /** As mountinfo has it; of an overlay, the type of what it writes to. */
  readonly type: string;
  /** Where such are mounted. */
  readonly mounts: readonly string[];
}

interface Mount {
  readonly at: string;
  readonly type: string;
  readonly options: readonly string[];
}

/**
 * Of `mounts` (/proc/PID/mountinfo of who is recorded) those that can be written to and are not in sight. `host`: the same of the recorder,
 * where the layers of an overlay are found. `withoutDevice`: types that have none (/proc/filesystems, `nodev`).
 */
export function unseenAppends(sight: AppendSight, mounts: string, host: string, withoutDevice: ReadonlySet<string>): readonly UnseenAppends[] {
  if (sight === 'all') return [];
  const layers = mountsOf(host);
  const unseen = new Map<string, Set<string>>();
  for (const mount of mountsOf(mounts)) {
    const type = writtenType(mount, layers);
    if (type === undefined || sight.has(type) || (withoutDevice.has(type) && !FILES_WITHOUT_DEVICE.test(type))) continue;
    const known = unseen.get(type);
    if (known === undefined) unseen.set(type, new Set([mount.at]));
    else known.add(mount.at);
  }
  return [...unseen].map(([type, at]) => ({ type, mounts: [...at] }));
}

/** Type of the file system that takes what is written there; undefined: nothing can be. */
function writtenType({ type, options }: Mount, layers: readonly Mount[]): string | undefined {
  if (options.includes('ro')) return undefined;
  if (type !== 'overlay') return type;
  const upper = options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length);
  if (upper === undefined) return undefined;
  const below = layers.filter(({ at }) => at === '/' || upper === at || upper.startsWith(`${at}/`));
  return below.reduce<Mount | undefined>((best, mount) => (best === undefined || mount.at.length >= best.at.length ? mount : best), undefined)?.type ?? type;
}

/** The same by /proc: of these processes, or of this one where none is given. Those that are gone have nothing mounted. */
export function unseenByProcesses(sight: AppendSight, tgids: readonly number[]): readonly UnseenAppends[] {
  if (sight === 'all') return []; // nothing need be read
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  const own = read('/proc/self/mountinfo');
  const all = tgids.length === 0 ? [own] : [...new Set(tgids.map((tgid) => read(`/proc/${tgid}/mountinfo`)))];
  const withoutDevice = read('/proc/filesystems').split('\n').flatMap((line) => /^nodev\t(.+)$/.exec(line)?.[1] ?? []);
  return unseenAppends(sight, all.join('\n'), own, new Set(withoutDevice));
}

const MAX_NAMED = 3;

/** `tmpfs (/run, /tmp and 2 more), btrfs (/var)`. */
export function unseenWords(unseen: readonly UnseenAppends[]): string {
  return unseen.map(({ type, mounts }) => {
    const more = mounts.length - MAX_NAMED;
    return `${type} (${mounts.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''})`;
  }).join(', ');
}

/** proc(5): `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`. */
function mountsOf(mountinfo: string): readonly Mount[] {
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const [before = '', after] = line.split(' - ');
    const [at, own] = before.split(' ').slice(4);
    const [type, , whole] = after?.split(' ') ?? [];
    if (at === undefined || own === undefined || type === undefined) return [];
    return [{ at: unescaped(at), type, options: [...own.split(','), ...(whole ?? '').split(',').map(unescaped)] }];
  });
}

const unescaped = (text: string): string => text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
