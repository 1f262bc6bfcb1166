import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bytesOf } from '../../src/replay/calls.ts';
import { load } from '../../src/replay/load.ts';
import type { MockedCall, MockSummary } from '../../src/replay/mocked.ts';
import type { Session } from '../../src/sessions/session.ts';
import { call, get, ok, session } from '../unit/replay/build.ts';
import { koala, whyNotRecordable } from './recorder.ts';
import { startMock, type Outcome } from './replay/command.ts';
import { cannotReplay, hostState, PORT, processesWith, SERVICE, planRequest } from './replay/stage.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { pythonBuild, pythonStack } from './stacks/python.ts';
import { recordWhole } from './stacks/recorded.ts';
import { skipIf } from '../skip.ts';

const RUNNER = fileURLToPath(new URL('replay/runner.mjs', import.meta.url));
const API = '10.20.30.40:80';

const recorded = (...answers: readonly (readonly [string, string])[]): Session =>
  session({ id: 'aaaa', request: get('/'), response: ok('x'), calls: answers.map(([path, answer], at) => call({ to: API, protocol: 'http', request: get(path, 'api'), response: ok(answer), atMs: at })) });

const run = (sessions: readonly Session[], args: readonly string[], script: string): Promise<Outcome> => startMock(sessions, [...args, '--', 'sh', '-c', script]).outcome;
/** Asks as the recorded service did: curl says more of itself. */
const ask = (path: string, to = 'http://10.20.30.40'): string => `curl -s --max-time 20 -H 'User-Agent:' -H 'Accept:' -H 'Host: api' ${to}${path}`;

interface Told {
  readonly calls: readonly MockedCall[];
  readonly summary: MockSummary;
}

function told(stdout: string): Told {
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as MockedCall | MockSummary);
  return { calls: lines.flatMap((line) => (line.event === 'call' ? [line] : [])), summary: lines.at(-1) as MockSummary };
}

