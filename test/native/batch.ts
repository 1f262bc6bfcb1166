/**
 * Runs many scenarios under one recorder: every service is started, the recorder attaches to all of them, the clients run
 * one after the other, the recorder is stopped by SIGINT while the services still live, and what it says is compared.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBook, startMover, type BookLine, type Mover, type MoverOptions } from './mover.ts';
import { connections, patience, skipsPreempted, small, startRecorder, within, type Account, type Recorder, type Summary } from './recorder.ts';
import { Accounts, bookProblems, streamProblems, type StreamTruth } from './verdict.ts';
import type { Scenario, StreamExpectation } from './scenarios.ts';

export interface Verdict {
  /**
   * `recorded`: every byte; `declared`: the rest rightly declared; `limit`: unseen by this probe, as docs/limits.md says;
   * `skipped`: not on this kernel; else `wrong`.
   */
  readonly verdict: 'recorded' | 'declared' | 'limit' | 'skipped' | 'wrong';
  readonly problems: readonly string[];
  readonly ms: number;
}

interface Run {
  readonly scenario: Scenario;
  readonly service: Mover;
  readonly clientAddress: string;
  readonly serviceBook: string;
  readonly clientBook: string;
  readonly clientOptions: MoverOptions;
  peer: Mover | undefined;
  problem: string | undefined;
  ms: number;
}

export interface Batch {
  /** Backend as the recorder named it; `none` in a dry run. */
  readonly probe: string;
  readonly summary: Summary | undefined;
  readonly code: number | string;
  /** In the order of the scenarios. */
  readonly verdicts: readonly Verdict[];
  readonly recording: string;
  remove(): void;
}

/**
 * A scenario demands every byte, and the forking one alone moves 80 MB in a few seconds: a machine that lets the recorder wait
 * for half a second would fill the usual ring. What is said then is loss.test.ts's matter.
 */
const ROOMY = small ? [] : ['--ring-bytes', '128MiB'];

/** Other programs that the same recorder watches. */
export interface Company {
  readonly pids: readonly number[];
  readonly flags: readonly string[];
  /** What they do once the scenarios are through. A failure of it ends the batch. */
  run(): Promise<void>;
}

/** Runs them all. `dry`: without a recorder, the two ends' books are compared with each other only. */
export async function runBatch(scenarios: readonly Scenario[], dry: boolean, company?: Company): Promise<Batch> {
  const folder = mkdtempSync(join(tmpdir(), 'koala-native-'));
  const recording = join(folder, 'recording');
  const runs: Run[] = [];
  let recorder: Recorder | undefined;
  try {
    for (const [number, scenario] of scenarios.entries()) runs.push(await prepare(scenario, number, folder));
    for (const run of runs) if (run.scenario.older !== undefined) await noting(run, () => warmUp(run));
    // A service whose kind of socket this kernel doesn't have is gone already.
    const there = runs.filter(({ service }) => service.unsupported === undefined);
    const pids = [...there.map(({ service }) => service.pid), ...(company?.pids ?? [])];
    if (!dry) recorder = await startRecorder(recording, pids.flatMap((pid) => ['--pid', String(pid)]), [...ROOMY, ...(company?.flags ?? [])]);
    for (const run of runs) await noting(run, () => move(run));
    await company?.run();
    const stopped = await recorder?.stop();
    const accounts = dry ? undefined : await connections(recording);
    const probe = recorder?.probe ?? 'none';
    return {
      probe,
      summary: stopped?.summary,
      code: stopped?.code ?? 0,
      verdicts: judgeAll(runs, accounts, probe, stopped?.summary),
      recording,
      remove: () => rmSync(folder, { recursive: true, force: true }),
    };
  } finally {
    recorder?.kill('SIGKILL');
    for (const run of runs) {
      run.service.kill();
      run.peer?.kill();
    }
  }
}

/** How many runs of its probes the kernel skipped, by its own count. */
export const missedOf = (summary: Summary | undefined): number => summary?.lostEvents?.['probe-missed'] ?? 0;

