/** `replay --env-from recording`: the service is started with what the recorded one had, where the recording keeps that. */
import { statSync } from 'node:fs';
import type { Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { droppedNames } from '../replay/launch.ts';
import type { ReplayOptions } from '../replay/options.ts';
import type { Launch } from '../store/header.ts';
import { launchesIn } from '../store/launches.ts';
import { say } from './output.ts';

export interface LaunchFlags {
  envFrom: 'recording' | undefined;
}

export const withLaunch = <T>(yargs: Argv<T>): Argv<T & LaunchFlags> => yargs
  .option('env-from', {
    choices: ['recording'] as const,
    describe: 'the service gets the recorded one\'s environment, and without -- CMD its arguments and folder too (attach --keep-environment)',
  }) as unknown as Argv<T & LaunchFlags>;

type Started = Required<Pick<ReplayOptions, 'command' | 'launch'>>;

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
const asText = (latin1: string): string => Buffer.from(latin1, 'latin1').toString();

/** What to start, and how; undefined without the flag. Throws UserError where the recordings do not say it, or say several things. */
export function recordedLaunch(flags: LaunchFlags & { readonly paths: readonly string[]; readonly pid: string | undefined; readonly cgroup: string | undefined; readonly '--'?: unknown }): Started | undefined {
  if (flags.envFrom === undefined) return undefined;
  if (flags.pid !== undefined || flags.cgroup !== undefined) throw new UserError('--env-from recording is for a service that replay starts: one that runs already (--pid, --cgroup) keeps its environment');
  const folders = flags.paths.filter(isFolder);
  const launches = folders.flatMap((dir) => launchesIn(dir));
  const different = [...new Map(launches.map((launch) => [JSON.stringify([launch.args, launch.environment, launch.folder]), launch])).values()];
  const [launch, ...others] = different;
  if (launch === undefined) {
    throw new UserError(`--env-from recording: ${flags.paths.join(', ')} ${folders.length === 0 ? 'is no recording: session files hold' : 'holds'} no environment; record with attach --keep-environment`);
  }
  const given = ((flags['--'] as (string | number)[] | undefined) ?? []).map(String);
  if (others.length > 0) throw new UserError(`--env-from recording: ${different.length} processes were recorded, each with its own environment (${different.slice(0, 3).map(nameOf).join('; ')}); record one alone`);
  const dropped = droppedNames(launch);
  if (dropped.length > 0) say(`koala-bpf: ${dropped.length} recorded variables have names that a shell can't hand on: ${dropped.slice(0, 3).map(asText).join(', ')}`);
  if (given.length > 0) return { command: given, launch: { environment: launch.environment } };
  if (launch.args.length === 0) throw new UserError('--env-from recording: the recording holds no arguments; give the command: -- CMD…');
  if (!isFolder(asText(launch.folder))) throw new UserError(`--env-from recording: the service ran in ${asText(launch.folder)}, which is not here; give the command: -- CMD…`);
  return { command: launch.args.map(asText), launch: { environment: launch.environment, folder: launch.folder } };
}

const nameOf = ({ tgid, args }: Launch): string => `${tgid} ${asText(args.join(' ')).slice(0, 60)}`;
