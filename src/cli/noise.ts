/** `koala-bpf noise learn`: replays the build that was recorded twice, and writes down what differs by itself. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { NOISE_FORMAT, NoiseRules, parseNoise, type NoiseFile, type NoiseRule } from '../compare/index.ts';
import { EXIT } from '../errors.ts';
import { NoiseLearner } from '../replay/learn-noise.ts';
import { load } from '../replay/load.ts';
import { replay } from '../replay/replay.ts';
import { withQuiet } from './command.ts';
import { durationFlag, matching, quietMs } from './environment.ts';
import { Lines, say } from './output.ts';
import { QUIET_MS } from './replay.ts';
import { sayBeingRecorded } from './replay-choice.ts';
import { targetOf, withTarget, type TargetFlags } from './replay-target.ts';
import { needsNamespace, rerunRootless } from './rootless.ts';
import { endingSignals } from './signals.ts';

interface Flags extends TargetFlags {
  paths: string[];
  out: string;
  session: string[] | undefined;
  concurrency: number | undefined;
  startupTimeout: string;
  answerTimeout: string;
  allowIncomplete: boolean;
  quietAfter: string | undefined;
}

export const command = 'noise learn <paths..>';
export const describe = 'replay the build that was recorded twice, and write down what differs by itself';

export const builder = (yargs: Argv): Argv<Flags> =>
  withTarget(withQuiet(yargs))
    .positional('paths', { type: 'string', array: true, demandOption: true, describe: 'recordings (folders), or session files' })
    .option('out', { type: 'string', requiresArg: true, default: 'noise.json', describe: 'the file of rules; rules that it has are kept' })
    .option('session', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'only this session (repeatable)' })
    .option('concurrency', { type: 'number', requiresArg: true, describe: 'sessions that are played at a time, at most' })
    .option('startup-timeout', { type: 'string', default: '30s', requiresArg: true, describe: 'how long the service may take until it listens' })
    .option('answer-timeout', { type: 'string', default: '30s', requiresArg: true, describe: 'how long it may take to answer' })
    .option('allow-incomplete', { type: 'boolean', default: false, describe: 'also sessions that are not proven complete' })
    .example('$0 noise learn rec -- ./service --port 8080', 'then: koala-bpf replay rec --noise noise.json -- …') as unknown as Argv<Flags>;

/** Rules of an earlier time, if there are any. */
const known = (path: string): NoiseRule[] => (existsSync(path) ? parseNoise(readFileSync(path, 'utf8'), path) : []);

export async function handler(flags: ArgumentsCamelCase<Flags>): Promise<void> {
  const target = targetOf(flags);
  const before = known(flags.out);
  const loaded = load(flags.paths, flags.session ?? [], quietMs(process.env, flags.quietAfter));
  const { concurrency, allowIncomplete } = flags;
  const options = {
    ...target, ...matching(process.env, {}), onMiss: 'fail' as const, allowIncomplete, quietMs: QUIET_MS, twice: 'always' as const, noise: new NoiseRules(before),
    startupMs: durationFlag('startup-timeout', flags.startupTimeout), answerMs: durationFlag('answer-timeout', flags.answerTimeout),
    ...(concurrency === undefined ? {} : { concurrency }),
  };
  if (options.running === undefined && needsNamespace()) {
    process.exitCode = await rerunRootless();
    return;
  }
  sayBeingRecorded(flags.paths);
  const stop = new AbortController();
  const interrupt = (): void => { stop.abort(); };
  for (const signal of endingSignals()) process.once(signal, interrupt);
  const learner = new NoiseLearner();
  let compared = 0;
  const note = (text: string): void => { say(`koala-bpf: ${text}`); };
  for await (const replayed of replay(loaded, { ...options, signal: stop.signal, note, onTwice: (first, second) => { learner.add(first, second); } })) {
    if (replayed.verdict === 'same' || replayed.verdict === 'different') compared += 1;
    if (replayed.verdict === 'error') learner.failed(replayed);
  }
  if (stop.signal.aborted || compared === 0) {
    say(`koala-bpf: ${stop.signal.aborted ? 'interrupted' : 'nothing was compared'}; ${flags.out} is left as it was`);
    process.exitCode = EXIT.environment;
    return;
  }
  const { rules, left } = learner.learnt;
  const file: NoiseFile = { format: NOISE_FORMAT, rules: [...before, ...rules] };
  writeFileSync(flags.out, `${JSON.stringify(file, undefined, 2)}\n`);
  const lines = new Lines();
  for (const { path, of, why, seen } of rules) lines.print(`${of ?? ''}  ${path}  ${why ?? ''} (${seen ?? 0})`);
  lines.print(`${flags.out}: ${rules.length} new, ${before.length} kept`);
  lines.end();
  for (const [what, count] of left) say(`koala-bpf: not written, it is no value: ${what} (${count})`);
  process.exitCode = left.size > 0 ? EXIT.different : EXIT.ok;
}
