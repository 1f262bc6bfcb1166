/** The flags of `replay` that choose sessions, and the recordings that they, and the service's start, are played from. */
import type { Argv } from 'yargs';
import { UserError } from '../errors.ts';
import { chosen as named, load, plainOf } from '../replay/load.ts';
import type { Plain } from '../replay/plain.ts';
import type { Loaded } from '../replay/options.ts';
import { isRecorderAlive } from '../store/lock.ts';
import { passes } from '../store/session-filter.ts';
import { sessionFilter, withOtherFilters, type FilterFlags } from './ls.ts';
import { say } from './output.ts';

export interface SessionFlags extends Omit<FilterFlags, 'pid'> {
  session: string[] | undefined;
  recordedPid: number | undefined;
  limit: number | undefined;
}

export interface ChoiceFlags extends SessionFlags {
  startup: string[] | undefined;
}

export const withSessions = <T>(yargs: Argv<T>): Argv<T & SessionFlags> => withOtherFilters(yargs)
  .option('session', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'only this session (repeatable); a unique beginning of its id will do' })
  .option('recorded-pid', { type: 'number', requiresArg: true, describe: 'only sessions of the process that had this id (ls calls it --pid)' })
  .option('limit', { type: 'number', requiresArg: true, describe: 'at most so many, the first ones' }) as unknown as Argv<T & SessionFlags>;

export const withChoice = <T>(yargs: Argv<T>): Argv<T & ChoiceFlags> => withSessions(yargs)
  .option('startup', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'a recording that holds the service\'s start (repeatable): it answers what the service asks before it listens' }) as unknown as Argv<T & ChoiceFlags>;

/** Throws UserError for flags that mean nothing, and when the filters leave no session of some. `onSession` as in `load`. */
export function chosen(paths: readonly string[], flags: ChoiceFlags, quietMs: number, onSession?: () => void): { readonly loaded: Loaded[]; readonly startup: Plain[] } {
  return { loaded: passing(flags, () => load(paths, flags.session ?? [], quietMs, onSession)), startup: (flags.startup ?? []).map((path) => plainOf(path, quietMs)) };
}

/** The sessions whose calls are wanted, and all else that these paths hold. Throws as `chosen`. */
export function chosenOf(paths: readonly string[], flags: SessionFlags, quietMs: number): { readonly loaded: Loaded[]; readonly plains: Plain[] } {
  const plains = paths.map((path) => plainOf(path, quietMs));
  const all = plains.flatMap((background) => background.sessions.map((session): Loaded => ({ session, background })));
  return { loaded: passing(flags, () => (flags.session === undefined ? all : named(all, flags.session))), plains };
}

function passing(flags: SessionFlags, read: () => Loaded[]): Loaded[] {
  const { limit, recordedPid: pid } = flags;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) throw new UserError('--limit: not a number of sessions (1 or more)');
  if (pid !== undefined && !(Number.isInteger(pid) && pid > 0)) throw new UserError('--recorded-pid: not a process id');
  const filter = sessionFilter({ ...flags, pid }, Date.now());
  const all = read();
  const fitting = all.filter(({ session }) => passes(session, filter));
  if (all.length > 0 && fitting.length === 0) throw new UserError(`None of ${all.length} sessions passes these filters; \`koala-bpf ls\` lists them`);
  return limit === undefined ? fitting : fitting.slice(0, limit);
}

/** Says which of these recordings are being written. */
export function sayBeingRecorded(paths: readonly string[]): void {
  for (const path of paths) if (isRecorderAlive(path)) say(`koala-bpf: ${path} is still being recorded: sessions of its last seconds, which more calls may belong to, are not over yet`);
}