/**
 * How often a buffer was unreadable for longer than a probe looks: its huge page was being split (docs/limits.md), on a machine
 * that stood still meanwhile. Once in a batch it is that, if it is declared; more often it is a fault.
 */
const momentsOf = (summary: Summary | undefined): number => (summary?.lostEvents?.['unreadable'] === 1 ? 1 : 0);

/**
 * Where a thread may be preempted in the midst of a system call on a map, anybody's, the kernel skips whatever a kprobe would have told there
 * (docs/limits.md), also of a scenario that is no crowd. One of a batch may be forgiven what it declares for that; of more it is a fault.
 */
export function forgiveOne(strictly: readonly Verdict[], forgiving: readonly Verdict[]): readonly Verdict[] {
  const forgiven = strictly.filter(({ verdict }, number) => verdict === 'wrong' && forgiving[number]?.verdict === 'declared');
  return forgiven.length === 1 ? strictly.map((one, number) => (one === forgiven[0] ? forgiving[number] ?? one : one)) : strictly;
}

function judgeAll(runs: readonly Run[], all: readonly Account[] | undefined, probe: string, summary: Summary | undefined): readonly Verdict[] {
  const [missed, moments] = [missedOf(summary), momentsOf(summary)];
  const skipped = missed > 0 && skipsPreempted(probe);
  const judged = (forgiving: boolean): readonly Verdict[] => {
    const accounts = all && new Accounts(all);
    return runs.map((run) => judge(run, accounts, { probe, missed, moments, mayBeSkipped: skipped && (forgiving || run.scenario.crowd === true) }));
  };
  const strictly = judged(false);
  return skipped && strictly.some(({ verdict }) => verdict === 'wrong') ? forgiveOne(strictly, judged(true)) : strictly;
}

async function noting(run: Run, work: () => Promise<void>): Promise<void> {
  if (run.problem !== undefined || run.service.unsupported !== undefined) return;
  const began = performance.now();
  try {
    await work();
  } catch (error) {
    run.problem = error instanceof Error ? error.message : String(error);
  }
  run.ms = Math.round(performance.now() - began);
}

/** Starts the service (and, for one that connects, its peer) up to where it waits. */
async function prepare(scenario: Scenario, number: number, folder: string): Promise<Run> {
  const path = join(folder, String(number));
  const serviceBook = `${path}.service`;
  const clientBook = `${path}.client`;
  const deadline = 900 * patience;
  const { connections: count = 1, parallel = 1, model = 'thread' } = scenario;
  const base = { folder, deadline, connections: count };
  const address = scenario.address === 'unix' ? `unix:${path}.sock`
    : scenario.address === 'unix@' ? `unix:@koala-test-${process.pid}-${number}` : scenario.address;
  const at = (port: number): string => (address.startsWith('unix') ? address : `${address}:${port}`);
  const serviceOptions: MoverOptions = { ...base, book: serviceBook, plan: scenario.service, seed: 1000 * number + 1, linger: true };
  const clientOptions: MoverOptions = { ...base, book: clientBook, plan: scenario.client, seed: 500_000 + 20_000 * number };
  if (scenario.way === 'outbound') {
    const deaf = scenario.failure === 'timeout';
    const role = deaf ? 'deaf' : 'listen';
    const peer = scenario.failure === 'refused' ? undefined : await startMover(role, address === 'mapped' ? 'v4' : address, clientOptions);
    if (deaf) await peer?.lines.find((line) => 'full' in line, 10_000 * patience);
    const held: MoverOptions = { ...serviceOptions, parallel, hold: true, ...(deaf ? { syncnt: 1 } : {}) };
    const service = await startMover('connect', at(peer?.port ?? 1), held);
    return { scenario, service, clientAddress: '', serviceBook, clientBook, clientOptions, peer, problem: undefined, ms: 0 };
  }
  const service = await startMover('listen', address, { ...serviceOptions, model });
  // A client of a v4-mapped listener speaks plain IPv4.
  const clientAddress = address === 'mapped' ? `v4:${service.port}` : at(service.port);
  return { scenario, service, clientAddress, serviceBook, clientBook, clientOptions: { ...clientOptions, parallel }, peer: undefined, problem: undefined, ms: 0 };
}

