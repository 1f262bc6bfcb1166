/** `koala-bpf attach`: records until told to stop, or until those it watches are gone. Derives nothing. */
import { basename, resolve } from 'node:path';
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { EXIT, UserError } from '../errors.ts';
import { unseenByProcesses, unseenWords } from '../kernel/append-sight.ts';
import { processFacts } from '../kernel/processes.ts';
import { beginWatching } from '../record/begin.ts';
import { startHeld } from '../record/child.ts';
import type { HeldChild } from '../record/child.ts';
import { checkSize, launchesOf, launchOf } from '../record/launch.ts';
import { followNewcomers } from '../record/newcomers.ts';
import type { RecordedSummary, Recorder } from '../record/recorder.ts';
import { checkTargets } from '../record/targets.ts';
import type { Targets } from '../record/targets.ts';
import { size } from '../report/text.ts';
import { withJson } from './command.ts';
import { durationFlag } from './environment.ts';
import { instrumentOf, RUNTIMES } from './instrument.ts';
import { ProgressLine, say } from './output.ts';
import { recordedJson, recordedLines } from './recorded.ts';
import { checkRights, recorderOptions, startRecorder, WHY_UNKNOWN, type RecorderFlags } from './recorder-options.ts';
import { Signals } from './signals.ts';

interface Flags extends RecorderFlags {
  pid: string[] | undefined;
  unit: string[] | undefined;
  exe: string[] | undefined;
  cgroup: string[] | undefined;
  port: string[] | undefined;
  all: boolean | undefined;
  instrument: string[] | undefined;
  readMemory: string[] | undefined;
  out: string | undefined;
  duration: string | undefined;
  keepEnvironment: boolean;
  json: boolean;
}

const LIVE_MS = 500;
const LOOK_MS = 100;
/** What a timer takes (2^31 ms); a longer `--duration` is waited for in pieces. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** comm (TASK_COMM_LEN, linux/sched.h) without its final NUL. */
const MAX_COMMAND = 15;
/** How long CMD may take to end after the signal that ends the recording. */
const CHILD_GRACE_MS = 3000;

const USAGE = '$0 attach (--pid N | --port P | --unit U | --exe PATH | --cgroup PATH)… | --all | -- CMD…';

export const command = 'attach';
export const describe = 'record what processes say and hear, from the kernel, without touching them';

export const builder = (yargs: Argv): Argv => withJson(yargs)
  .usage(`${USAGE}\n\nRecords what processes say and hear, with their descendants, from the kernel. Several filters are a union.`)
  .option('pid', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'this process and its descendants' })
  .option('unit', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'a systemd unit, through restarts' })
  .option('exe', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'whatever runs this executable, through restarts' })
  .option('cgroup', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'whatever is in this cgroup or below it' })
  .option('port', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'the processes that listen on this TCP port' })
  .option('all', { type: 'boolean', describe: 'every process of this host but koala-bpf' })
  .option('instrument', { choices: RUNTIMES, array: true, nargs: 1, requiresArg: true, describe: 'ask this runtime, inside the service, whose each call is; undone at the end' })
  .option('read-memory', { choices: [...RUNTIMES, 'none'], array: true, nargs: 1, requiresArg: true, describe: 'read from this runtime\'s memory whose each call is, however much of the service\'s time that takes (by itself: a tenth at most); none: don\'t' })
  .option('out', { type: 'string', requiresArg: true, describe: 'the recording\'s folder (default ./koala-<UTC time>); one of ours is continued' })
  .option('probe', { choices: ['auto', 'fentry', 'kprobe', 'tracepoint'], default: 'auto', describe: 'which kernel hooks; auto takes the cheapest that works here' })
  .option('duration', { type: 'string', requiresArg: true, describe: 'stop after this time (30s, 5m, 1h); CMD gets SIGTERM' })
  .option('ring-bytes', { type: 'string', default: '16MiB', requiresArg: true, describe: 'kernel ring buffer: rounded up to a power of two' })
  .option('max-connections', { type: 'number', default: 65536, requiresArg: true, describe: 'open connections the kernel side keeps track of' })
  .option('max-message', { type: 'string', requiresArg: true, describe: 'keep at most this much of what one call moves; the rest is a declared gap (default: all)' })
  .option('appends', { type: 'boolean', default: true, describe: 'record what is appended to files (logs); --no-appends leaves it out' })
  .option('keep-environment', { type: 'boolean', default: false, describe: 'keep environment and arguments of the processes that are there, for replay --env-from recording: secrets' })
  .option('max-disk', { type: 'string', requiresArg: true, describe: 'drop the oldest segments so that the recording stays below this' })
  .option('min-free', { type: 'string', requiresArg: true, describe: 'stop before the file system has less than this free (default: 10%, at most 2GiB)' })
  .option('segment-bytes', { type: 'string', default: '64MiB', requiresArg: true, describe: 'size at which a new segment begins' })
  .option('wakeups', { choices: ['auto', 'on', 'off'], default: 'auto', describe: 'tell which thread wakes one that waits for it, which ties the calls of thread pools; auto: once threads call that take no requests' })
  .option('bypass', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'leave connections to IP:PORT or :PORT out of the recording (KOALA_OUTBOUND_BYPASS_ADDR, _PORT)' })
  .example('$0 attach --pid 4711', 'one process, until Ctrl-C')
  .example('$0 attach --port 8080 --duration 5m --out rec', 'what listens on 8080, for five minutes')
  .example('$0 attach --out rec -- node server.js', 'a command from its first instruction on');

