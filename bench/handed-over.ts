/**
 * Would "who woke whom" tell whose call it is that a pool's thread makes? A recorded service hands its calls to a pool, while tracefs
 * notes each sched_waking of its threads and each futex call; then rules are tried on both, and held against the ids in the calls.
 * Run as root: `node --import tsx bench/handed-over.ts [LANGUAGE [WAY]]`. What came of it: docs/decisions/handed-over.md.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openRecording } from '../src/store/recording.ts';
import { derivedWithoutIds } from '../test/e2e/hidden.ts';
import { Recorder } from '../test/e2e/recorder.ts';
import { Clients } from '../test/e2e/services/client.ts';
import { accepts, Daemon, freePort, removeDir, temporaryDir } from '../test/e2e/services/daemon.ts';
import { httpUpstream } from '../test/e2e/services/dependency.ts';
import { idsIn } from '../test/e2e/score.ts';
import { RID, ridMaker } from '../test/e2e/services/rid.ts';

const REQUESTS = 600;
/** Language, how its requests wait (HANDED_WAY), threads in the pool, clients. */
const RUNS = [
  ['java', 'get', 32, 1], ['java', 'get', 32, 4], ['java', 'get', 64, 16], ['java', 'get', 8, 16], ['java', 'get', 4, 16],
  ['java', 'invokeAll', 8, 16], ['java', 'join', 8, 16], ['java', 'latch', 8, 16], ['java', 'two', 8, 16], ['java', 'bounded', 8, 16],
  ['java', 'shared', 8, 16], ['java', 'mixed', 8, 16], ['java', 'locked', 8, 16],
  ['python', 'get', 32, 1], ['python', 'get', 32, 4], ['python', 'get', 8, 16], ['python', 'get', 4, 16],
  ['python', 'wait', 8, 16], ['python', 'shared', 8, 16], ['python', 'mixed', 8, 16], ['python', 'locked', 8, 16],
] as const;

const EVENTS = ['sched/sched_waking', 'syscalls/sys_enter_futex', 'syscalls/sys_exit_futex'];

/** FUTEX_WAIT, FUTEX_WAIT_BITSET. */
const WAITS = new Set([0, 9]);

interface Step {
  readonly atUs: number;
  readonly tid: number;
  /** A wake-up: of this thread. */
  readonly woken?: number;
  /** It enters a futex call on this word, to wait (`true`) or to wake others; undefined: it leaves one. */
  readonly futex?: { readonly word: string; readonly waits: boolean } | undefined;
  /** What was read or written, and where. */
  readonly moved?: { readonly inbound: boolean; readonly read: boolean; readonly rid: string | undefined; readonly connection: number };
}

async function observe(language: 'java' | 'python', way: string, pool: number, clients: number, tracefs: string): Promise<{ readonly steps: Step[]; readonly built: string }> {
  const dir = temporaryDir('handed');
  const [upstream, port] = await Promise.all([httpUpstream(), freePort()]);
  const program = fileURLToPath(new URL(`handed-over/${language === 'java' ? 'Handed.java' : 'handed.py'}`, import.meta.url));
  const daemon = await Daemon.start({
    name: 'handed', command: language === 'java' ? 'java' : 'python3', args: [program], dir, readyMs: 60_000, ready: () => accepts(port),
    env: { HANDED_UPSTREAM_PORT: String(upstream.port), HANDED_POOL: String(pool), HANDED_WAY: way, HANDED_PORT: String(port) },
  });
  const callers = new Clients(port, clients, { keepAlive: true });
  try {
    const rid = ridMaker();
    const ask = (index: number): { rid: string; target: string } => ({ rid: rid(index), target: `/work/${rid(index)}?calls=${1 + (index % 3)}` });
    // First the pool's threads are made.
    await callers.send(Array.from({ length: 4 * pool }, (_, index) => ask(REQUESTS + index)));
    const set = (file: string, value: string): void => writeFileSync(join(tracefs, file), value);
    set('trace_clock', 'mono');
    set('buffer_size_kb', '60000');
    set('trace', '');
    set('set_event_pid', readdirSync(`/proc/${daemon.pid}/task`).join(' '));
    const recorder = await Recorder.attach([daemon.pid], join(dir, 'rec'), ['--wakeups', 'on']);
    for (const event of EVENTS) set(`events/${event}/enable`, '1');
    await callers.send(Array.from({ length: REQUESTS }, (_, index) => ask(index)));
    for (const event of EVENTS) set(`events/${event}/enable`, '0');
    await recorder.stop();
    const steps = [...recorded(join(dir, 'rec'), upstream.port), ...traced(join(dir, 'rec'), join(tracefs, 'trace'))].sort((a, b) => a.atUs - b.atUs);
    return { steps, built: derived(join(dir, 'rec')) };
  } finally {
    callers.close();
    await daemon.stop();
    await upstream.stop();
    removeDir(dir);
  }
}

