/** `koala-bpf replay`: sessions against a build of the service, with nothing real behind it. */
import { readFileSync } from 'node:fs';
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { EXIT, UserError } from '../errors.ts';
import { NoiseRules, parseNoise } from '../compare/index.ts';
import { withoutBypassed } from '../replay/bypass.ts';
import { load } from '../replay/load.ts';
import { MATCH_STEPS, ON_MISS, type MatchStep, type OnMiss } from '../replay/played.ts';
import { FEW, ProbesAhead } from '../replay/probes.ts';
import type { ReplaySummary } from '../replay/replayed.ts';
import type { Loaded, RunFacts } from '../replay/options.ts';
import { replay } from '../replay/replay.ts';
import { sessionLines, summaryLines } from '../report/replay.ts';
import { Tally, type TallyCounts } from '../report/tally.ts';
import { withJson, withQuiet } from './command.ts';
import { durationFlag, matching, quietMs } from './environment.ts';
import { Lines, say, stdoutColours } from './output.ts';
import { chosen, sayBeingRecorded, withChoice, type ChoiceFlags } from './replay-choice.ts';
import { recordTo, ReplayRecording, withRecord, type RecordFlags } from './replay-record.ts';
import { targetOf, withTarget, type TargetFlags } from './replay-target.ts';
import { recordedLaunch, withLaunch, type LaunchFlags } from './replay-launch.ts';
import { needsNamespace, rerunRootless } from './rootless.ts';
import { endingSignals } from './signals.ts';
import { bypassedOf, movedOf, paceOf, withWorld, type WorldFlags } from './replay-world.ts';

interface Flags extends TargetFlags, LaunchFlags, WorldFlags, ChoiceFlags, RecordFlags {
  paths: string[];
  json: boolean;
  onMiss: OnMiss;
  match: MatchStep | undefined;
  threshold: string | undefined;
  concurrency: number | undefined;
  warmUp: string[] | undefined;
  ignore: string[] | undefined;
  noise: string[] | undefined;
  strict: boolean;
  explain: boolean;
  startupTimeout: string;
  answerTimeout: string;
  allowIncomplete: boolean;
  quietAfter: string | undefined;
}

/** The pause that ends an answer whose end its protocol can't tell. */
export const QUIET_MS = 100;
const MAX_CONCURRENCY = 1_000;
/** The status of a run that a signal ended before every session was played. */
const EXIT_INTERRUPTED = 130;

export const command = 'replay <paths..>';
export const describe = 'play sessions against a build of the service, nothing real behind it';

export const builder = (yargs: Argv): Argv<Flags> =>
  withRecord(withChoice(withWorld(withLaunch(withTarget(withQuiet(withJson(yargs)))))))
    .positional('paths', { type: 'string', array: true, demandOption: true, describe: 'recordings (folders), or session files as `export --format json` makes them' })
    .option('on-miss', {
      choices: ON_MISS, default: 'fail' as const,
      describe: 'what a call gets that nothing recorded answers: an error of its protocol, the nearest recorded answer, or the real one',
    })
    .option('match', {
      choices: MATCH_STEPS,
      describe: 'which other recorded call may answer where none is equal: none, the one with most pieces in common, or one as similar as --threshold (KOALA_REPLAYING_MATCH_STRATEGY; none)',
    })
    .option('threshold', { type: 'string', requiresArg: true, describe: 'the least similarity for --match sim and for pairs in the report, 0 to 1 (KOALA_REPLAYING_MATCH_THRESHOLD; 0.7)' })
    .option('concurrency', {
      type: 'number', requiresArg: true,
      describe: 'sessions that are played at a time, at most; by default the number of cores, 1 for fewer than 16. Always 1 where the kernel allows no probes',
    })
    .option('warm-up', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'play this session before all others (repeatable): it fills what the process keeps' })
    .option('ignore', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'a path that may differ (repeatable): response.body.$.createdAt, calls[*].request.headers.x, response.body.$..id' })
    .option('noise', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'a file of rules for what may differ (repeatable), as `koala-bpf noise learn` writes it' })
    .option('strict', { type: 'boolean', default: false, describe: 'no second run of what differs; what the process kept between sessions counts as a difference' })
    .option('explain', { type: 'boolean', default: false, describe: 'say of every call why it got its answer, and which recorded calls were the nearest' })
    .option('startup-timeout', { type: 'string', default: '30s', requiresArg: true, describe: 'how long the service may take until it listens' })
    .option('answer-timeout', { type: 'string', default: '30s', requiresArg: true, describe: 'how long it may take to answer' })
    .option('allow-incomplete', { type: 'boolean', default: false, describe: 'also play sessions that are not proven complete' })
    .example('$0 replay rec -- ./service --port 8080', 'every session against this build')
    .example('$0 replay rec --session 3fa9 --sut 127.0.0.1:9000 -- node server.js', 'one session, the service on another port') as unknown as Argv<Flags>;

/** `--ignore` and `--noise`. */
function noiseRules(paths: readonly string[], files: readonly string[]): NoiseRules {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      throw new UserError(`Cannot read ${path}: there is no such file`);
    }
  };
  return new NoiseRules([...paths.map((path) => ({ path })), ...files.flatMap((path) => parseNoise(read(path), path))]);
}

/** The sessions to play, those of `--warm-up` first, whether chosen otherwise or not; how many these are. */
function withWarmUp(loaded: readonly Loaded[], paths: readonly string[], ids: readonly string[], quiet: number): { all: Loaded[]; warmUp: number } {
  const first = ids.length === 0 ? [] : load(paths, ids, quiet);
  const known = new Set(first.map(({ session }) => session.id));
  return { all: [...first, ...loaded.filter(({ session }) => !known.has(session.id))], warmUp: first.length };
}

