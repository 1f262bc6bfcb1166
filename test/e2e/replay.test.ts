import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Replayed } from '../../src/replay/replayed.ts';
import { call, get, ok, prologue, type CallFacts } from '../unit/replay/build.ts';
import { Gate } from './replay/gate.ts';
import { cannotReplay, hostState, planned, play, PORT, processesWith, SERVICE, type Step } from './replay/stage.ts';
import { UnixServer } from './replay/unix-server.ts';
import { skipIf } from '../skip.ts';

const HTTP = '10.20.30.40:80';

/** One HTTP call as the service makes it, and as it was recorded. */
function page(path: string, answer: string, to = HTTP, more: Partial<CallFacts> = {}): { step: Step; result: string; recorded: ReturnType<typeof call> } {
  const send = get(path, 'api');
  return { step: { to, send, read: ok(answer).length }, result: ok(answer), recorded: call({ to, protocol: 'http', request: send, response: ok(answer), ...more }) };
}

function sessionOf(calls: readonly ReturnType<typeof page>[], id = 'aaaa'): ReturnType<typeof planned> {
  return planned(calls.map(({ step }) => step), calls.map(({ result }) => result), calls.map(({ recorded }) => recorded), { id });
}

const verdicts = (replayed: readonly Replayed[]): string[] => replayed.map(({ verdict }) => verdict);
const callVerdicts = (one: Replayed | undefined): string[] => (one?.calls ?? []).map(({ verdict }) => verdict);

