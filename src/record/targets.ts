/** Whom to record: the user's filters, checked, and the processes they mean now. Several filters are a union. */
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { EnvironmentError, UserError } from '../errors.ts';
import { cgroupRoot } from '../kernel/probes.ts';
import {
  allProcesses, cgroupOf, executableOf, listenersOn, processFacts, withDescendants,
} from '../kernel/processes.ts';
import type { ProcessFacts } from '../kernel/processes.ts';

export interface Targets {
  readonly pids: readonly number[];
  readonly ports: readonly number[];
  /** Paths inside the unified hierarchy. */
  readonly cgroups: readonly string[];
  /** Absolute paths. */
  readonly executables: readonly string[];
  readonly all: boolean;
}

export interface GivenTargets {
  /** As typed. */
  readonly pid?: readonly string[];
  readonly port?: readonly string[];
  readonly unit?: readonly string[];
  readonly cgroup?: readonly string[];
  readonly exe?: readonly string[];
  readonly all?: boolean;
}

/** The kernel side has that many places. */
const MAX_PATHS = 8;
const MAX_PID = 4_194_304;

/** Throws UserError naming the flag and the value. */
export function checkTargets(given: GivenTargets): Targets {
  const pids = (given.pid ?? []).map((text) => {
    const pid = wholeNumber(text);
    if (pid === undefined || pid < 1 || pid > MAX_PID) throw new UserError(`--pid ${text}: not a process id (a number; see pgrep ${text})`);
    const facts = processFacts(pid);
    if (facts === undefined) throw new UserError(`--pid ${pid}: there is no such process (see ps -e)`);
    if (facts.tgid === process.pid) throw new UserError(`--pid ${pid}: that is koala-bpf itself`);
    return facts.tgid;
  });
  const ports = (given.port ?? []).map((text) => {
    const port = wholeNumber(text);
    if (port === undefined || port < 1 || port > 65_535) throw new UserError(`--port ${text}: not a port (1 to 65535)`);
    return port;
  });
  const cgroups = [...(given.cgroup ?? []).map(cgroupPath), ...(given.unit ?? []).map(unitCgroup)];
  // A path through a link is called as such after each deployment, wherever the link leads by then.
  const executables = [...new Set((given.exe ?? []).flatMap((path) => {
    const absolute = resolve(path);
    return existsSync(absolute) ? [realpathSync(absolute), absolute] : [absolute];
  }))];
  if (cgroups.length > MAX_PATHS) throw new UserError(`--cgroup and --unit: at most ${MAX_PATHS} together`);
  if (executables.length > MAX_PATHS) throw new UserError(`--exe: at most ${MAX_PATHS} (a path through a link counts twice)`);
  return { pids, ports, cgroups, executables, all: given.all ?? false };
}

const wholeNumber = (text: string): number | undefined => /^\d{1,9}$/.test(text) ? Number(text) : undefined;

/** Processes that the filters mean at this moment, descendants included, without this one. */
export function currentTargets(targets: Targets): ProcessFacts[] {
  if (targets.all) return [];
  const all = allProcesses();
  const roots = new Set(targets.pids);
  if (targets.ports.length > 0) for (const { tgid } of listenersOn(new Set(targets.ports))) roots.add(tgid);
  for (const { tgid } of all) {
    if (targets.cgroups.length > 0) {
      const path = cgroupOf(tgid);
      if (path !== undefined && targets.cgroups.some((root) => path === root || path.startsWith(`${root}/`))) roots.add(tgid);
    }
    if (targets.executables.length > 0) {
      const path = executableOf(tgid);
      if (path !== undefined && targets.executables.includes(path)) roots.add(tgid);
    }
  }
  return withDescendants(roots, all).filter(({ tgid }) => tgid !== process.pid);
}

/** Takes a path inside the hierarchy or one below its mount point. */
function cgroupPath(given: string): string {
  const root = cgroupRoot();
  if (root === undefined) throw new EnvironmentError('--cgroup: no cgroup2 hierarchy is mounted here', 'mount one, or use --exe');
  const inside = given === root || given.startsWith(`${root}/`) ? given.slice(root.length) : given;
  if (!inside.startsWith('/') && inside !== '') throw new UserError(`--cgroup ${given}: give a path below ${root}, or one that begins with /`);
  const path = inside.replace(/\/+$/, '');
  if (path === '') throw new UserError(`--cgroup ${given}: that is every process; say --all`);
  return path;
}

function unitCgroup(given: string): string {
  const unit = /\.[a-z]+$/.test(given) ? given : `${given}.service`;
  const show = spawnSync('systemctl', ['show', '--property=ControlGroup,Slice,LoadState', unit], { encoding: 'utf8' });
  if (show.error !== undefined || show.status !== 0) {
    throw new EnvironmentError(
      `--unit ${given}: systemctl doesn't answer (${(show.stderr ?? '').trim() || 'systemd is not running here'})`, 'use --cgroup, --exe or --pid');
  }
  const property = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(show.stdout)?.[1] ?? '';
  if (property('LoadState') === 'not-found') throw new UserError(`--unit ${given}: systemd knows no unit ${unit} (see systemctl list-units)`);
  const path = property('ControlGroup');
  return path !== '' ? path : `/${(property('Slice') || 'system.slice').replace(/^-\.slice$/, '')}/${unit}`.replace('//', '/');
}
