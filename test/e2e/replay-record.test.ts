import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sessionJson } from '../../src/sessions/json.ts';
import { call, get, ok } from '../unit/replay/build.ts';
import { exported, koala, koalaOk, Recorder, whyNotRecordable } from './recorder.ts';
import { answering, type Answering } from './replay/answering.ts';
import { allSaid, lessProven, withoutEvidence, type Said } from './replay/fixed-point.ts';
import { until } from './replay/running.ts';
import { AS_NOBODY, hiddenFromOthers } from './replay/nobody.ts';
import { cannotReplay, planned, planRequest, PORT, processesWith, SERVICE, THREADS, type Step } from './replay/stage.ts';
import { Clients } from './services/client.ts';
import { accepts, freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { redisServer } from './services/dependency.ts';
import { gunicorn } from './services/gunicorn.ts';
import { ridMaker } from './services/rid.ts';
import { skipIf } from '../skip.ts';

const COUNT = 80;
const AT_ONCE = 8;
/** So many begin before enough of them have overlapped: of these, some may be given out without proof on a slow machine. */
const EARLY = 24;
/** So long the made dependency takes: requests overlap, by which it is proven that threads serve one each. */
const ANSWER_MS = 5;
const KOALA = fileURLToPath(new URL('../../bin/koala-bpf', import.meta.url));
/** The header that gunicorn makes itself. */
const DATE = /(?<=\r\nDate: )[^\r]*/;

interface ReplaySummaryJson {
  readonly sessions: number;
  readonly same: number;
  readonly skipped: number;
  readonly concurrency: number;
  readonly again: number;
  readonly tracker: string;
  readonly recording?: { readonly dir: string; readonly connections: number; readonly bytes: number; readonly lost: { readonly bytes: number } };
}

/** Replays, all sessions must be the same, and gives the summary. */
async function replayed(dir: string, flags: readonly string[], command: readonly string[]): Promise<ReplaySummaryJson> {
  const { exit, stdout, stderr } = await koala(['replay', dir, '--json', ...flags, '--', ...command], 120_000);
  const differing = stdout.filter((line) => !line.includes('"verdict":"same"') || line.includes('"verdict":"different"'));
  assert.equal(exit, 0, `${differing.slice(0, 3).join('\n').slice(0, 3_000)}\n${stderr.slice(-2_000)}`);
  return JSON.parse(stdout.at(-1) ?? '') as ReplaySummaryJson;
}

/** Of the same session played more than once, the last time. */
const newest = (played: readonly Said[]): Said[] => [...played].sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1)).slice(-1);

/**
 * `dir` is replayed and recorded at once; the recording holds the same sessions, and can itself be replayed. `command` starts the
 * service, whose dependencies are gone. `handsOver`: its connections move between threads, so that the first sessions' ties need proof.
 */
async function proveFixedPoint(dir: string, concurrency: number, command: readonly string[], { own, handsOver = false }: { readonly own?: RegExp; readonly handsOver?: boolean } = {}): Promise<void> {
  const again = `${dir}-${concurrency}`;
  const first = await replayed(dir, ['--concurrency', String(concurrency), '--latency', 'recorded', '--record', again], command);
  assert.equal(first.concurrency, concurrency);
  assert.equal(first.tracker === 'none', concurrency === 1);
  assert.equal(first.recording?.dir, again);
  assert.equal(first.recording.lost.bytes, 0);
  assert.equal(statSync(again).mode & 0o777, 0o700);
  const [originals, copies] = [(await exported(dir)).sessions, (await exported(again)).sessions];
  assert.equal(first.same, originals.length);
  // On a slow machine one or the other is played again, alone (docs/replay.md): what it said then counts.
  assert.equal(copies.length, originals.length + first.again);
  const [one, all] = [allSaid(originals, own), allSaid(copies, own)];
  const other = one.flatMap(({ request }) => newest(all.filter((copy) => copy.request === request)));
  const begun = [...other].sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1)).slice(EARLY);
  for (const [n, original] of one.entries()) {
    const copy = other[n];
    const isLate = copy !== undefined && begun.includes(copy);
    if (isLate || !handsOver) assert.deepEqual(copy && withoutEvidence(copy), withoutEvidence(original));
    // That threads serve a request each can't be proven where no two are served at once (docs/derivation.md).
    if (isLate && concurrency > 1) assert.equal(lessProven(original, copy), 0, JSON.stringify([original, copy]).slice(0, 4_000));
  }
  const proven = one.filter(({ calls }) => calls.some(({ certainty }) => certainty === 'proven'));
  assert.ok(proven.length >= one.length - EARLY, `${proven.length} of ${one.length} originals have proven calls`);
  const third = `${again}-again`;
  const second = await replayed(again, ['--concurrency', String(concurrency), ...(concurrency === 1 ? ['--record', third] : [])], command);
  assert.ok(second.same >= originals.length - (handsOver ? EARLY : 0), `${second.same} of ${originals.length} were played again`);
  assert.equal(second.same + second.skipped, copies.length);
  assert.equal(second.recording?.dir, concurrency === 1 ? third : undefined);
  // Both played one at a time: nothing overlapped in either, so each call is tied by the same evidence, and as surely.
  if (concurrency === 1) {
    const timeless = (one: Said): Said => ({ ...one, startedAt: '' });
    assert.deepEqual(allSaid((await exported(third)).sessions, own).map(timeless), other.map(timeless));
  }
}