/** The part of a scenario that happens before the recorder comes. */
async function warmUp(run: Run): Promise<void> {
  run.peer = await startMover('connect', run.clientAddress, run.clientOptions);
  const waiting = (mover: Mover): Promise<unknown> => mover.lines.find((line) => 'waiting' in line, 20_000 * patience);
  await waiting(run.peer);
  if (run.scenario.older === 2) await waiting(run.service);
}

async function move(run: Run): Promise<void> {
  const limit = 60_000 * patience;
  const { scenario, service } = run;
  if (scenario.older !== undefined) run.peer?.go();
  if (scenario.older !== undefined || scenario.way === 'outbound') service.go();
  if (scenario.way !== 'outbound' && scenario.older === undefined) {
    run.peer = await startMover('connect', run.clientAddress, run.clientOptions);
  }
  const done = service.lines.find((line) => 'done' in line, limit);
  const mayDie = /last=|die/.test(scenario.service);
  if (mayDie) {
    done.catch(() => undefined);
    const code = await within(service.ended, limit, 'the service did not die');
    if (code !== 0 && code !== 'SIGKILL') throw new Error(`the service ended with ${code}`);
  } else {
    await done;
  }
  if (scenario.failure === 'timeout') run.peer?.kill();
  else if (run.peer !== undefined) {
    const code = await within(run.peer.ended, limit, 'the client did not end');
    if (code !== 0) throw new Error(`the client ended with ${code}`);
  }
}

/** What a verdict depends on beside what was moved and recorded. */
interface Circumstances {
  readonly probe: string;
  /** Runs of probes that the kernel says it skipped. */
  readonly missed: number;
  /** As `momentsOf` says. */
  readonly moments: number;
  /** Some of what was skipped may have been this scenario's. */
  readonly mayBeSkipped: boolean;
}

function judge(run: Run, accounts: Accounts | undefined, circumstances: Circumstances): Verdict {
  const { probe, missed, moments, mayBeSkipped } = circumstances;
  const { scenario } = run;
  const service = readBook(run.serviceBook);
  const client = readBook(run.clientBook);
  const missing = run.service.unsupported ?? service.flatMap((line) => [line.ingress, line.egress]).find((half) => half.unsupported)?.failed;
  if (missing !== undefined && scenario.optional === true) return { verdict: 'skipped', problems: [missing], ms: run.ms };
  const problems: string[] = run.problem === undefined ? [] : [run.problem];
  const wanted = scenario.connections ?? 1;
  if (service.length !== wanted) problems.push(`the service wrote down ${service.length} connections of ${wanted}`);
  const byClient = grouped(client);
  const times = grouped(service);
  let gaps = 0;
  const isLimit = [scenario.ingress, scenario.egress].some((stream) => stream?.unseenBy?.includes(probe) === true);
  for (const line of service) {
    const unix = scenario.address.startsWith('unix');
    const other = scenario.failure !== undefined ? line : unix ? client[0] : byClient.get(`${line.remote} ${line.local}`)?.shift();
    if (other === undefined) {
      problems.push(`the client wrote nothing down of ${line.remote}`);
      continue;
    }
    if (scenario.mayFail !== true) problems.push(...failures(scenario, line, other));
    if (scenario.failure === undefined && scenario.urgent !== true) problems.push(...bookProblems(line, other));
    if (accounts === undefined) continue;
    const account = accounts.take(line, times.get(ends(line))?.length ?? 0, scenario.failure !== undefined);
    if (typeof account === 'string') {
      problems.push(account);
      continue;
    }
    problems.push(...accountProblems(scenario, account, line, other, circumstances));
    gaps += account.ingress.gaps.length + account.egress.gaps.length;
  }
  if (accounts !== undefined) problems.push(...strangers(accounts, run, service));
  if ((scenario.crowd === true || mayBeSkipped) && gaps > missed + moments) problems.push(`${gaps} gaps, though the kernel skipped only ${missed} probes`);
  return { verdict: problems.length > 0 ? 'wrong' : isLimit ? 'limit' : gaps > 0 ? 'declared' : 'recorded', problems: problems.slice(0, 12), ms: run.ms };
}

