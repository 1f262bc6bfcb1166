import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sessionJson } from '../../src/sessions/json.ts';
import type { Session } from '../../src/sessions/session.ts';
import { call, get, ok } from '../unit/replay/build.ts';
import { KOALA } from './recorder.ts';
import { AS_NOBODY, cannotReplayAsNobody, hiddenFromOthers } from './replay/nobody.ts';
import { cannotReplay, hostState, planned, PORT, processesWith, SERVICE } from './replay/stage.ts';
import { skipIf } from '../skip.ts';

const TO = '10.20.30.40:80';

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** Resolves when stdout or stderr holds `text`. */
  until(text: string): Promise<void>;
}

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}, wrapper: readonly string[] = []): Running {
  const [command = '', ...rest] = [...wrapper, KOALA, 'replay', ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  let stdout = '';
  let stderr = '';
  const waiting: { text: string; resolve: () => void }[] = [];
  const look = (): void => { for (const { text, resolve } of waiting) if (stdout.includes(text) || stderr.includes(text)) resolve(); };
  child.stdout.on('data', (text: Buffer) => { stdout += text.toString(); look(); });
  child.stderr.on('data', (text: Buffer) => { stderr += text.toString(); look(); });
  const outcome = new Promise<Outcome>((resolve) => child.on('close', (status) => { resolve({ status, stdout, stderr }); }));
  return { child, outcome, until: (text) => new Promise((resolve) => { waiting.push({ text, resolve }); look(); }) };
}

const run = (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> => start(args, environment).outcome;
const service = ['--', process.execPath, SERVICE, String(PORT)];

function good(id = 'aaaa', path = '/a'): Session {
  const request = get(path, 'api');
  return planned([{ to: TO, send: request, read: ok('one').length }], [ok('one')], [call({ to: TO, protocol: 'http', request, response: ok('one') })], { id });
}

/** A session whose service waits for an answer that never comes. */
function slow(id = 'bbbb'): Session {
  return planned([{ to: TO, send: 'hello', read: 1, timeoutMs: 60_000 }], [''], [call({ to: TO, request: 'hello' })], { id });
}

describe('koala-bpf replay', function () {
  this.timeout(90_000);
  let folder = '';
  let before = '';

  beforeEach(function () {
    skipIf(this, cannotReplay());
    folder = mkdtempSync(join(tmpdir(), 'koala-replay-'));
    chmodSync(folder, 0o755);
    before = hostState();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    rmSync(folder, { recursive: true });
    assert.equal(hostState(), before, 'the host\'s firewall, routes, mounts and named namespaces are as they were');
    assert.deepEqual(processesWith(SERVICE), [], 'no process of the service is left');
  });

  /** Session files: one indented document each, or all in one file, one a line. */
  function files(sessions: readonly Session[], how: 'indented' | 'lines' = 'lines'): string[] {
    const jsons = sessions.map((session) => sessionJson(session));
    if (how === 'lines') {
      const path = join(folder, 'sessions.jsonl');
      writeFileSync(path, jsons.map((json) => `${JSON.stringify(json)}\n`).join(''));
      return [path];
    }
    return jsons.map((json) => {
      const path = join(folder, `${json.id}.json`);
      writeFileSync(path, JSON.stringify(json, undefined, 2));
      return path;
    });
  }

  it('replays session files, prints only JSON lines on stdout with --json, and exits 0 when all are the same', async () => {
    for (const how of ['lines', 'indented'] as const) {
      const { status, stdout, stderr } = await run([...files([good('aaaa', '/a'), good('bbbb', '/b')], how), '--json', '--concurrency', '1', ...service]);
      assert.equal(status, 0, stderr);
      const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.deepEqual(lines.map(({ event, verdict, session }) => [event, verdict, session]), [['session', 'same', 'aaaa'], ['session', 'same', 'bbbb'], ['summary', undefined, undefined]]);
      assert.deepEqual({ ...lines[2], wallMs: 0 }, {
        event: 'summary', sessions: 2, same: 2, different: 0, skipped: 0, errors: 0, concurrency: 1, tracker: 'none', serialised: 0, again: 0, untied: 0, background: 0,
        ignored: 0, asked: 0, state: 0, cached: 0, flaky: 0, datagrams: 0, wallMs: 0,
      });
      assert.deepEqual(Object.keys(lines[0] ?? {}).sort(), ['calls', 'durationMs', 'event', 'file', 'ignored', 'noise', 'response', 'session', 'summary', 'verdict']);
    }
  });

  it('exits 1 when one differs, and says what', async () => {
    const { status, stdout } = await run([...files([good()]), ...service], { DEVIATE: 'status' });
    assert.equal(status, 1);
    assert.match(stdout, /✗ different aaaa .*\n {4}response\.status {2}changed\n {6}- 200\n {6}\+ 500\n/);
    assert.match(stdout, /1 session: 0 same, 1 different/);
  });

  it('plays only the sessions that were asked for, by a unique beginning of their id', async () => {
    const paths = files([good('aaaa'), good('abbb'), good('cccc')]);
    const some = await run([...paths, '--session', 'ab', '--session', 'c', '--json', ...service]);
    assert.match(some.stdout, /"sessions":2,"same":2/);
    const ambiguous = await run([...paths, '--session', 'a', ...service]);
    assert.deepEqual([ambiguous.status, ambiguous.stderr.split('\n').length], [2, 2]);
    assert.match(ambiguous.stderr, /aaaa, abbb/);
  });

  it('says the user\'s mistakes in one line and exits 2', async () => {
    const [path = ''] = files([good()]);
    const junk = join(folder, 'junk.json');
    writeFileSync(junk, '{"format": "something else"}');
    const mistakes: [string[], RegExp][] = [
      [[path], /needs the command/], [['/no/such/file', ...service], /no such file/], [[junk, ...service], /junk\.json|format/],
      [[path, '--session', 'zzzz', ...service], /zzzz/], [[path, '--sut', 'nowhere', ...service], /--sut nowhere/],
      [[path, '--threshold', '7', ...service], /--threshold/], [[path, '--startup-timeout', 'soon', ...service], /--startup-timeout/],
      [[path, '--', 'no-such-command-anywhere'], /no-such-command-anywhere/],
      [[folder, ...service], /of session files name each: .*\/\*\.json/],
    ];
    for (const [args, expected] of mistakes) {
      const { status, stdout, stderr } = await run(args);
      assert.deepEqual([status, stdout, stderr.trim().split('\n').length], [2, '', 1], `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, expected);
    }
  });

  it('exits 3 when nothing was compared: skipped sessions are no success', async () => {
    const incomplete = { ...good('aaaa'), certificate: { state: 'incomplete', lost: [{ connection: '1', direction: 'ingress', from: 0, bytes: 9, cause: 'ring-full' }], unseen: [] } } as const;
    const tls = { ...good('bbbb'), certificate: { state: 'incomplete', lost: [], unseen: [{ kind: 'tls', count: 1, detail: 'api.example.com' }] } } as const;
    const { status, stdout, stderr } = await run([...files([incomplete, tls]), ...service]);
    assert.equal(status, 3);
    assert.match(stdout, /skipped .*aaaa .*9 bytes missing \(ring-full\)/);
    assert.match(stdout, /skipped .*bbbb .*TLS inside \(api\.example\.com\)/);
    assert.match(stderr, /nothing was compared/);
    const nobody = join(folder, 'nobody.jsonl');
    writeFileSync(nobody, '');
    const empty = await run([nobody, '--json', ...service]);
    assert.deepEqual([empty.status, (JSON.parse(empty.stdout) as { sessions: number }).sessions], [3, 0]);
    assert.match(empty.stderr, /nothing was compared: no session was recorded in .*nobody\.jsonl/);
    const allowed = await run([...files([incomplete]), '--allow-incomplete', ...service]);
    assert.equal(allowed.status, 0, allowed.stdout + allowed.stderr);
  });

  it('exits 3 when the service never listens, and says what it had asked for', async () => {
    const never = await run([...files([good()]), '--startup-timeout', '1500ms', ...service], { WARM_UP: '10.1.1.1:6379|PING~|99', LISTEN: '127.0.0.1' });
    assert.equal(never.status, 3);
    assert.match(never.stderr, /did not listen on port 18080 within 1\.5 s; it asked 10\.1\.1\.1:6379/);
    const ended = await run([...files([good()]), '--', 'sh', '-c', `: ${SERVICE}; exit 7`]);
    assert.equal(ended.status, 3);
    assert.match(ended.stderr, /ended \(exit 7\) before it listened/);
  });

  it('answers what the service asks while it starts from the recording', async () => {
    const request = get('/a', 'api').replaceAll('\r\n', '~');
    const { status, stderr } = await run([...files([good()]), ...service], { WARM_UP: `${TO}|${request}|${ok('one').length}`, WARM_UP_MUST: ok('one') });
    assert.equal(status, 0, stderr);
  });

  it('reports a service that dies, and does not hang', async () => {
    const path = join(folder, 'never');
    const dying = `const { spawn } = require("child_process"); const c = spawn(process.execPath, ["${SERVICE}", "${PORT}"], { stdio: "inherit" });`
      + ` setInterval(() => { if (!require("fs").existsSync("${path}.reached")) return; c.kill("SIGKILL"); process.exit(5); }, 20)`;
    const waits = planned([{ to: `file:${path}`, send: '', read: 0 }], ['there'], [], { id: 'bbbb' });
    const { status, stdout } = await run([...files([good('aaaa'), waits, good('cccc')]), '--answer-timeout', '60s', '--concurrency', '1', '--', process.execPath, '-e', dying]);
    assert.equal(status, 1);
    assert.match(stdout, /same +aaaa/);
    assert.match(stdout, /error +bbbb/);
    assert.match(stdout, /error +cccc .*the service has ended \(exit 5\)/);
  });

  it('ends a service that ignores SIGTERM, and what it started in the background', async () => {
    const script = `trap "" TERM; (setsid ${process.execPath} ${SERVICE} ${PORT + 1} &); ${process.execPath} ${SERVICE} ${PORT}; sleep 60 # ${SERVICE}`;
    const { status } = await run([...files([good()]), '--', 'sh', '-c', script]);
    assert.equal(status, 0);
  });

  it('undoes everything at SIGINT, says how far it came, and exits 130', async () => {
    const running = start([...files([good('aaaa'), slow('bbbb')]), '--concurrency', '1', ...service]);
    await running.until('aaaa');
    running.child.kill('SIGINT');
    const { status, stderr } = await running.outcome;
    assert.equal(status, 130);
    assert.match(stderr, /interrupted; 1 of 2 sessions were not played/);
  });

  it('leaves nothing behind when it is killed', async () => {
    const running = start([...files([good('aaaa'), slow('bbbb')]), '--concurrency', '1', ...service]);
    await running.until('aaaa');
    assert.notDeepEqual(processesWith(SERVICE), []);
    running.child.kill('SIGKILL');
    await running.outcome;
    for (let look = 0; look < 200 && processesWith(SERVICE).length > 0; look += 1) await new Promise((resolve) => { setTimeout(resolve, 20); });
  });

  it('runs twice at once on one host, each in the midst of its own', async () => {
    const [path = ''] = files([good('aaaa'), slow('bbbb')]);
    const [one, other] = [start([path, '--concurrency', '1', ...service]), start([path, '--concurrency', '1', ...service])];
    await Promise.all([one.until('aaaa'), other.until('aaaa')]);
    one.child.kill('SIGINT');
    assert.equal((await one.outcome).status, 130);
    // The end of the one takes nothing away from the other.
    const [fine] = files([good('cccc')], 'indented');
    assert.equal((await run([fine ?? '', ...service])).status, 0);
    assert.equal(other.child.exitCode, null);
    other.child.kill('SIGINT');
    assert.equal((await other.outcome).status, 130);
  });

  it('runs the service as the user who called sudo, with that user\'s groups', async function () {
    skipIf(this, hiddenFromOthers());
    const asks = `id -u >&2; id -G >&2; echo HOME=$HOME SUDO=\${SUDO_UID-none} >&2; exec ${process.execPath} ${SERVICE} ${PORT}`;
    const { status, stderr } = await run([...files([good()]), '--', 'sh', '-c', asks], { SUDO_UID: '65534', SUDO_GID: '65534', SUDO_USER: 'nobody' });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^65534\n65534\nHOME=\S+ SUDO=none\n/m);
  });

  it('works as an ordinary user too: the service is that user, and reaches nothing real by a unix socket', async function () {
    skipIf(this, cannotReplayAsNobody());
    const [real, played] = [join(folder, 'real.sock'), join(folder, 'db', 'played.sock')];
    let connections = 0;
    const server = createServer((socket) => { connections += 1; socket.end('real'); });
    await new Promise<void>((resolve) => { server.listen({ path: real, readableAll: true, writableAll: true }, resolve); });
    const request = get('/a', 'db');
    const paths = files([good(), planned(
      [{ to: `unix:${real}`, send: 'x', read: 4 }, { to: `unix:${played}`, send: request, read: ok('one').length }], ['ECONNREFUSED', ok('one')],
      [call({ to: `unix:${played}`, protocol: 'http', request, response: ok('one') })], { id: 'bbbb' })]);
    for (const path of paths) chmodSync(path, 0o644);
    const asks = `id -u >&2; exec ${process.execPath} ${SERVICE} ${PORT}`;
    const { status, stdout, stderr } = await start([...paths, '--', 'sh', '-c', asks], { HOME: folder }, AS_NOBODY).outcome;
    server.close();
    assert.equal(status, 0, stdout + stderr);
    assert.match(stderr, /^65534$/m);
    assert.equal(connections, 0);
  });
});