/** Has the probes loaded as soon as so many sessions were read that they are likely to be needed: told of each. */
function loadingAhead(probes: ProbesAhead, { concurrency, session = [], limit = Infinity }: Flags): () => void {
  const enough = concurrency === undefined ? FEW : 2;
  if (concurrency === 1 || session.length > 0 || limit < enough || process.getuid?.() !== 0) return () => undefined;
  let read = 0;
  return () => {
    read += 1;
    if (read === enough) probes.begin();
  };
}

export async function handler(flags: ArgumentsCamelCase<Flags>): Promise<void> {
  const probes = new ProbesAhead();
  try {
    await replayAll(flags, probes);
  } finally {
    await probes.close();
  }
}

async function replayAll(flags: ArgumentsCamelCase<Flags>, probes: ProbesAhead): Promise<void> {
  const { onMiss, allowIncomplete, json, concurrency } = flags;
  const { match, threshold } = matching(process.env, flags);
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY)) {
    throw new UserError(`--concurrency: ${concurrency} is not a whole number from 1 to ${MAX_CONCURRENCY}`);
  }
  const launched = recordedLaunch(flags);
  const options = {
    ...targetOf(flags, launched?.command), ...(launched === undefined ? {} : { launch: launched.launch }), moved: movedOf(flags.map), pace: paceOf(flags.latency, flags.chunks), match, onMiss, threshold, allowIncomplete, quietMs: QUIET_MS,
    strict: flags.strict, explain: flags.explain, noise: noiseRules(flags.ignore ?? [], flags.noise ?? []), twice: flags.strict ? 'never' as const : 'different' as const,
    startupMs: durationFlag('startup-timeout', flags.startupTimeout), answerMs: durationFlag('answer-timeout', flags.answerTimeout),
    ...(concurrency === undefined ? {} : { concurrency }),
  };
  const recordingDir = recordTo(flags, options.running !== undefined);
  const bypassed = await bypassedOf(process.env, flags.bypass);
  const quiet = quietMs(process.env, flags.quietAfter);
  const { loaded: wanted, startup } = chosen(flags.paths, flags, quiet, loadingAhead(probes, flags));
  const { all, warmUp } = withWarmUp(wanted, flags.paths, flags.warmUp ?? [], quiet);
  const loaded = all.map((one) => ({ ...one, session: withoutBypassed(one.session, bypassed) }));
  if (options.running === undefined && needsNamespace()) {
    process.exitCode = await rerunRootless();
    return;
  }

  sayBeingRecorded(flags.paths);
  const colours = stdoutColours();
  const lines = new Lines();
  const print = (some: readonly string[]): void => {
    for (const line of some) lines.print(line);
    lines.end();
  };
  const stop = new AbortController();
  let recording: ReplayRecording | undefined;
  const interrupt = (): void => {
    if (stop.signal.aborted) recording?.abandon();
    stop.abort();
  };
  const signals = endingSignals();
  for (const signal of signals) process.on(signal, interrupt);
  const began = performance.now();
  const counts = { same: 0, different: 0, skipped: 0, error: 0 };
  const tally = new Tally();
  let facts: RunFacts = { concurrency: 0, tracker: 'none', serialised: 0, again: 0, untied: 0, background: 0 };
  let stopped: Awaited<ReturnType<ReplayRecording['stop']>> | undefined;
  let wallMs = 0;
  try {
    recording = recordingDir === undefined ? undefined : await ReplayRecording.start(recordingDir);
    const beforeStart = (pid: number): void => { recording?.begin(pid); };
    const note = (text: string): void => { say(`koala-bpf: ${text}`); };
    for await (const replayed of replay(loaded, { ...options, probes, bypassed, startup, warmUp, signal: stop.signal, note, beforeStart, facts: (told) => { facts = told; } })) {
      counts[replayed.verdict] += 1;
      tally.add(replayed);
      print(json ? [JSON.stringify(replayed)] : sessionLines(replayed, colours, { explain: options.explain }));
    }
  } finally {
    wallMs = Math.round(performance.now() - began);
    stopped = await recording?.stop();
    for (const line of stopped?.recorded?.lines ?? []) say(line);
    for (const signal of signals) process.off(signal, interrupt);
  }
  const { same, different, skipped, error: errors } = counts;
  const summary: ReplaySummary = {
    event: 'summary', sessions: same + different + skipped + errors, same, different, skipped, errors, ...facts, ...tally.counts, wallMs,
    ...(stopped?.recorded === undefined ? {} : { recording: stopped.recorded.json }),
  };
  print(json ? [JSON.stringify(summary)] : [...tally.lines(colours), ...summaryLines(summary, colours)]);
  if (stopped?.failure !== undefined) throw stopped.failure;
  process.exitCode = stop.signal.aborted ? EXIT_INTERRUPTED : exitOf(summary, flags.strict);
  if (stop.signal.aborted) say(`koala-bpf: interrupted; ${loaded.length - summary.sessions} of ${loaded.length} sessions were not played`);
  else if (process.exitCode === EXIT.environment) say(`koala-bpf: nothing was compared${loaded.length === 0 ? `: no session was recorded in ${flags.paths.join(', ')}` : ''}`);
}

/** 1 as soon as anything differs or could not be played, with `strict` also calls that are nobody's; 3 when nothing was compared: that is no success. */
export function exitOf({ same, different, errors, untied = 0 }: Omit<ReplaySummary, keyof RunFacts | keyof TallyCounts> & Partial<Pick<RunFacts, 'untied'>>, strict = false): number {
  if (different > 0 || errors > 0 || (strict && untied > 0)) return EXIT.different;
  return same > 0 ? EXIT.ok : EXIT.environment;
}