/** What koala-bpf itself makes of it, the ids hidden from it, of calls that no request's own thread made. */
function derived(dir: string): string {
  const { sessions, ambient } = derivedWithoutIds(dir);
  let [right, wrong, others] = [0, 0, 0];
  for (const session of sessions) {
    const [rid] = idsIn(session.inbound.request);
    for (const { attribution, request } of session.outbound) {
      const [own] = idsIn(request);
      if (own === undefined || attribution === 'thread') continue;
      if (attribution !== 'handed-over') others += 1;
      else if (own === rid) right += 1;
      else wrong += 1;
    }
  }
  const untied = ambient.filter(({ request }) => idsIn(request).length > 0).length;
  return `precision ${percent(right, right + wrong)}, recall ${percent(right, right + wrong + others + untied)} (${wrong} wrong, ${others} by other evidence)`;
}

function* recorded(dir: string, upstreamPort: number): Generator<Step> {
  const outbound = new Set<number>();
  for (const event of openRecording(dir).events()) {
    if (event.kind === 'open' && event.remote.port === upstreamPort) outbound.add(event.connection);
    if (event.kind !== 'data') continue;
    const rid = Buffer.from(event.bytes).toString('latin1').match(RID)?.[0];
    yield { atUs: event.atUs, tid: event.tid, moved: { inbound: !outbound.has(event.connection), read: event.direction === 'ingress', rid, connection: event.connection } };
  }
}

