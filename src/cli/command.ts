/** What a command is: data for yargs, one file each. Flags that several commands share are made here. */
import type { Argv, ArgumentsCamelCase } from 'yargs';

export interface Command<Flags> {
  readonly command: string;
  readonly describe: string;
  readonly builder: (yargs: Argv) => Argv<Flags>;
  /** Sets process.exitCode for outcomes that are no errors; throws the errors of src/errors.ts. */
  readonly handler: (flags: ArgumentsCamelCase<Flags>) => void | Promise<void>;
}

/** `DIR` of a reading command. */
export const withRecording = (yargs: Argv): Argv<{ DIR: string }> =>
  yargs.positional('DIR', { type: 'string', demandOption: true, describe: 'the folder of a recording' });

export const withJson = <T>(yargs: Argv<T>): Argv<T & { json: boolean }> =>
  yargs.option('json', { type: 'boolean', default: false, describe: 'one JSON object a line on stdout' });

/** For commands that derive sessions. */
export const withQuiet = <T>(yargs: Argv<T>): Argv<T & { quietAfter: string | undefined }> =>
  yargs.option('quiet-after', {
    type: 'string', requiresArg: true,
    describe: 'how long a thread may be quiet after its answer before its calls are nobody\'s (KOALA_GC_GLOBAL_STATUS_TIMEOUT; 5s)',
  }) as unknown as Argv<T & { quietAfter: string | undefined }>;
