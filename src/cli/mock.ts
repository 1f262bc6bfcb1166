/** `koala-bpf mock`: a command, a test runner say, with recorded dependencies and nothing real behind it. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { EnvironmentError, EXIT, UserError } from '../errors.ts';
import { signalNumber } from '../record/child.ts';
import { refuseUnrunnable } from '../record/executable.ts';
import { Mock } from '../replay/mock.ts';
import { MockTally, type MockedCall, type MockSummary } from '../replay/mocked.ts';
import { MATCH_STEPS, ON_MISS, REPEATS, type MatchStep, type OnMiss, type Repeats } from '../replay/played.ts';
import { mockLines, NotedCalls } from '../report/mock.ts';
import { withJson, withQuiet } from './command.ts';
import { durationFlag, matching, quietMs } from './environment.ts';
import { Lines, say, stderrColours } from './output.ts';
import { QUIET_MS } from './replay.ts';
import { chosenOf, sayBeingRecorded, withSessions, type SessionFlags } from './replay-choice.ts';
import { bypassedOf, movedOf, paceOf, withWorld, type WorldFlags } from './replay-world.ts';
import { needsNamespace, rerunRootless } from './rootless.ts';
import { endingSignals } from './signals.ts';

interface Flags extends WorldFlags, SessionFlags {
  paths: string[];
  json: boolean;
  onMiss: OnMiss;
  match: MatchStep | undefined;
  threshold: string | undefined;
  repeat: Repeats;
  answerTimeout: string;
  quietAfter: string | undefined;
  '--': (string | number)[] | undefined;
}

/** After SIGTERM or SIGHUP the command has so long to end. */
const GRACE_MS = 10_000;

export const command = 'mock <paths..>';
export const describe = 'run a command, such as your own tests, with recorded dependencies and nothing real behind it';

export const builder = (yargs: Argv): Argv<Flags> =>
  withSessions(withWorld(withQuiet(withJson(yargs))))
    .positional('paths', { type: 'string', array: true, demandOption: true, describe: 'recordings (folders), or session files as `export --format json` makes them' })
    .option('on-miss', {
      choices: ON_MISS, default: 'fail' as const,
      describe: 'what a call gets that nothing recorded answers: an error of its protocol (and status 1), the nearest recorded answer, or the real one',
    })
    .option('repeat', {
      choices: REPEATS, default: 'last' as const,
      describe: 'what a call gets that is made more often than recorded: its last answer again, its answers from the first on, or none',
    })
    .option('match', { choices: MATCH_STEPS, describe: 'which other recorded call may answer where none is equal: as for replay (KOALA_REPLAYING_MATCH_STRATEGY; none)' })
    .option('threshold', { type: 'string', requiresArg: true, describe: 'the least similarity for --match sim, 0 to 1 (KOALA_REPLAYING_MATCH_THRESHOLD; 0.7)' })
    .option('answer-timeout', { type: 'string', default: '30s', requiresArg: true, describe: 'how long a real server may take to answer, where calls go to one' })
    .example('$0 mock rec -- pytest', 'the tests, with what was recorded in place of database and services')
    .example('$0 mock rec -- sh -c \'./service & sleep 1; curl -f localhost:8080/orders/7\'', 'a service, and who asks it') as unknown as Argv<Flags>;

/** The command's own status where that says something; else 1 where a call had no answer. */
export const statusOf = (exitStatus: number, unanswered: number): number => (exitStatus !== 0 ? exitStatus : unanswered > 0 ? EXIT.different : EXIT.ok);

export async function handler(flags: ArgumentsCamelCase<Flags>): Promise<void> {
  const cmd = (flags['--'] ?? []).map(String);
  const [program] = cmd;
  if (program === undefined) throw new UserError('mock needs a command: koala-bpf mock DIR -- CMD…');
  refuseUnrunnable(program);
  const { match, threshold } = matching(process.env, flags);
  const options = {
    command: cmd, match, threshold, onMiss: flags.onMiss, repeats: flags.repeat, moved: movedOf(flags.map), pace: paceOf(flags.latency, flags.chunks), quietMs: QUIET_MS,
    answerMs: durationFlag('answer-timeout', flags.answerTimeout), stdoutToStderr: flags.json, bypassed: await bypassedOf(process.env, flags.bypass),
  };
  const { loaded, plains } = chosenOf(flags.paths, flags, quietMs(process.env, flags.quietAfter));
  const lines = new Lines();
  let unprinted: unknown;
  const print = (line: object): void => {
    if (!flags.json || unprinted !== undefined) return;
    try {
      lines.print(JSON.stringify(line));
      lines.end();
    } catch (error) {
      // The command goes on; that nobody heard of it is told at the end.
      unprinted = error;
    }
  };
  const tally = new MockTally();
  const noted = new NotedCalls();
  const onCall = (call: MockedCall): void => {
    tally.add(call);
    noted.add(call);
    print(call);
  };
  const stop = new AbortController();
  const mock = new Mock(loaded, plains, { ...options, signal: stop.signal, onCall, note: (text) => { say(`koala-bpf: ${text}`); } });
  if (mock.size === 0) throw new EnvironmentError(nothingIn(flags.paths, mock.leftOut), 'record the service with its dependencies: koala-bpf attach');
  if (needsNamespace()) {
    process.exitCode = await rerunRootless();
    return;
  }
  sayBeingRecorded(flags.paths);
  const signals = endingSignals();
  const heard: NodeJS.Signals[] = [];
  let timer: NodeJS.Timeout | undefined;
  const hear = (name: NodeJS.Signals): void => {
    if (heard.push(name) > 1 || !mock.kill(name)) stop.abort();
    else if (name !== 'SIGINT') timer = setTimeout(() => { stop.abort(); }, GRACE_MS);
  };
  for (const name of signals) process.on(name, hear);
  const began = performance.now();
  try {
    const { exitStatus, recorded, unused, leftOut } = await mock.run();
    const summary: MockSummary = {
      event: 'summary', ...(exitStatus === undefined ? {} : { exitStatus }), ...tally.counts, recorded, unused, leftOut, wallMs: Math.round(performance.now() - began),
    };
    const [first = 'SIGTERM'] = heard;
    const status = exitStatus === undefined ? 128 + signalNumber(first) : statusOf(exitStatus, summary.new);
    for (const line of mockLines(summary, noted.all, status, stderrColours())) say(line);
    print(summary);
    process.exitCode = status;
  } finally {
    clearTimeout(timer);
    for (const name of signals) process.off(name, hear);
  }
  if (unprinted !== undefined) throw unprinted;
}

function nothingIn(paths: readonly string[], leftOut: Mock['leftOut']): string {
  const count = Object.values(leftOut).reduce((sum, one) => sum + one, 0);
  return `Nothing to play: ${paths.join(', ')} ${paths.length > 1 ? 'hold' : 'holds'} no call that can be answered${count === 0 ? '' : ` (${count} can't: ${Object.keys(leftOut).join(', ')})`}`;
}