describe('replay', function () {
  this.timeout(60_000);
  let before = '';

  beforeEach(function () {
    skipIf(this, cannotReplay());
    before = hostState();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    assert.equal(hostState(), before, 'the host\'s firewall, routes, mounts and named namespaces are as they were');
    assert.deepEqual(processesWith(SERVICE), [], 'no process of the service is left');
  });

  describe('of the build that was recorded', () => {
    it('is the same, with nothing real behind it', async () => {
      const { replayed } = await play([sessionOf([page('/a?item=1', 'one'), page('/b', 'two')])]);
      assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed));
      assert.deepEqual(callVerdicts(replayed[0]), ['same', 'same']);
    });

    it('gives each of 100 calls that differ only in a query value its own answer', async () => {
      const sessions = Array.from({ length: 100 }, (_, n) => sessionOf([page(`/stock?item=${n}`, `item ${n}`), page(`/stock?item=${n + 1000}`, `other ${n}`)], `s${n}`));
      const { replayed } = await play(sessions);
      assert.deepEqual(replayed.filter(({ verdict }) => verdict !== 'same'), []);
      assert.equal(replayed.length, 100);
    });

    it('gives the same call, made again and again, a different answer each time, in recorded order', async () => {
      const counter = Array.from({ length: 20 }, (_, n) => page('/counter', `count ${n}`));
      const { replayed } = await play([sessionOf(counter), sessionOf(counter.slice(0, 3), 'bbbb')]);
      assert.deepEqual(verdicts(replayed), ['same', 'same'], JSON.stringify(replayed.map(({ response }) => response)));
    });

    it('plays IPv6, loopback and public addresses alike', async () => {
      const everywhere = ['[2001:db8::1]:443', '127.0.0.1:6379', '[::1]:7000', '8.8.8.8:53', '192.168.1.1:65535'];
      const { replayed } = await play([sessionOf(everywhere.map((to) => page('/x', `from ${to}`, to)))]);
      assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed));
    });

    it('resolves names as recorded', async () => {
      const one = page('/x', 'by name', '10.0.0.5:8000');
      const named = { ...one, step: { ...one.step, to: 'prices.internal:8000' } };
      const s = planned([named.step], [named.result], [named.recorded], { names: { 'prices.internal': ['10.0.0.5'] } });
      assert.deepEqual(verdicts((await play([s])).replayed), ['same']);
      const unasked = planned([named.step], [named.result], [named.recorded]);
      assert.deepEqual(verdicts((await play([unasked])).replayed), ['same'], 'a name that was not asked for while recording is the one destination with its port');
    });

    it('waits for a call that was recorded after the answer, and misses it where it is not made', async () => {
      const late = call({ to: '10.99.99.99:9999', request: 'who are you\r\n', response: 'x', atMs: 50, afterResponse: true });
      const s = planned([], [], [late]);
      assert.deepEqual(verdicts((await play([s], {}, { DEVIATE: 'later' })).replayed), ['same']);
      const { replayed } = await play([s]);
      assert.deepEqual(replayed.map(({ verdict, calls }) => [verdict, calls.map((one) => one.verdict)]), [['different', ['missing']]]);
    });

    it('lets the names of /etc/hosts mean what they mean there', async () => {
      const one = page('/x', 'by a name of the host', '127.0.0.1:8000');
      const s = planned([{ ...one.step, to: 'localhost:8000' }], [one.result], [one.recorded]);
      assert.match(readFileSync('/etc/hosts', 'utf8'), /^127\.0\.0\.1\s+localhost/m);
      assert.deepEqual(verdicts((await play([s])).replayed), ['same']);
    });

    it('plays a server that speaks first, and a connection that was set up before, on as many connections as there are', async () => {
      const smtp = '10.0.0.7:25';
      const step = (keep?: string): Step => ({ to: smtp, send: 'MAIL a\r\n', read: '220 hi\r\n250 ok\r\n'.length, ...(keep === undefined ? {} : { keep }) });
      const s = planned([step(), step()], ['220 hi\r\n250 ok\r\n', '220 hi\r\n250 ok\r\n'],
        [call({ to: smtp, request: 'MAIL a\r\n', response: '250 ok\r\n' }), call({ to: smtp, request: 'MAIL a\r\n', response: '250 ok\r\n' })],
        { prologues: [prologue(smtp, [['S', '220 hi\r\n']])] });
      const { replayed } = await play([s]);
      assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed));
    });

    it('keeps a pooled connection from one session to the next', async () => {
      const redis = '10.0.0.8:6379';
      const get_ = (key: string, value: string): ReturnType<typeof page> => ({
        step: { to: redis, send: `GET ${key}\r\n`, read: `$1\r\n${value}\r\n`.length, keep: 'redis' }, result: `$1\r\n${value}\r\n`,
        recorded: call({ to: redis, protocol: 'redis', request: `GET ${key}\r\n`, response: `$1\r\n${value}\r\n` }),
      });
      const { replayed } = await play([sessionOf([get_('a', '1'), get_('b', '2')]), sessionOf([get_('a', '3')], 'bbbb'), sessionOf([get_('c', '4')], 'cccc')]);
      assert.deepEqual(verdicts(replayed), ['same', 'same', 'same'], JSON.stringify(replayed));
    });

    it('plays unix sockets, where nothing is and where something real listens, and leaves the host\'s folders as they are', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'koala-replay-'));
      const [real, gone, stale] = [join(folder, 'real.sock'), join(folder, 'db', 'deep er', 'gone.sock'), join(folder, 'stale,:\\é.sock')];
      writeFileSync(join(folder, 'file'), 'kept');
      writeFileSync(stale, '');
      let connections = 0;
      const server = createServer((socket) => { connections += 1; socket.end('real\n'); }).listen(real);
      try {
        const calls = [real, gone, stale].map((path, n) => page(`/${n}`, `socket ${n}`, `unix:${path}`));
        const { replayed, notes } = await play([sessionOf(calls), sessionOf(calls, 'bbbb')]);
        assert.deepEqual(verdicts(replayed), ['same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
        assert.deepEqual(callVerdicts(replayed[1]), ['same', 'same', 'same']);
        assert.equal(connections, 0);
        assert.deepEqual(readdirSync(folder).sort(), ['file', 'real.sock', 'stale,:\\é.sock']);
      } finally {
        server.close();
        rmSync(folder, { recursive: true });
      }
    });

    it('goes on playing a unix socket when the real one begins to listen meanwhile', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'koala-replay-'));
      const path = join(folder, 'db.sock');
      let connections = 0;
      const server = createServer((socket) => { connections += 1; socket.end('real\n'); });
      const gate = new Gate();
      const one = page('/a', 'one', `unix:${path}`);
      const playing = play([planned([gate.step, one.step], ['there', one.result], [one.recorded])], { answerMs: 60_000 });
      try {
        await gate.reached();
        await once(server.listen(path), 'listening');
        // One that listens since later is hidden by now: then this one has been seen too.
        await gate.untilHidden(await gate.listen());
        gate.open();
        const { replayed } = await playing;
        assert.deepEqual([verdicts(replayed), connections], [['same'], 0], JSON.stringify(replayed));
      } finally {
        gate.remove();
        server.close();
        rmSync(folder, { recursive: true });
      }
    });

    it('skips a session whose unix socket has no folder here, with the reason', async () => {
      const nowhere = page('/a', 'one', 'unix:/koala-no-such-folder/db.sock');
      const { replayed } = await play([sessionOf([nowhere]), sessionOf([page('/a', 'one')], 'bbbb')]);
      assert.deepEqual(verdicts(replayed), ['skipped', 'same']);
      assert.match(replayed[0]?.reason ?? '', /unix:\/koala-no-such-folder\/db\.sock.*no folder of that path exists here/);
    });

    it('plays failures as failures', async () => {
      const refused = '10.0.0.9:1000';
      const dropped = '10.0.0.9:1001';
      const unreachable = '[2001:db8::9]:1002';
      const cut = page('/cut', 'half of it');
      const half = cut.result.slice(0, -4);
      const s = planned(
        [{ to: refused, send: 'x', read: 1 }, { to: dropped, send: 'x', read: 1, timeoutMs: 300 }, { to: unreachable, send: 'x', read: 1 }, { ...cut.step, read: 10_000 }],
        ['ECONNREFUSED', 'timeout after ', 'EHOSTUNREACH', `${half}ECONNRESET`],
        [
          call({ to: refused, end: { kind: 'refused', by: 'remote', errno: 111 } }), call({ to: dropped, end: { kind: 'timeout', by: 'remote', errno: 110 } }),
          call({ to: unreachable, end: { kind: 'unreachable', by: 'remote', errno: 113 } }),
          call({ to: HTTP, protocol: 'http', request: cut.step.send, response: half, end: { kind: 'reset', by: 'remote' } }),
        ],
      );
      const { replayed } = await play([s, sessionOf([page('/a', 'one', refused)], 'bbbb')]);
      assert.deepEqual(verdicts(replayed), ['same', 'same'], JSON.stringify(replayed, undefined, 1));
      assert.equal(replayed[0]?.calls.length, 4);
    });

    it('answers large requests and responses whole', async () => {
      const large = 'x'.repeat(8 << 20);
      const step = { to: HTTP, send: `POST /big HTTP/1.1\r\nHost: api\r\nContent-Length: 3000000\r\n\r\n${'y'.repeat(3_000_000)}`, read: ok(large).length };
      const s = planned([], [], []);
      // The plan would not fit into a request's path: the service gets a small one, and the dependency answers it largely.
      const small = { ...step, send: get('/big', 'api') };
      const { replayed } = await play([{ ...s, ...planned([small], [ok(large)], [call({ to: HTTP, protocol: 'http', request: small.send, response: ok(large) })]) }]);
      assert.deepEqual(verdicts(replayed), ['same']);
    });
  });

  describe('of another build', () => {
    const calls = (): ReturnType<typeof page>[] => [page('/a?item=1', 'one', HTTP, { atMs: 1 }), page('/b?item=2', 'two', HTTP, { atMs: 2 })];
    const deviating = async (deviation: string): Promise<Replayed> => {
      const { replayed } = await play([sessionOf(calls())], {}, { DEVIATE: deviation });
      assert.ok(replayed[0]);
      return replayed[0];
    };

    it('names a call that is not made any more', async () => {
      const one = await deviating('skip');
      assert.equal(one.verdict, 'different');
      assert.deepEqual(one.calls.map(({ verdict, recorded }) => [verdict, recorded]), [['same', 0], ['missing', 1]]);
    });

    it('names a call that is made twice, and gives no recorded answer twice', async () => {
      const one = await deviating('twice');
      assert.deepEqual(callVerdicts(one), ['same', 'new', 'same', 'new']);
      assert.match(JSON.stringify(one.response), /502/);
    });

    it('names a changed call, though its answer is the recorded one', async () => {
      const one = await deviating('other');
      assert.deepEqual(callVerdicts(one), ['different', 'different']);
      assert.equal(one.response.verdict, 'same');
      assert.equal(one.verdict, 'different');
      assert.match(JSON.stringify(one.calls[0]?.differences), /item=91|"91"/);
    });

    it('names a call to a destination that was never recorded, and answers it with nothing real', async () => {
      const one = await deviating('extra');
      assert.deepEqual(callVerdicts(one), ['same', 'same', 'new']);
      assert.equal(one.calls[2]?.destination, '10.99.99.99:9999');
    });

    it('names calls that changed places', async () => {
      assert.deepEqual(callVerdicts(await deviating('reverse')).sort(), ['reordered', 'same']);
    });

    for (const [deviation, path] of [['status', 'response.status'], ['field', 'response.body']] as const) {
      it(`names a changed answer: ${path}`, async () => {
        const one = await deviating(deviation);
        assert.equal(one.verdict, 'different');
        assert.deepEqual(callVerdicts(one), ['same', 'same']);
        assert.ok(one.response.differences.some((difference) => difference.path.startsWith(path)), JSON.stringify(one.response));
      });
    }
  });

  describe('lets the service reach nothing real', () => {
    it('not by TCP, and not by UDP', async () => {
      let connections = 0;
      let datagrams = 0;
      const server = createServer((socket) => { connections += 1; socket.end('real\n'); });
      const udp = createSocket('udp4', () => { datagrams += 1; });
      await new Promise<void>((resolve) => { server.listen(0, '0.0.0.0', resolve); });
      await new Promise<void>((resolve) => { udp.bind(0, resolve); });
      try {
        const { port } = server.address() as AddressInfo;
        const to = `127.0.0.1:${port}`;
        const s = planned([{ to, send: 'are you real?\n', read: 0 }], ['ECONNRESET'], []);
        const { replayed } = await play([s]);
        assert.deepEqual(callVerdicts(replayed[0]), ['new']);
        assert.equal(replayed[0]?.response.verdict, 'same');
        const script = `require("dgram").createSocket("udp4").send("x", ${udp.address().port}, "127.0.0.1", () => {`
          + ` process.argv[1] = "${SERVICE}"; process.argv[2] = "${PORT}"; import("${SERVICE}") })`;
        await play([sessionOf([page('/a', 'one')])], { command: [process.execPath, '-e', script, SERVICE, String(PORT)] });
        assert.deepEqual([connections, datagrams], [0, 0]);
      } finally {
        server.close();
        udp.close();
      }
    });

    it('not by unix sockets: by path, relative or not, through links and other mounts, of another network namespace, or as datagrams', async () => {
      const server = await UnixServer.start();
      try {
        const { replayed, notes } = await play([planned(
          server.paths.map((path) => ({ to: `unix:${path}`, send: 'are you real?', read: 1, timeoutMs: 500 })), server.paths.map(() => 'ECONNREFUSED'), [])]);
        assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
        const script = `require("net"); const { execFileSync } = require("child_process");`
          + ` execFileSync("python3", ["-c", "import socket,sys\\ntry: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '${server.datagrams}')\\nexcept ConnectionRefusedError: print('refused', file=sys.stderr)"], { stdio: "inherit" });`
          + ` process.argv[1] = "${SERVICE}"; process.argv[2] = "${PORT}"; import("${SERVICE}")`;
        await play([sessionOf([page('/a', 'one')])], { command: [process.execPath, '-e', script, SERVICE, String(PORT)] });
        assert.deepEqual(await server.heard(), { connections: 0, datagrams: 0 });
        assert.deepEqual(await server.ask(), { connections: server.paths.length, datagrams: 1 }, 'outside of a replay each of them answers');
      } finally {
        server.stop();
      }
    });

    it('not by abstract unix sockets', async () => {
      const name = `koala-replay-${process.pid}`;
      let connections = 0;
      const server = createServer((socket) => { connections += 1; socket.end('real'); }).listen(`\0${name}`);
      try {
        const { replayed } = await play([planned([{ to: `unix:@${name}`, send: 'are you real?', read: 4 }], ['ECONNREFUSED'], [])]);
        assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed));
        assert.equal(connections, 0);
      } finally {
        server.close();
      }
    });

    it('not by a unix socket that begins to listen while the service runs, once it has been seen', async () => {
      const gate = new Gate();
      const playing = play([planned([gate.step, { to: `unix:${gate.socket}`, send: 'are you real?', read: 1 }], ['there', 'ECONNREFUSED'], [])], { answerMs: 60_000 });
      try {
        await gate.reached();
        await gate.untilHidden(await gate.listen());
        gate.open();
        const { replayed } = await playing;
        assert.equal(replayed[0]?.response.verdict, 'same', JSON.stringify(replayed));
        assert.equal(gate.connections, 0);
      } finally {
        gate.remove();
      }
    });

    it('but its own unix sockets, also where a real one listens in the same folder', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'koala-replay-'));
      const server = createServer((socket) => { socket.end('real'); }).listen(join(folder, 'real.sock'));
      try {
        const own = join(folder, 'own.sock');
        const { replayed } = await play([planned([{ to: `unix:${own}`, send: '', read: 4 }], ['mine'], [])], {}, { OWN_SOCKET: own });
        assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed));
      } finally {
        server.close();
        rmSync(folder, { recursive: true });
      }
    });
  });
});
