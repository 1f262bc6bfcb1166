/**
 * The command line's edge: picks the command, turns error classes into exit statuses (DESIGN: Command line), and ends the
 * process. A command is a module of its own, loaded when it is asked for.
 */
import type { CommandModule } from 'yargs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { CorruptError, EnvironmentError, EXIT, UserError } from '../errors.ts';
import { koalaVersion } from '../store/facts.ts';
import { logSettings } from './environment.ts';
import { refuseOddValues } from './flags.ts';
import { openLog } from './log.ts';
import type { Log } from './log.ts';
import { StdoutClosed, stdoutRefused } from './output.ts';

/** By name; others are added here. */
const COMMANDS: Readonly<Record<string, () => Promise<object>>> = {
  attach: () => import('./attach.ts'),
  doctor: () => import('./doctor.ts'),
  ls: () => import('./ls.ts'),
  show: () => import('./show.ts'),
  explain: () => import('./explain.ts'),
  connections: () => import('./connections.ts'),
  events: () => import('./events.ts'),
  export: () => import('./export.ts'),
  replay: () => import('./replay.ts'),
  mock: () => import('./mock.ts'),
  clean: () => import('./clean.ts'),
  noise: () => import('./noise.ts'),
};

/** These go on when nobody reads their stdout any more. */
const OUTLIVE_STDOUT = new Set(['attach']);

async function main(argv: readonly string[]): Promise<void> {
  const name = argv.find((word) => !word.startsWith('-'));
  endWithStdout(name);
  let log: Log | undefined;
  try {
    const wanted = name !== undefined && Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]] : Object.values(COMMANDS);
    const modules = await Promise.all(wanted.map((load) => load?.()));
    await yargs()
      .scriptName('koala-bpf')
      .usage('$0 COMMAND …\n\nRecords what a running service says and hears, cuts it into sessions, replays them against any build.')
      .command(modules as unknown as CommandModule[])
      .option('log-file', { type: 'string', requiresArg: true, global: true, describe: 'STDOUT, STDERR or a path, rotated hourly (KOALA_LOG_FILE)' })
      .option('log-level', { type: 'string', requiresArg: true, global: true, describe: 'TRACE, DEBUG, INFO, WARN, ERROR or FATAL (KOALA_LOG_LEVEL)' })
      .check(refuseOddValues, true)
      .middleware(async (flags) => {
        // Where stdout is for data, the log makes way.
        const data = flags['json'] === true || (name === 'export' && flags['out'] === undefined);
        log = await openLog(logSettings(process.env, { file: flags['log-file'], level: flags['log-level'] }, data));
        log.logger.debug({ command: name, version: koalaVersion() }, 'begins');
      })
      .example('$0 attach --port 8080 --out rec', 'record what listens on port 8080')
      .example('$0 ls rec', 'the sessions of a recording')
      .example('$0 show rec 3fa9', 'one of them, as a conversation')
      .parserConfiguration({ 'populate--': true })
      .demandCommand(1, 'Name a command')
      .recommendCommands()
      .strict()
      .version(koalaVersion())
      .help()
      .wrap(Math.min(120, process.stdout.columns ?? 100))
      .exitProcess(false)
      .fail((message: string | null, thrown: unknown) => {
        if (thrown !== undefined && thrown !== null && (thrown as Error).name !== 'YError') throw thrown;
        throw new UserError(`${oneSentence(message ?? (thrown as Error | undefined)?.message ?? 'wrong usage')}; see 'koala-bpf ${name === undefined || !Object.hasOwn(COMMANDS, name) ? '' : `${name} `}--help'`);
      })
      .parseAsync(argv);
  } catch (error) {
    process.exitCode = error instanceof StdoutClosed ? EXIT.ok : report(error, log);
  } finally {
    await log?.close();
  }
}

/** yargs spreads some of its messages over lines. */
const oneSentence = (message: string): string => message.trim().replace(/\s*\n\s*/g, ' ');

/** Says what went wrong in a line, and returns the exit status. */
function report(error: unknown, log: Log | undefined): number {
  const known = error instanceof UserError || error instanceof CorruptError ? EXIT.user
    : error instanceof EnvironmentError ? EXIT.environment : EXIT.bug;
  const text = error instanceof Error ? error.message : String(error);
  const debug = (process.env['KOALA_LOG_LEVEL'] ?? '').toUpperCase();
  if (known !== EXIT.bug) {
    log?.logger.error({ status: known }, text);
    process.stderr.write(`koala-bpf: ${text.replaceAll('\n', ' ')}\n`);
    return known;
  }
  log?.logger.fatal({ err: error }, 'bug');
  const wantsStack = log?.level === 'DEBUG' || log?.level === 'TRACE' || debug === 'DEBUG' || debug === 'TRACE';
  process.stderr.write(`koala-bpf: a bug in koala-bpf ${koalaVersion()}: ${text.replaceAll('\n', ' ')}\n`);
  if (wantsStack && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  else process.stderr.write('Please report it (CONTRIBUTING.md says where), with the command and what it says under KOALA_LOG_LEVEL=DEBUG.\n');
  return EXIT.bug;
}

/** `koala-bpf ls DIR | head` ends quietly. Where stdout fails otherwise, that is said once. */
function endWithStdout(command: string | undefined): void {
  const lives = command !== undefined && OUTLIVE_STDOUT.has(command);
  let said = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    let status: number = EXIT.ok;
    if (error.code !== 'EPIPE' && !said) {
      said = true;
      status = report(stdoutRefused(error), undefined);
    }
    if (!lives) process.exit(status);
  });
}

await main(hideBin(process.argv));