describe('koala-bpf mock', function () {
  this.timeout(120_000);
  let hostBefore = '';

  beforeEach(function () {
    skipIf(this, cannotReplay());
    hostBefore = hostState();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    assert.equal(hostState(), hostBefore, 'the host\'s firewall, routes, mounts and named namespaces are as they were');
    assert.deepEqual(processesWith(SERVICE), [], 'no process of the service is left');
  });

  it('answers the calls of a command, whose output and status are its own, and says so in a line', async () => {
    const { status, stdout, stderr } = await run([recorded(['/a', 'one'], ['/b', 'two'])], [], `${ask('/b')}; ${ask('/a')}; ${ask('/a')}; exit 0`);
    assert.deepEqual([status, stdout], [0, 'twooneone'], stderr);
    assert.equal(stderr, 'koala-bpf: ✓ 3 calls: 3 answered as recorded (1 once more than recorded); 0 of 2 recorded calls not asked for\n');
    assert.equal((await run([recorded(['/a', 'one'])], [], `${ask('/a')}; exit 42`)).status, 42);
    assert.equal((await run([recorded(['/a', 'one'])], [], 'kill -9 $$')).status, 137);
  });

  it('ends with 1 where a call had no answer, though the command ends with 0, and names it with the nearest recorded one; with the command\'s own status where that is another', async () => {
    const { status, stdout, stderr } = await run([recorded(['/a', 'one'])], [], `${ask('/c')}; true`);
    assert.equal(status, 1);
    assert.match(stdout, /no recorded answer at 10\.20\.30\.40:80 for GET \/c/);
    assert.match(stderr, /✗ 1 call: 1 without an answer/);
    assert.match(stderr, /✗ GET \/c to 10\.20\.30\.40:80: no recorded call is the same\n {6}nearest, \d+% alike: GET \/a {2}\(session aaaa\)\n {8}request\.path {2}changed/);
    assert.match(stderr, /ended with status 0; ours is 1/);
    assert.equal((await run([recorded(['/a', 'one'])], [], `${ask('/c')}; exit 5`)).status, 5);
  });

  it('prints a line a call and a summary with --json, and nothing else on stdout', async () => {
    const { status, stdout, stderr } = await run([recorded(['/a', 'one'], ['/a', 'two'], ['/z', 'three'])], ['--json', '--repeat', 'cycle'], `${[1, 2, 3].map(() => ask('/a')).join(';')}; ${ask('/c')}`);
    assert.equal(status, 1);
    assert.match(stderr, /onetwoone/);
    const { calls, summary } = told(stdout);
    assert.deepEqual(calls.map(({ verdict, how, summary: text, repeated }) => [verdict, how, text, repeated]), [
      ['same', 'exact', 'GET /a', undefined], ['same', 'exact', 'GET /a', undefined], ['same', 'exact', 'GET /a', true], ['new', 'none', 'GET /c', undefined],
    ]);
    assert.deepEqual(calls[0]?.recorded, { session: 'aaaa', summary: 'GET /a' });
    assert.deepEqual({ ...summary, wallMs: 0 }, {
      event: 'summary', exitStatus: 0, calls: 4, same: 3, different: 0, passed: 0, new: 1, repeated: 1, how: { exact: 3, none: 1 }, recorded: 3, unused: 1, leftOut: {}, wallMs: 0,
    });
  });

  it('leaves a command\'s own listeners to it: who waits until its service is up does, and none of that is a call', async () => {
    const script = `"${process.execPath}" "${SERVICE}" ${PORT} & until curl -s -o /dev/null http://localhost:${PORT}/run/W10; do sleep 0.05; done
      curl -s http://127.0.0.1:${PORT}${planRequest([{ to: API, send: get('/a', 'api'), read: ok('one').length }]).split(' ')[1]}`;
    const { status, stdout, stderr } = await run([recorded(['/a', 'one'])], [], script);
    assert.deepEqual([status, JSON.parse(stdout)], [0, { results: [ok('one')] }], stderr);
    assert.match(stderr, /✓ 1 call: 1 answered as recorded; 0 of 1/);
  });

  it('names what was asked of this host where nobody listened, and of others where nothing was recorded', async () => {
    const { status, stdout } = await run([recorded(['/a', 'one'])], ['--json'], `curl -s http://127.0.0.1:9; ${ask('/', 'http://10.9.9.9')}; exec 3<>/dev/null; timeout 1 "${process.execPath}" -e 'net.connect(3306, "10.9.9.8")'; true`);
    assert.equal(status, 1);
    assert.deepEqual(told(stdout).calls.map(({ verdict, destination, summary, because }) => [verdict, destination, summary, because]).sort(), [
      ['new', '10.9.9.8:3306', 'connect', 'nothing was recorded there, and nothing was said'], ['new', '10.9.9.9:80', 'GET /', 'nothing was recorded there'],
      ['new', '127.0.0.1:9', 'connect', 'nothing was recorded there, and nothing in the command listened'],
    ]);
  });

  it('refuses a connection that was refused when recorded, each time, and that is no call without an answer', async () => {
    const one = session({ request: get('/'), response: ok('x'), calls: [call({ to: '10.20.30.41:81', end: { kind: 'refused', by: 'remote' } })] });
    const { status, stdout } = await run([one], ['--json'], 'for i in 1 2 3; do curl -s http://10.20.30.41:81; [ $? = 7 ] || exit 9; done');
    assert.equal(status, 0, stdout);
    assert.deepEqual(told(stdout).calls.map(({ verdict, how, times, summary }) => [verdict, how, times, summary]), [['same', 'refused', 3, 'connect (refused)']]);
  });

  it('plays recorded unix sockets', async () => {
    const one = session({ request: get('/'), response: ok('x'), calls: [call({ to: 'unix:/run/koala-mock/api.sock', protocol: 'http', request: get('/a', 'api'), response: ok('by path') })] });
    const { status, stdout, stderr } = await run([one], [], ask('/a', '--unix-socket /run/koala-mock/api.sock http://api'));
    assert.deepEqual([status, stdout], [0, 'by path'], stderr);
  });

  describe('with a way to the real world', () => {
    let server: Server;
    let real = '';

    before(async () => {
      server = createHttpServer((request, response) => { response.end(`real ${request.url}`); });
      await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
      real = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    after(() => server.close());

    it('asks the real one what nothing recorded answers, with --on-miss passthrough, and that is an answer; where nobody is there it is none', async () => {
      const at = real.slice('http://'.length);
      const one = session({ request: get('/'), response: ok('x'), calls: [call({ to: at, protocol: 'http', request: get('/a', 'api'), response: ok('taped') })] });
      const { status, stdout, stderr } = await run([one], ['--json', '--on-miss', 'passthrough'], `${ask('/a', real)}; ${ask('/b', real)}`);
      assert.equal(status, 0, stderr);
      assert.match(stderr, /taped/);
      assert.match(stderr, /real \/b/);
      assert.deepEqual(told(stdout).calls.map(({ verdict, summary }) => [verdict, summary]), [['same', 'GET /a'], ['passed', 'GET /b']]);
      const nobody = '127.0.0.1:1';
      const two = session({ request: get('/'), response: ok('x'), calls: [call({ to: nobody, protocol: 'http', request: get('/a', 'api'), response: ok('taped') })] });
      const gone = await run([two], ['--json', '--on-miss', 'passthrough'], `${ask('/c', `http://${nobody}`)}; true`);
      assert.deepEqual([gone.status, told(gone.stdout).calls.map(({ verdict }) => verdict)], [1, ['new']], gone.stderr);
      // To where nothing was recorded, the whole connection is.
      const other = await run([recorded(['/a', 'one'])], ['--json', '--on-miss', 'passthrough'], `${ask('/d', real)}`);
      assert.deepEqual([other.status, told(other.stdout).calls.map(({ verdict, summary }) => [verdict, summary])], [0, [['passed', 'connect']]], other.stderr);
      assert.match(other.stderr, /real \/d/);
    });

    it('lets through what --bypass names, and reaches nothing else that is real', async () => {
      const { status, stdout, stderr } = await run([recorded(['/a', 'one'])], ['--bypass', real.slice('http://'.length)], `${ask('/x', real)}; ${ask('/a')}`);
      assert.deepEqual([status, stdout], [0, 'real /xone'], stderr);
      const without = await run([recorded(['/a', 'one'])], [], `${ask('/x', real)} || exit 3`);
      assert.deepEqual([without.status, without.stdout], [3, '']);
    });
  });

  describe('hands signals to its command', () => {
    for (const [name, trapped] of [['SIGTERM', 'TERM'], ['SIGINT', 'INT']] as const) {
      it(`${name}, and ends with its status`, async () => {
        const { child, outcome } = startMock([recorded(['/a', 'one'])], ['--', 'sh', '-c', `trap 'echo heard; exit 6' ${trapped}; echo up; while :; do sleep 0.05; done`]);
        await new Promise<void>((resolve) => { child.stdout?.on('data', (text: Buffer) => { if (text.toString().includes('up')) resolve(); }); });
        child.kill(name);
        const { status, stdout, stderr } = await outcome;
        assert.deepEqual([status, stdout], [6, 'up\nheard\n'], stderr);
      });
    }

    it('and is followed by nothing that is left when it is killed', async () => {
      const { child, outcome } = startMock([recorded(['/a', 'one'])], ['--', 'sh', '-c', `"${process.execPath}" "${SERVICE}" ${PORT} & setsid "${process.execPath}" "${SERVICE}" ${PORT + 1} & echo up; wait`]);
      await new Promise<void>((resolve) => { child.stdout?.on('data', () => { resolve(); }); });
      child.kill('SIGKILL');
      await outcome;
      for (const since = performance.now(); processesWith(SERVICE).length > 0 && performance.now() - since < 20_000;) await sleep(50);
      assert.deepEqual(processesWith(SERVICE), []);
    });
  });

  it('says the user\'s mistakes in a line with status 2, and ends with 3 where there is nothing to play', async () => {
    const one = [recorded(['/a', 'one'])];
    const mistakes: [Session[], string[], number, RegExp][] = [
      [one, [], 2, /mock needs a command/], [one, ['--', 'no-such-command-anywhere'], 2, /no-such-command-anywhere/], [one, ['--repeat', 'often', '--', 'true'], 2, /repeat/],
      [one, ['--session', 'zzzz', '--', 'true'], 2, /zzzz/], [[recorded()], ['--', 'true'], 3, /Nothing to play/],
    ];
    for (const [sessions, args, expected, text] of mistakes) {
      const { status, stdout, stderr } = await startMock(sessions, args).outcome;
      assert.deepEqual([status, stdout, stderr.trim().split('\n').length], [expected, '', 1], `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, text);
    }
  });

  describe('of a shop on gunicorn, psycopg, Redis and an HTTP service, all of them stopped', () => {
    let dir = '';
    let remove: () => void = () => undefined;

    before(async function () {
      skipIf(this, cannotReplay() ?? await whyNotRecordable());
      dir = temporaryDir('mock');
    });
    after(() => {
      remove();
      if (dir !== '') removeDir(dir);
    });

    it('lets a test runner in the command ask the shop what it likes, in another order and more often than recorded', async function () {
      this.timeout(400_000);
      const built = pythonBuild();
      if ('why' in built) {
        skipIf(this, built.why);
        return;
      }
      const recording = join(dir, 'rec');
      const stack = await recordWhole(() => pythonStack('psycopg')(built.dir), recording);
      remove = () => { stack.remove(); };
      const requests = load([recording], [], 5_000).map(({ session: { inbound } }) => bytesOf(inbound.request)).filter((bytes) => Buffer.from(bytes).includes('GET /orders/'));
      const asked = join(dir, 'requests.json');
      writeFileSync(asked, JSON.stringify(requests.slice(20, 60).reverse().map((bytes) => Buffer.from(bytes).toString('base64'))));
      const script = '"$@" & "$NODE" "$RUNNER" "$PORT" "$ASKED" 2';
      const { exit, stdout, stderr } = await koala(['mock', recording, '--json', '--', 'env', `NODE=${process.execPath}`, `RUNNER=${RUNNER}`, `PORT=${stack.port}`, `ASKED=${asked}`, 'sh', '-c', script, 'runner', ...stack.command], 150_000);
      const { calls, summary } = told(stdout.join('\n'));
      assert.deepEqual([exit, calls.filter(({ verdict }) => verdict !== 'same')], [0, []], stderr.slice(-3_000));
      assert.match(stderr, /\n0 failed\n/);
      assert.ok(summary.calls >= 2 * 40 * 5 && summary.repeated >= 40, JSON.stringify(summary));
    });
  });
});
