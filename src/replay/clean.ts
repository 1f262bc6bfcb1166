/**
 * What replays left behind that were killed: found by the notes they wrote, and by the names of what they made. What belongs
 * to a replay that is alive is never touched. A service that replay started itself leaves nothing: the kernel ends its
 * namespaces with us.
 */
import { allProcesses, networkOf, seesFirstPidNamespace } from '../kernel/processes.ts';
import { cgroupRoot } from '../kernel/probes.ts';
import { readdirSync } from 'node:fs';
import { CGROUP_NAME, isAlive } from './owner.ts';
import { chainOwners, deadOwners, liftRules } from './rules.ts';
import { readTraces, removeCgroup, undo } from './trace.ts';

export interface Leftover {
  readonly kind: 'replay' | 'chains' | 'cgroup';
  /** One line: what it is and where. */
  readonly what: string;
  /** Why it is still there; absent: it was removed. */
  readonly problem?: string;
}

const removed = (kind: Leftover['kind'], what: string, problems: readonly string[]): Leftover =>
  ({ kind, what, ...(problems.length === 0 ? {} : { problem: problems.join('; ') }) });

/** Undoes what is written down of replays that ended without a word. */
function undoDead(): Leftover[] {
  return readTraces().filter(({ owner }) => !isAlive(owner)).map((trace) => removed(
    'replay', `a service that replay ${trace.owner.split('-')[0] ?? ''} had redirected`, undo(trace)));
}

/** What every run does first, at the cost of looking into one folder: what it found, a line each. */
export function sweep(): string[] {
  if (process.getuid?.() !== 0) return [];
  return undoDead().map(({ what, problem }) => (problem === undefined
    ? `undid what an earlier run left behind: ${what}` : `what an earlier run left behind can't be undone: ${what}: ${problem}`));
}

/** Looks everywhere: the notes, every network namespace that somebody lives in, the whole cgroup hierarchy. */
export function clean(): Leftover[] {
  const found = undoDead();
  // Elsewhere a process that we do not see may be alive.
  if (!seesFirstPidNamespace()) return found;
  const networks = new Map(allProcesses().flatMap(({ tgid }) => {
    const network = networkOf(tgid);
    return network === undefined ? [] : [[network, tgid] as const];
  }));
  for (const [network, pid] of networks) {
    for (const owner of deadOwners(chainOwners(pid))) found.push(removed('chains', `firewall chains of replay ${owner} in ${network}`, liftRules(pid, owner)));
  }
  const root = cgroupRoot();
  for (const path of root === undefined ? [] : cgroupsOf(root, '')) {
    if (!isAlive(CGROUP_NAME.exec(path.split('/').at(-1) ?? '')?.[1] ?? '')) found.push(removed('cgroup', `cgroup ${path}`, removeCgroup(path)));
  }
  return found;
}

/** Every cgroup of ours, the inner ones first. */
function cgroupsOf(root: string, path: string): string[] {
  let names: string[];
  try {
    names = readdirSync(`${root}${path}`, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const inner = cgroupsOf(root, `${path}/${name}`);
    return CGROUP_NAME.test(name) ? [...inner, `${path}/${name}`] : inner;
  });
}
