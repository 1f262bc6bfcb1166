/** The flags of `replay` that choose sessions, and the recordings that they, and the service's start, are played from. */
import type { Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { load, plainOf } from '../replay/load.ts';
import type { Plain } from '../replay/plain.ts';
import type { Loaded } from '../replay/options.ts';
import { isRecorderAlive } from '../store/lock.ts';
import { passes } from '../store/session-filter.ts';
import { sessionFilter, withOtherFilters, type FilterFlags } from './ls.ts';
import { say } from './output.ts';

export interface ChoiceFlags extends Omit<FilterFlags, 'pid'> {
  session: string[] | undefined;
  recordedPid: number | undefined;
  limit: number | undefined;
  startup: string[] | undefined;
}

export const withChoice = <T>(yargs: Argv<T>): Argv<T & ChoiceFlags> => withOtherFilters(yargs)
  .option('session', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'only this session (repeatable); a unique beginning of its id will do' })
  .option('recorded-pid', { type: 'number', requiresArg: true, describe: 'only sessions of the process that had this id (ls calls it --pid)' })
  .option('limit', { type: 'number', requiresArg: true, describe: 'at most so many, the first ones' })
  .option('startup', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'a recording that holds the service\'s start (repeatable): it answers what the service asks before it listens' }) as unknown as Argv<T & ChoiceFlags>;

/** Throws UserError for flags that mean nothing, and when the filters leave no session of some. `onSession` as in `load`. */
export function chosen(paths: readonly string[], flags: ChoiceFlags, quietMs: number, onSession?: () => void): { readonly loaded: Loaded[]; readonly startup: Plain[] } {
  const { limit, recordedPid: pid } = flags;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) throw new UserError('--limit: not a number of sessions (1 or more)');
  if (pid !== undefined && !(Number.isInteger(pid) && pid > 0)) throw new UserError('--recorded-pid: not a process id');
  const filter = sessionFilter({ ...flags, pid }, Date.now());
  const all = load(paths, flags.session ?? [], quietMs, onSession);
  const fitting = all.filter(({ session }) => passes(session, filter));
  if (all.length > 0 && fitting.length === 0) throw new UserError(`None of ${all.length} sessions passes these filters; \`koala-bpf ls\` lists them`);
  return { loaded: limit === undefined ? fitting : fitting.slice(0, limit), startup: (flags.startup ?? []).map((path) => plainOf(path, quietMs)) };
}

/** Says which of these recordings are being written. */
export function sayBeingRecorded(paths: readonly string[]): void {
  for (const path of paths) if (isRecorderAlive(path)) say(`koala-bpf: ${path} is still being recorded: sessions of its last seconds, which more calls may belong to, are not over yet`);
}