export async function handler(given: ArgumentsCamelCase): Promise<void> {
  const flags = given as unknown as Flags;
  const cmd = (given['--'] as (string | number)[] | undefined)?.map(String) ?? [];
  const targets = check(flags, cmd);
  const dir = resolve(flags.out ?? defaultFolder(new Date()));
  const durationMs = flags.duration === undefined ? undefined : durationFlag('duration', flags.duration);
  const options = recorderOptions(flags, targets, dir);
  checkRights();
  const child = cmd.length > 0 ? startHeld(cmd, flags.json) : undefined;
  // From here on a signal ends the recording in good order, also one that comes while the probes are loaded.
  const signals = new Signals(child);
  let recorder: Recorder | undefined;
  try {
    const launches = flags.keepEnvironment ? checkSize([...launchesOf(targets), ...(child === undefined ? [] : [launchOf(child.tgid, cmd)].filter((one) => one !== undefined))]) : [];
    recorder = await startRecorder({
      ...options, launches, onNoWakeups: (why) => say(`koala-bpf: who wakes whom can't be told: ${why}`),
      walksNode: walksNodeOf(flags),
      onNoNodeMemory: (why) => say(`koala-bpf: Node's memory can't be read here, its calls are tied by other means: ${why}`),
      onUnknownV8: (tgid, version) => flags.readMemory === undefined ? undefined : say(`koala-bpf: process ${tgid} runs ${version === undefined ? 'a Node that exports nothing of V8' : `V8 ${version}`}, whose memory can't be read (--read-memory): its calls are tied by other means`),
      onUnknownVirtualThreads: (tgid, why) => say(`koala-bpf: process ${tgid} has virtual threads, and which of them makes a call can't be told: ${WHY_UNKNOWN[why]}`),
    });
    signals.started(recorder);
    await record(recorder, { flags, targets, dir, durationMs, child, cmd, signals });
  } catch (error) {
    await recorder?.stop().catch(() => undefined); // what was recorded until then is kept; the first error is the one to tell
    throw error;
  } finally {
    signals.close();
    child?.leave();
    recorder?.probes.close();
  }
}

interface Run {
  readonly flags: Flags;
  readonly targets: Targets;
  readonly dir: string;
  readonly durationMs: number | undefined;
  readonly child: HeldChild | undefined;
  readonly cmd: readonly string[];
  readonly signals: Signals;
}