function* traced(dir: string, trace: string): Generator<Step> {
  const { header } = openRecording(dir);
  if (header === undefined) throw new Error('the recording has no header');
  const offsetUs = Number(header.unixNs - header.monotonicNs) / 1000;
  for (const line of readFileSync(trace, 'latin1').split('\n')) {
    const [, tid, seconds, what] = /-(\d+)\s+\[\d+\] \S+\s+([\d.]+): (.*)/.exec(line) ?? [];
    if (what === undefined) continue;
    const step = { atUs: Number(seconds) * 1e6 + offsetUs, tid: Number(tid) };
    const woken = /^sched_waking: comm=.* pid=(\d+) /.exec(what)?.[1];
    const [, word, op] = /^sys_futex\(uaddr: (\w+), op: (\w+)/.exec(what) ?? [];
    if (woken !== undefined) yield { ...step, woken: Number(woken) };
    else if (word !== undefined && op !== undefined) yield { ...step, futex: { word, waits: WAITS.has(Number.parseInt(op, 16) & 0x7f) } };
    else if (what.startsWith('sys_futex ->')) yield { ...step, futex: undefined };
  }
}

/** A thread woken by one that works for a session works for it: `busy` ones too; or idle ones, for all they do or their `first` call. */
function judge(steps: readonly Step[], rule: 'busy' | 'idle' | 'first'): string {
  const reading = new Map<number, string>();
  const handed = new Map<number, string>();
  const open = new Set<string>();
  const moves = new Set(steps.filter((step) => step.moved !== undefined).map((step) => step.tid));
  const live = (of: Map<number, string>, tid: number): string | undefined => {
    const rid = of.get(tid);
    return rid !== undefined && open.has(rid) ? rid : undefined;
  };
  let [right, wrong, none] = [0, 0, 0];
  for (const { tid, woken, moved } of steps) {
    if (woken !== undefined) {
      if (!moves.has(tid) || !moves.has(woken)) continue;
      const waiting = live(reading, woken);
      if (waiting !== undefined) {
        // It tells who waits for it that it is done.
        if (handed.get(tid) === waiting && rule !== 'busy') handed.delete(tid);
        continue;
      }
      const rid = live(reading, tid) ?? live(handed, tid);
      if (rid !== undefined && (rule === 'busy' || live(handed, woken) === undefined)) handed.set(woken, rid);
    } else if (moved?.inbound === true) {
      if (moved.read && moved.rid !== undefined) {
        reading.set(tid, moved.rid);
        open.add(moved.rid);
      } else if (!moved.read) open.delete(reading.get(tid) ?? '');
    } else if (moved?.read === false && moved.rid !== undefined) {
      const said = live(handed, tid);
      if (said === undefined) none += 1;
      else if (said === moved.rid) right += 1;
      else wrong += 1;
      if (rule === 'first') handed.delete(tid);
    }
  }
  return `precision ${percent(right, right + wrong)}, recall ${percent(right, right + wrong + none)}`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${(Math.floor((1000 * part) / whole) / 10).toFixed(1)}%`;
}

interface Call {
  readonly rid: string;
  readonly tid: number;
  readonly connection: number;
  readonly atUs: number;
  answeredAtUs: number;
  /** Sessions whose threads it woke when it had its answer. */
  readonly woke: Set<string>;
  said: string | undefined;
}

/**
 * The other way round: who has read an answer and then wakes a thread that waits for it has worked for that one's session. `written`:
 * that thread has slept since before the call was written; `read`: since before its answer was read. `after`: nor does it go on with
 * a call over the same connection, as who waited for that does. `between`: what is begun between two calls of a session is that session's too.
 */
function judgeBackward(steps: readonly Step[], rule: 'written' | 'read' | 'after' | 'between'): string {
  const reading = new Map<number, string>();
  const open = new Set<string>();
  const waits = new Map<number, { word: string; sinceUs: number }>();
  const wakes = new Map<number, string>();
  const last = new Map<number, Call>();
  /** By the thread that was woken: since then it did nothing. */
  const followed = new Map<number, Call>();
  const calls: Call[] = [];
  for (const step of steps) {
    const { atUs, tid, woken, moved } = step;
    if ('futex' in step) {
      waits.delete(tid);
      wakes.delete(tid);
      if (step.futex?.waits === true) waits.set(tid, { word: step.futex.word, sinceUs: atUs });
      else if (step.futex !== undefined) wakes.set(tid, step.futex.word);
    } else if (woken !== undefined) {
      const [call, wait, rid] = [last.get(tid), waits.get(woken), reading.get(woken)];
      if (call === undefined || wait === undefined || rid === undefined || !open.has(rid) || wakes.get(tid) !== wait.word) continue;
      if (call.answeredAtUs === 0 || wait.sinceUs > (rule === 'written' ? call.atUs : call.answeredAtUs)) continue;
      call.woke.add(rid);
      followed.set(woken, call);
    } else if (moved?.inbound === true) {
      if (moved.read && moved.rid !== undefined) {
        reading.set(tid, moved.rid);
        open.add(moved.rid);
      } else if (!moved.read) open.delete(reading.get(tid) ?? '');
    } else if (moved?.read === true) {
      const call = last.get(tid);
      if (call?.connection === moved.connection) call.answeredAtUs = atUs;
    } else if (moved?.rid !== undefined) {
      const before = followed.get(tid);
      if ((rule === 'after' || rule === 'between') && before?.connection === moved.connection) before.woke.delete(reading.get(tid) ?? '');
      followed.delete(tid);
      // What a request's own thread does is no riddle.
      if (open.has(reading.get(tid) ?? '')) continue;
      const call = { rid: moved.rid, tid, connection: moved.connection, atUs, answeredAtUs: 0, woke: new Set<string>(), said: undefined };
      last.set(tid, call);
      calls.push(call);
    }
  }
  for (const call of calls) if (call.woke.size === 1) [call.said] = call.woke;
  if (rule === 'between') {
    let before: Call | undefined;
    let unknown: Call[] = [];
    for (const call of calls) {
      if (call.said === undefined) unknown.push(call);
      else {
        if (before?.said === call.said) for (const each of unknown) each.said = call.said;
        before = call;
        unknown = [];
      }
    }
  }
  const said = calls.filter((call) => call.said !== undefined);
  const right = said.filter((call) => call.said === call.rid);
  const several = calls.filter((call) => call.woke.size > 1).length;
  return `precision ${percent(right.length, said.length)}, recall ${percent(right.length, calls.length)} (${said.length - right.length} wrong, ${several} woke several)`;
}

const tracefs = temporaryDir('tracefs');
execFileSync('mount', ['-t', 'tracefs', 'nodev', tracefs]);
try {
  for (const [language, way, pool, clients] of RUNS) {
    if ((process.argv[2] ?? language) !== language || (process.argv[3] ?? way) !== way) continue;
    const { steps, built } = await observe(language, way, pool, clients, tracefs);
    const wakes = steps.filter((step) => step.woken !== undefined).length;
    console.log(`${language}, ${way}, ${pool} threads in the pool, ${clients} clients, ${wakes} wake-ups:`);
    for (const rule of ['busy', 'idle', 'first'] as const) console.log(`  ${rule}: ${judge(steps, rule)}`);
    for (const rule of ['written', 'read', 'after', 'between'] as const) console.log(`  ${rule}: ${judgeBackward(steps, rule)}`);
    console.log(`  as built: ${built}`);
  }
} finally {
  writeFileSync(join(tracefs, 'set_event_pid'), '');
  execFileSync('umount', [tracefs]);
  removeDir(tracefs);
}