/** Answers each request with a number that grows, as long as the last one; the one for /the-same always with the same. */
function counter(): Promise<Answering> {
  let count = 1_000;
  return answering((request) => ok(request.includes('/the-same') ? 'count same' : `count ${count += 1}`), ANSWER_MS);
}

describe('replay --record', function () {
  this.timeout(240_000);
  let folder = '';

  beforeEach(async function () {
    skipIf(this, cannotReplay() ?? await whyNotRecordable());
    folder = temporaryDir('fixed-point');
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    removeDir(folder);
    assert.deepEqual([...processesWith(SERVICE), ...processesWith(THREADS)], [], 'no process of the service is left');
  });

  it('records sessions that equal the replayed ones in bytes and ties, and replay the same again: threads with HTTP and Redis, 1 and 8 at a time', async () => {
    const dir = join(folder, 'rec');
    const [http, redis, port] = [await counter(), await redisServer(), await freePort()];
    const command = ['python3', THREADS, String(port), String(AT_ONCE), '4'];
    let recorder: Recorder | undefined;
    const clients = new Clients(port, AT_ONCE, { keepAlive: false });
    try {
      recorder = await Recorder.run(command, dir);
      await until('the service to listen', () => accepts(port));
      const to = { keep: 'pool', redis: `127.0.0.1:${redis.port}` };
      const ridAt = ridMaker();
      const asked = Array.from({ length: COUNT }, (_, n) => {
        const rid = ridAt(n);
        const steps: Step[] = [
          { to: http.to, send: get(`/count/${rid}`, 'api'), read: ok('count 1000').length, keep: to.keep },
          { to: to.redis, send: `SET ${rid} ${rid}\r\n`, read: 5, keep: to.keep },
          { to: to.redis, send: `GET ${rid}\r\n`, read: 5 + rid.length + 2, keep: to.keep },
          { to: http.to, send: get('/the-same', 'api'), read: ok('count 1000').length },
        ];
        return { rid, target: planRequest(steps).split(' ')[1] ?? '' };
      });
      await clients.send(asked);
      clients.close();
      await recorder.stop();
      http.stop();
      await redis.stop();
      for (const concurrency of [1, AT_ONCE]) await proveFixedPoint(dir, concurrency, command);
    } finally {
      recorder?.kill();
      clients.close();
      http.stop();
      await redis.stop();
    }
  });

  it('records sessions that equal the replayed ones in bytes and ties, and replay the same again: gunicorn with HTTP, PostgreSQL and Redis, 8 at a time', async () => {
    const dir = join(folder, 'rec');
    let service: Awaited<ReturnType<typeof gunicorn>> | undefined = await gunicorn({ worker: 'gthread', sql: 'tcp' });
    const clients = new Clients(service.port, AT_ONCE, { keepAlive: service.keepAlive });
    let recorder: Recorder | undefined;
    let restored: string | undefined;
    try {
      const { ask, parts } = service;
      const pid = parts[0]?.pid ?? 0;
      const words = (file: string): string[] => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').filter((word) => word !== '');
      const [line, environment] = [words('cmdline'), words('environ')];
      const temporary = line[line.indexOf('--worker-tmp-dir') + 1] ?? '';
      const command = ['env', '-i', '-C', dirname(temporary), ...environment, ...line];
      recorder = await Recorder.attach([pid], dir);
      const ridAt = ridMaker();
      // Not those that make a call after the answer: whose that is, is never proven.
      await clients.send(Array.from({ length: COUNT }, (_, n) => ask(ridAt(n), n % 8 === 3 ? n + 1 : n)));
      await sleep(300);
      clients.close();
      await recorder.stop();
      // Its own folder goes with it; the same service is to be started again.
      execFileSync('cp', ['-a', temporary, join(folder, 'kept')]);
      await service.stop();
      service = undefined;
      renameSync(join(folder, 'kept'), temporary);
      restored = temporary;
      await proveFixedPoint(dir, AT_ONCE, command, { own: DATE, handsOver: true });
    } finally {
      recorder?.kill();
      clients.close();
      await service?.stop();
      if (restored !== undefined) removeDir(restored);
    }
  });

  /** A file of one session that the event loop beside the tests can be asked for. */
  function sessionFile(): string {
    const request = get('/a', 'api');
    const step = { to: '10.20.30.40:80', send: request, read: ok('one').length };
    const one = planned([step], [ok('one')], [call({ to: step.to, protocol: 'http', request, response: ok('one') })]);
    const file = join(folder, 'session.ndjson');
    writeFileSync(file, `${JSON.stringify(sessionJson(one))}\n`);
    return file;
  }
  const service = ['--', process.execPath, SERVICE, String(PORT)];

  it('records the service from its start and nothing of the replayer, says where on stderr, and goes on in a recording of ours', async () => {
    const [file, dir] = [sessionFile(), join(folder, 'rec')];
    for (const round of [1, 2]) {
      const { exit, stdout, stderr } = await koala(['replay', file, '--record', dir, ...service]);
      assert.equal(exit, 0, stderr);
      assert.ok(stderr.includes(`koala-bpf ls ${dir}`), stderr);
      assert.ok(!stdout.join('\n').includes(dir), 'stdout is for the verdicts');
      const { sessions, ambient } = await exported(dir);
      assert.deepEqual(sessions.map(({ outbound }) => outbound.map(({ connection }) => connection.remote)), Array(round).fill(['10.20.30.40:80']));
      assert.deepEqual(ambient, []);
      const ends = (await koalaOk(['connections', dir, '--json'])).map((line) => (JSON.parse(line) as { role: string }).role).sort();
      assert.deepEqual(ends, [...Array<string>(round).fill('inbound'), ...Array<string>(round).fill('outbound')], 'the client\'s and the proxy\'s ends are not recorded');
    }
  });

  it('keeps what was recorded when it is interrupted, and when the service never listens', async () => {
    const [file, dir] = [sessionFile(), join(folder, 'rec')];
    const hanging = planned([{ to: '10.20.30.40:81', send: 'hello', read: 1, timeoutMs: 60_000 }], [''], [call({ to: '10.20.30.40:81', request: 'hello' })], { id: 'hanging' });
    writeFileSync(file, `${readFileSync(file, 'utf8')}${JSON.stringify(sessionJson(hanging))}\n`);
    const child = spawn(KOALA, ['replay', file, '--record', dir, '--concurrency', '1', '--json', ...service], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stderr.on('data', (text: Buffer) => { stderr += text.toString(); });
    child.stdout.once('data', () => { child.kill('SIGINT'); }).on('data', (text: Buffer) => { stdout += text.toString(); });
    const [status] = await once(child, 'close') as [number | null];
    assert.equal(status, 130, stderr);
    assert.match(stdout, /"verdict":"same"[^]*"recording":\{"dir":/);
    const { sessions } = await exported(dir);
    assert.equal(sessions[0]?.certificate.state, 'complete');
    const never = await koala(['replay', file, '--record', `${dir}-2`, '--startup-timeout', '1s', '--', 'sleep', '30']);
    assert.equal(never.exit, 3, never.stderr);
    assert.match(never.stderr, /koala-bpf ls .*rec-2\n[^]*did not listen on port/);
    assert.deepEqual((await exported(`${dir}-2`)).sessions, []);
  });

  it('refuses a foreign folder, the recording it replays and a service that runs already with 2, and starts nothing', async () => {
    const file = sessionFile();
    const foreign = join(folder, 'foreign');
    execFileSync('mkdir', [foreign]);
    writeFileSync(join(foreign, 'letter.txt'), 'dear');
    const started = join(folder, 'started');
    const refusals: [string[], RegExp][] = [
      [[file, '--record', foreign, '--', 'touch', started], /foreign is no recording: it holds "letter\.txt"/],
      [[file, '--record', file, '--', 'touch', started], /that is the recording that is replayed/],
      [[file, '--record', join(folder, 'rec'), '--pid', '1'], /--record is for a service that replay starts/],
    ];
    for (const [args, reason] of refusals) {
      const { exit, stderr } = await koala(['replay', ...args]);
      assert.equal(exit, 2, stderr);
      assert.match(stderr, reason);
    }
    assert.deepEqual([existsSync(started), existsSync(join(folder, 'rec'))], [false, false]);
  });

  it('is refused with 3 to an ordinary user, before anything is played', function () {
    const file = sessionFile();
    chmodSync(folder, 0o755);
    skipIf(this, hiddenFromOthers());
    const [become, ...nobody] = AS_NOBODY;
    const { status, stdout, stderr } = spawnSync(become, [...nobody, KOALA, 'replay', file, '--record', join(folder, 'rec'), ...service],
      { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 3, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, /Recording needs root/);
  });

  it('makes a folder that belongs to the user who called', async function () {
    const [file, dir] = [sessionFile(), join(folder, 'rec')];
    chmodSync(folder, 0o755);
    skipIf(this, hiddenFromOthers());
    const environment = { ...process.env, SUDO_UID: '65534', SUDO_GID: '65534', SUDO_USER: 'nobody' };
    const { status, stderr } = spawnSync(KOALA, ['replay', file, '--record', dir, ...service], { encoding: 'utf8', timeout: 60_000, env: environment });
    assert.equal(status, 0, stderr);
    assert.deepEqual([statSync(dir).uid, statSync(dir).gid, statSync(dir).mode & 0o777], [65_534, 65_534, 0o700]);
    assert.equal((await exported(dir)).sessions.length, 1);
  });
});
