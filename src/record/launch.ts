/** How the processes that are recorded had been started: their environment and arguments, which hold secrets. Only kept when asked for. */
import { readFileSync, readlinkSync } from 'node:fs';
import { EnvironmentError } from '../errors.ts';
import type { Launch } from '../store/header.ts';
import { currentTargets, type Targets } from './targets.ts';

/** All of them are in every segment's first block, which is 4 MiB at most. */
const MAX_BYTES = 2 << 20;

const strings = (path: string): string[] => readFileSync(path, 'latin1').replace(/\0$/, '').split('\0').filter((text, at) => text !== '' || at > 0);

/** Undefined when it is gone or may not be looked into. `args`: what it will be, where it is another program still. */
export function launchOf(tgid: number, args?: readonly string[]): Launch | undefined {
  try {
    return {
      tgid, args: args?.map((arg) => Buffer.from(arg).toString('latin1')) ?? strings(`/proc/${tgid}/cmdline`),
      environment: strings(`/proc/${tgid}/environ`).filter((entry) => entry !== ''), folder: Buffer.from(readlinkSync(`/proc/${tgid}/cwd`)).toString('latin1'),
    };
  } catch {
    return undefined;
  }
}

/** Of the processes that `targets` mean now, but for those that one of them started. Throws EnvironmentError where it is too much. */
export function launchesOf(targets: Targets): Launch[] {
  const chosen = currentTargets(targets);
  const known = new Set(chosen.map(({ tgid }) => tgid));
  return chosen.filter(({ parent }) => !known.has(parent)).flatMap(({ tgid }) => launchOf(tgid) ?? []);
}

/** Throws EnvironmentError where it is more than a recording can hold. */
export function checkSize(launches: readonly Launch[]): readonly Launch[] {
  const bytes = launches.reduce((sum, { args, environment, folder }) => [...args, ...environment, folder].reduce((all, text) => all + text.length + 8, sum), 0);
  if (bytes <= MAX_BYTES) return launches;
  throw new EnvironmentError(`--keep-environment: ${launches.length} processes with ${bytes} bytes of environment and arguments are too much (at most ${MAX_BYTES})`, 'name the service alone: --pid N');
}
