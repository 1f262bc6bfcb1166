/**
 * Would "who woke whom" tell whose call it is that a pool's thread makes? A recorded service hands its calls to a pool, while tracefs
 * notes each sched_waking of its threads; then rules are tried on both, and held against the ids in the calls. Run as root:
 * `node --import tsx bench/handed-over.ts`. What came of it: docs/decisions/handed-over.md.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openRecording } from '../src/store/recording.ts';
import { Recorder } from '../test/e2e/recorder.ts';
import { Clients } from '../test/e2e/services/client.ts';
import { accepts, Daemon, freePort, removeDir, temporaryDir } from '../test/e2e/services/daemon.ts';
import { httpUpstream } from '../test/e2e/services/dependency.ts';
import { RID, ridMaker } from '../test/e2e/services/rid.ts';

const REQUESTS = 600;
const RUNS = [
  ['java', 32, 1], ['java', 32, 4], ['java', 64, 16], ['java', 8, 16], ['python', 32, 1], ['python', 32, 4], ['python', 8, 16],
] as const;

interface Step {
  readonly atUs: number;
  readonly tid: number;
  /** A wake-up: of this thread. */
  readonly woken?: number;
  /** What was read or written, and where. */
  readonly moved?: { readonly inbound: boolean; readonly read: boolean; readonly rid: string | undefined };
}

async function observe(language: 'java' | 'python', pool: number, clients: number, tracefs: string): Promise<Step[]> {
  const dir = temporaryDir('handed');
  const [upstream, port] = await Promise.all([httpUpstream(), freePort()]);
  const program = fileURLToPath(new URL(`handed-over/${language === 'java' ? 'Handed.java' : 'handed.py'}`, import.meta.url));
  const daemon = await Daemon.start({
    name: 'handed', command: language === 'java' ? 'java' : 'python3', args: [program], dir, readyMs: 60_000, ready: () => accepts(port),
    env: { HANDED_UPSTREAM_PORT: String(upstream.port), HANDED_POOL: String(pool), HANDED_PORT: String(port) },
  });
  const callers = new Clients(port, clients, { keepAlive: true });
  try {
    const rid = ridMaker();
    const ask = (index: number): { rid: string; target: string } => ({ rid: rid(index), target: `/work/${rid(index)}?calls=${1 + (index % 3)}` });
    // First the pool's threads are made.
    await callers.send(Array.from({ length: 4 * pool }, (_, index) => ask(REQUESTS + index)));
    const set = (file: string, value: string): void => writeFileSync(join(tracefs, file), value);
    set('trace_clock', 'mono');
    set('buffer_size_kb', '20000');
    set('trace', '');
    set('set_event_pid', readdirSync(`/proc/${daemon.pid}/task`).join(' '));
    const recorder = await Recorder.attach([daemon.pid], join(dir, 'rec'));
    set('events/sched/sched_waking/enable', '1');
    await callers.send(Array.from({ length: REQUESTS }, (_, index) => ask(index)));
    set('events/sched/sched_waking/enable', '0');
    await recorder.stop();
    return [...recorded(join(dir, 'rec'), upstream.port), ...traced(join(dir, 'rec'), join(tracefs, 'trace'))].sort((a, b) => a.atUs - b.atUs);
  } finally {
    callers.close();
    await daemon.stop();
    await upstream.stop();
    removeDir(dir);
  }
}

function* recorded(dir: string, upstreamPort: number): Generator<Step> {
  const outbound = new Set<number>();
  for (const event of openRecording(dir).events()) {
    if (event.kind === 'open' && event.remote.port === upstreamPort) outbound.add(event.connection);
    if (event.kind !== 'data') continue;
    const rid = Buffer.from(event.bytes).toString('latin1').match(RID)?.[0];
    yield { atUs: event.atUs, tid: event.tid, moved: { inbound: !outbound.has(event.connection), read: event.direction === 'ingress', rid } };
  }
}

function* traced(dir: string, trace: string): Generator<Step> {
  const { header } = openRecording(dir);
  if (header === undefined) throw new Error('the recording has no header');
  const offsetUs = Number(header.unixNs - header.monotonicNs) / 1000;
  for (const [, waker, seconds, woken] of readFileSync(trace, 'latin1').matchAll(/-(\d+)\s+\[\d+\] \S+\s+([\d.]+): sched_waking: comm=.* pid=(\d+) /g)) {
    yield { atUs: Number(seconds) * 1e6 + offsetUs, tid: Number(waker), woken: Number(woken) };
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
  const percent = (part: number, whole: number): string => (whole === 0 ? '–' : `${(Math.floor((1000 * part) / whole) / 10).toFixed(1)}%`);
  return `precision ${percent(right, right + wrong)}, recall ${percent(right, right + wrong + none)}`;
}

const tracefs = temporaryDir('tracefs');
execFileSync('mount', ['-t', 'tracefs', 'nodev', tracefs]);
try {
  for (const [language, pool, clients] of RUNS) {
    const steps = await observe(language, pool, clients, tracefs);
    const wakes = steps.filter((step) => step.woken !== undefined).length;
    console.log(`${language}, ${pool} threads in the pool, ${clients} clients, ${wakes} wake-ups:`);
    for (const rule of ['busy', 'idle', 'first'] as const) console.log(`  ${rule}: ${judge(steps, rule)}`);
  }
} finally {
  writeFileSync(join(tracefs, 'set_event_pid'), '');
  execFileSync('umount', [tracefs]);
  removeDir(tracefs);
}