async function record(recorder: Recorder, run: Run): Promise<void> {
  const { targets, child, signals } = run;
  const startedMs = performance.now();
  const held = child === undefined ? [] : [processFacts(child.tgid) ?? { tgid: child.tgid, parent: process.pid, command: 'sh' }];
  const chosen = beginWatching(recorder, targets, held);
  if (targets.pids.length > 0 && !recorder.anyWatched()) throw new UserError(`--pid ${targets.pids.join(', ')}: the process ended while koala-bpf was attaching`);
  for (const problem of recorder.probes.hideHelperAddress([...chosen, ...held].map(({ tgid }) => tgid))) say(`koala-bpf: ${problem}: helper datagrams are recorded, and reach who listens for them too`);
  // Held, it is a shell still; who reads wants to know what it will be.
  const named = held.map(({ tgid }) => ({ tgid, command: basename(run.cmd[0] ?? '').slice(0, MAX_COMMAND) }));
  const instrument = instrumentOf(run.flags.instrument, recorder, targets.all, run.flags.json);
  let exitStatus: number | undefined;
  let notRun: unknown;
  let summary: RecordedSummary;
  try {
    const begun = instrument?.begin().then((asked) => {
      if (asked === 0 && child === undefined) say('koala-bpf: --instrument node: nobody is asked by now; recording goes on without');
    });
    await Promise.race([begun, signals.first]);
    announce(recorder, run, [...chosen, ...named]);
    recorder.probes.expect(run.cmd);
    recorder.hurry();
    child?.release();
    void child?.ended.then((status) => { exitStatus = status; }, (error: unknown) => { notRun = error; });
    const settle = followNewcomers(recorder, targets);
    try {
      await waitForEnd(recorder, run);
    } finally {
      settle();
    }
    child?.leave();
    summary = await recorder.stop();
  } catch (error) {
    const known = (error as { summary?: RecordedSummary }).summary;
    if (known !== undefined) sayEnd(known, run, startedMs, exitStatus);
    throw error;
  } finally {
    signals.close();
    await instrument?.close();
  }
  sayEnd(summary, run, startedMs, exitStatus);
  if (notRun !== undefined) throw notRun;
  if (child !== undefined && exitStatus === undefined) say(`koala-bpf: the command still runs (process ${child.tgid})`);
  process.exitCode = EXIT.ok;
}

/** Fulfilled when the recording has to end, for whatever reason. */
async function waitForEnd(recorder: Recorder, { flags, targets, durationMs, child, signals }: Run): Promise<void> {
  const lasting = targets.all || targets.ports.length > 0 || targets.cgroups.length > 0 || targets.executables.length > 0;
  const timers: NodeJS.Timeout[] = [];
  const line = new ProgressLine();
  let bytes = 0;
  try {
    const ends: Promise<unknown>[] = [signals.first, recorder.stopped];
    if (durationMs !== undefined) ends.push(new Promise((done) => { after(durationMs, timers, () => done('duration')); }));
    if (!lasting) {
      ends.push(new Promise<void>((done) => {
        timers.push(setInterval(() => { if (!recorder.anyWatched()) done(); }, LOOK_MS));
      }));
    }
    if (!flags.json) {
      timers.push(setInterval(() => {
        const now = recorder.counter('bytes');
        const lost = recorder.counter('lostBytes');
        line.update(`recording: ${recorder.counter('openConnections')} connections open, ${recorder.counter('connections')} seen, `
          + `${size((now - bytes) / (LIVE_MS / 1000))}/s, ${size(now)} in all, ${lost === 0 ? 'nothing lost' : `${size(lost)} lost`}`);
        bytes = now;
      }, LIVE_MS));
    }
    const why = await Promise.race(ends);
    if (child === undefined) return;
    if (why === 'duration') child.kill('SIGTERM');
    // What it still says on its way out belongs to the recording. A second signal ends that too.
    await Promise.race([
      child.ended, recorder.stopped, new Promise((done) => { timers.push(setTimeout(done, CHILD_GRACE_MS)); }),
    ]).catch(() => undefined);
  } finally {
    for (const timer of timers) clearInterval(timer);
    line.end();
  }
}