const connectErrors = { refused: 'connect: ECONNREFUSED', timeout: 'connect: ETIMEDOUT' } as const;

/** Calls that failed though nothing should. */
function failures(scenario: Scenario, service: BookLine, client: BookLine): string[] {
  const texts = [service, client].flatMap((line) => [line.ingress.failed, line.egress.failed]).filter((text) => text !== '');
  if (scenario.failure === undefined) return texts;
  const right = connectErrors[scenario.failure];
  return texts.includes(right) ? [] : [`connect did not fail with ${right} but ${texts.join(', ')}`];
}

/** Lines by their ends, in the order in which they were written. */
function grouped(lines: readonly BookLine[]): Map<string, BookLine[]> {
  const groups = new Map<string, BookLine[]>();
  for (const line of lines) {
    const same = groups.get(ends(line));
    if (same === undefined) groups.set(ends(line), [line]);
    else same.push(line);
  }
  return groups;
}

const ends = (line: BookLine): string => `${line.local} ${line.remote}`;

function accountProblems(scenario: Scenario, account: Account, service: BookLine, client: BookLine, { probe, missed, moments, mayBeSkipped }: Circumstances): string[] {
  // A jump that nobody explains takes the name of a loss that is reported about then: of the probes that were skipped, or of who is found late therefore.
  const named = (causes: readonly string[]): readonly string[] => (missed > 0 && causes.includes('unknown') ? [...causes, 'probe-missed', 'seen-late'] : causes);
  const truth = (bytes: number, seed: number, discarded: number, expected: StreamExpectation = {}): StreamTruth => ({
    bytes: expected.unseenBy?.includes(probe) === true ? 0 : bytes,
    seed,
    from: expected.from === 'any' ? undefined : expected.from ?? 0,
    hidden: expected.hidden ?? 0,
    mayMiss: named([...(expected.mayMiss ?? []), ...(moments > 0 ? ['unreadable'] : []), ...(mayBeSkipped ? ['unknown'] : [])]),
    // What was skipped may be missing besides.
    missing: mayBeSkipped ? undefined : expected.missing === 'discarded' ? discarded : expected.missing === 'all' ? bytes : undefined,
  });
  const consumed = scenario.urgent === true ? client.egress.bytes : service.ingress.bytes;
  const role = scenario.way ?? 'inbound';
  const older = scenario.older !== undefined;
  const learnt = older ? 'seen' : role === 'inbound' ? 'accept' : 'connect';
  return [
    ...(account.role === role ? [] : [`its role is ${account.role}, should be ${role}`]),
    // Of a unix or MPTCP socket no probe sees the beginning: it is known at its first byte.
    ...(account.learnt === learnt || /^unix|^mptcp/.test(scenario.address) ? [] : [`learnt by ${account.learnt}, should be ${learnt}`]),
    ...(scenario.end === undefined || scenario.end.includes(account.end) ? [] : [`its end is ${account.end}, should be ${scenario.end.join(' or ')}`]),
    ...streamProblems('ingress', account.ingress, truth(consumed, client.seed, service.ingress.discarded, scenario.ingress)),
    ...streamProblems('egress', account.egress, truth(service.egress.bytes, service.seed, 0, scenario.egress)),
  ];
}

/** Accounts of the service's processes that stand for no connection. */
function strangers(accounts: Accounts, run: Run, service: readonly BookLine[]): string[] {
  const named = accounts.of(new Set(service.map((line) => line.tgid).concat(run.service.pid)));
  const extra = named.length - service.length;
  return extra > 0 ? [`${extra} more accounts than connections, among ${JSON.stringify(named.slice(0, 3).map((one) => [one.local, one.remote, one.end]))}`] : [];
}