/** A timer of any length; the one that runs is the last of `timers`. */
function after(ms: number, timers: NodeJS.Timeout[], done: () => void): void {
  const atOnce = Math.min(ms, MAX_TIMER_MS);
  timers.push(setTimeout(() => atOnce < ms ? after(ms - atOnce, timers, done) : done(), atOnce));
}

function announce(recorder: Recorder, { flags, dir }: Run, targets: readonly { tgid: number; command: string }[]): void {
  say('Recordings hold whatever the service said and heard, credentials included: keep them to yourself.');
  const unseen = flags.appends ? unseenByProcesses(recorder.probes.appendSight, targets.map(({ tgid }) => tgid)) : [];
  if (flags.json) {
    print({
      event: 'recording', dir, probe: recorder.probes.probe, targets: targets.map(({ tgid, command: name }) => ({ tgid, command: name })),
      ...(unseen.length > 0 && { unseenAppends: unseen }),
    });
    return;
  }
  const who = targets.length === 0 ? (flags.all === true ? 'every process' : 'nobody yet')
    : targets.slice(0, 4).map(({ tgid, command: name }) => `${name} (${tgid})`).join(', ') + (targets.length > 4 ? ` and ${targets.length - 4} more` : '');
  say(`koala-bpf: recording ${who} to ${dir} (probe ${recorder.probes.probe}); Ctrl-C ends it`);
  if (unseen.length > 0) say(`koala-bpf: what is appended to files is not seen on ${unseenWords(unseen)}`);
  if (!recorder.probes.packets) say('koala-bpf: no cgroup2 here, so what sendfile and splice send will be declared gaps');
}

function sayEnd(summary: RecordedSummary, { flags, dir }: Run, startedMs: number, exitStatus: number | undefined): void {
  const durationMs = Math.round(performance.now() - startedMs);
  if (flags.json) {
    print({ event: 'summary', ...recordedJson(summary, dir), durationMs, ...(exitStatus === undefined ? {} : { exitStatus }) });
    return;
  }
  for (const line of recordedLines(summary, dir, durationMs)) say(line);
  if (exitStatus !== undefined) say(`  the command ended with status ${exitStatus}`);
  say(`  see it: koala-bpf ls ${dir}`);
}

function check(flags: Flags, cmd: readonly string[]): Targets {
  const targets = checkTargets({
    ...(flags.pid && { pid: flags.pid }), ...(flags.port && { port: flags.port }), ...(flags.unit && { unit: flags.unit }),
    ...(flags.cgroup && { cgroup: flags.cgroup }), ...(flags.exe && { exe: flags.exe }), ...(flags.all && { all: true }),
  });
  const some = targets.all || cmd.length > 0
    || targets.pids.length + targets.ports.length + targets.cgroups.length + targets.executables.length > 0;
  if (!some) throw new UserError('attach: say whom: --pid N, --port P, --unit U, --exe PATH, --cgroup PATH, --all, or -- CMD');
  if (flags.readMemory?.includes('node') === true && flags.readMemory.includes('none')) throw new UserError('--read-memory node and --read-memory none: one of them');
  if (flags.readMemory?.includes('node') === true && flags.instrument?.includes('node') === true) throw new UserError('--read-memory node and --instrument node: one of them, for who is asked knows it all');
  if (flags.keepEnvironment && targets.all) throw new UserError('--keep-environment is for processes that are named, not for --all');
  return targets;
}

function walksNodeOf({ readMemory, instrument }: Flags): 'always' | 'bounded' | undefined {
  if (readMemory?.includes('node') === true) return 'always';
  return readMemory === undefined && instrument === undefined ? 'bounded' : undefined;
}

/** `./koala-20261123T140000`, UTC. */
function defaultFolder(now: Date): string {
  return `koala-${now.toISOString().replace(/[-:]/g, '').slice(0, 15)}`;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
