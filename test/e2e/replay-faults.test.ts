import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresqlMessage } from '../../src/protocols/postgresql-messages.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import { call, get, ok, prologue, session } from '../unit/replay/build.ts';
import { startReplay } from './replay/command.ts';
import { cannotReplay, hostState, planned, play, PORT, processesWith, SERVICE, type Step } from './replay/stage.ts';
import { skipIf } from '../skip.ts';

const verdicts = (replayed: readonly Replayed[]): string[] => replayed.map(({ verdict }) => verdict);
const HTTP = '10.20.30.40:80';

/** Chunks `gapMs` apart, the first so long after the request. */
function slowly(parts: readonly string[], gapMs: number): ReturnType<typeof call> {
  const one = call({ to: HTTP, request: 'ask', response: parts.join('') });
  const atUs = one.request[0]?.atUs ?? 0;
  return { ...one, response: parts.map((part, at) => ({ atUs: atUs + (at + 1) * gapMs * 1000, tid: 1, bytes: Buffer.from(part, 'latin1') })) };
}

/** MySQL's. */
const packet = (sequence: number, body: string): string => `${String.fromCharCode(body.length)}\0\0${String.fromCharCode(sequence)}${body}`;
const greeting = packet(0, `\x0a8.0.36\0\x05\0\0\0abcdefgh\0\xde\xf7\x08\x02\0\xff\x81\x15${'\0'.repeat(10)}abcdefghijkl\0mysql_native_password\0`);

describe('replay of faults and pace', function () {
  this.timeout(60_000);
  let before = '';

  beforeEach(function () {
    skipIf(this, cannotReplay());
    before = hostState();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    assert.equal(hostState(), before);
    assert.deepEqual(processesWith(SERVICE), []);
  });

  it('refuses, drops and breaks off in the sessions that recorded it, and in no other that is played beside them', async () => {
    const to = '10.0.0.9:1000';
    const asks: Step = { to, send: 'x', read: 5 };
    const fine = (id: string): ReturnType<typeof planned> => planned([asks], ['taped'], [call({ to, request: 'x', response: 'taped' })], { id });
    const refused = (id: string): ReturnType<typeof planned> => planned([asks], ['ECONNREFUSED'], [call({ to, end: { kind: 'refused', by: 'remote', errno: 111 } })], { id });
    const reset = (id: string): ReturnType<typeof planned> => planned([{ ...asks, read: 99 }], ['tapECONNRESET'], [call({ to, request: 'x', response: 'tap', end: { kind: 'reset', by: 'remote' } })], { id });
    const early = (id: string): ReturnType<typeof planned> => planned([{ ...asks, read: 0 }], ['tape'], [call({ to, request: 'x', response: 'tape', end: { kind: 'fin', by: 'remote' } })], { id });
    const sessions = Array.from({ length: 6 }, (_, n) => [fine(`f${n}`), refused(`r${n}`), reset(`s${n}`), early(`e${n}`)]).flat();
    const { replayed, notes } = await play(sessions, { concurrency: 4 });
    assert.deepEqual(replayed.filter(({ verdict }) => verdict !== 'same'), [], notes.join('\n'));
    assert.equal(replayed.length, 24);
  });

  const to = '10.0.0.9:1000';
  const asks: Step = { to, send: 'x', read: 5 };
  const refusal = call({ to, end: { kind: 'refused', by: 'remote', errno: 111 } });
  const reached = call({ to, request: 'x', response: 'taped' });

  it('refuses so often as recorded, and then answers', async () => {
    const retried = planned([asks, asks, asks], ['ECONNREFUSED', 'ECONNREFUSED', 'taped'], [refusal, refusal, reached]);
    const { replayed, notes } = await play([retried, { ...retried, id: 'again' }]);
    assert.deepEqual(verdicts(replayed), ['same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(replayed[0]?.calls.map(({ verdict }) => verdict).toSorted(), ['same', 'same', 'same']);
  });

  it('takes each recorded attempt for one: what is tried less often is missing, more often new', async () => {
    const once = planned([asks], ['ECONNREFUSED'], [refusal, refusal], { id: 'once' });
    const thrice = planned([asks, asks, asks], ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'], [refusal, refusal], { id: 'thrice' });
    const { replayed } = await play([once, thrice]);
    assert.deepEqual(replayed.map(({ calls }) => calls.map(({ verdict }) => verdict)), [['same', 'missing'], ['same', 'same', 'new']], JSON.stringify(replayed));
  });

  it('refuses a login as often as recorded, with the error it got, and lets in who was let in', async () => {
    const sql = '10.0.0.7:5432';
    const pg = (type: string, body: string): string => postgresqlMessage(type, Buffer.from(body, 'latin1')).toString('latin1');
    const login = '\0\0\0\x13\0\x03\0\0user\0shop\0\0';
    const error = pg('E', 'SFATAL\0C53300\0Mtoo many connections\0\0');
    const letIn = pg('R', '\0\0\0\0') + pg('Z', 'I');
    // The server had asked for a proof first, which is another one each time.
    const failed = [[login, pg('R', '\0\0\0\x0aSCRAM-SHA-256\0\0')], [pg('p', 'a proof'), error]]
      .map(([request, response], at) => ({ ...call({ to: sql, protocol: 'postgresql', request: request ?? '', response: response ?? '', atMs: at + 1 }), connection: { id: 'failed', local: '10.0.0.1:40001', remote: sql, protocol: 'postgresql' } }));
    const asks = (read: number): Step => ({ to: sql, send: login, read });
    const through = { ...prologue(sql, [['C', login], ['S', letIn]]), connection: 'through' };
    const sessions = [1, 2, 3].flatMap((n) => [
      planned([asks(0)], [error], failed, { id: `refused${n}` }),
      planned([asks(0), asks(letIn.length)], [error, letIn], failed, { id: `retried${n}`, prologues: [through] }),
      planned([asks(letIn.length)], [letIn], [], { id: `fine${n}`, prologues: [through] }),
    ]);
    for (const concurrency of ['1', '4']) {
      const { status, stdout, stderr } = await startReplay(sessions, ['--json', '--concurrency', concurrency, '--', process.execPath, SERVICE, String(PORT)]).outcome;
      const replayed = stdout.trim().split('\n').slice(0, -1).map((line) => JSON.parse(line) as Replayed);
      assert.deepEqual([status, verdicts(replayed)], [0, sessions.map(() => 'same')], stdout + stderr);
      assert.deepEqual(replayed[0]?.calls.map(({ verdict, summary }) => `${verdict} ${summary}`), ['same startup user=shop database=shop']);
    }
  });

  it('refuses a MySQL login as often as recorded, whatever it is signed with, and lets in who was let in', async () => {
    const sql = '10.0.0.8:3306';
    const login = (proof: string): string => packet(1, `\x8d\xa2\x1a\0\0\0\0\x40\x08${'\0'.repeat(23)}shop\0\x14${proof.repeat(20)}goods\0mysql_native_password\0`);
    const error = (sequence: number): string => packet(sequence, '\xff\x15\x04#28000Access denied for user');
    const letIn = '\x07\0\0\x02\0\0\0\x02\0\0\0';
    // The server had asked for another kind of proof first.
    const failed = [[login('a'), packet(2, '\xfecaching_sha2_password\0challenge')], [packet(3, 'a proof'), error(4)]]
      .map(([request, response], at) => ({ ...call({ to: sql, protocol: 'mysql', request: request ?? '', response: response ?? '', atMs: at + 1 }), connection: { id: 'failed', local: '10.0.0.1:40001', remote: sql, protocol: 'mysql' } }));
    const asks = (read: number): Step => ({ to: sql, send: login('b'), read });
    const [refused, welcomed] = [greeting + error(2), greeting + letIn];
    const through = { ...prologue(sql, [['S', greeting], ['C', login('a')], ['S', letIn]]), connection: 'through' };
    const greeted = { ...prologue(sql, [['S', greeting]]), connection: 'failed' };
    const sessions = [1, 2, 3].flatMap((n) => [
      planned([asks(0)], [refused], failed, { id: `refused${n}`, prologues: [greeted] }),
      planned([asks(0), asks(welcomed.length)], [refused, welcomed], failed, { id: `retried${n}`, prologues: [greeted, through] }),
      planned([asks(welcomed.length)], [welcomed], [], { id: `fine${n}`, prologues: [through] }),
    ]);
    for (const concurrency of ['1', '4']) {
      const { status, stdout, stderr } = await startReplay(sessions, ['--json', '--concurrency', concurrency, '--', process.execPath, SERVICE, String(PORT)]).outcome;
      const replayed = stdout.trim().split('\n').slice(0, -1).map((line) => JSON.parse(line) as Replayed);
      assert.deepEqual([status, verdicts(replayed)], [0, sessions.map(() => 'same')], stdout + stderr);
      assert.deepEqual(replayed[0]?.calls.map(({ verdict, summary }) => `${verdict} ${summary}`), ['same login user=shop']);
    }
  });

  it('turns a MySQL client away with the error that it got in place of a greeting, and greets the next', async () => {
    const sql = '10.0.0.8:3306';
    const error = packet(0, '\xff\x10\x04#08004Too many connections');
    const full = { ...call({ to: sql, protocol: 'mysql', response: error, end: { kind: 'fin', by: 'remote' } }), connection: { id: 'full', local: '10.0.0.1:40001', remote: sql, protocol: 'mysql' } };
    const connects = (read: number): Step => ({ to: sql, send: '', read });
    const greeted = { ...prologue(sql, [['S', greeting]]), connection: 'greeted' };
    const sessions = [1, 2].flatMap((n) => [
      planned([connects(0), connects(greeting.length)], [error, greeting], [full], { id: `full${n}`, prologues: [greeted] }),
      planned([connects(greeting.length)], [greeting], [], { id: `fine${n}`, prologues: [greeted] }),
    ]);
    for (const concurrency of ['1', '3']) {
      const { status, stdout, stderr } = await startReplay(sessions, ['--json', '--concurrency', concurrency, '--', process.execPath, SERVICE, String(PORT)]).outcome;
      const replayed = stdout.trim().split('\n').slice(0, -1).map((line) => JSON.parse(line) as Replayed);
      assert.deepEqual([status, verdicts(replayed)], [0, sessions.map(() => 'same')], stdout + stderr);
      assert.deepEqual(replayed[0]?.calls.map(({ verdict, summary }) => `${verdict} ${summary}`), ['same MySQL']);
    }
  });

  it('turns a client of Redis, and of a server that it does not know, away as often as recorded, whether or not it asks by then, and answers the next', async () => {
    const ping = '*1\r\n$4\r\nPING\r\n';
    const servers = [
      { name: 'redis', at: '10.0.0.9:6379', protocol: 'redis', error: '-ERR max number of clients reached\r\n', ask: ping, answer: '+PONG\r\n' },
      { name: 'memcached', at: '10.0.0.10:11211', protocol: 'unknown', error: 'ERROR Too many open connections\r\n', ask: 'get a\r\n', answer: 'END\r\n' },
    ];
    const sessions = servers.flatMap(({ name, at, protocol, error, ask, answer }) => {
      const on = (id: string, more: Parameters<typeof call>[0]): ReturnType<typeof call> => ({ ...call({ protocol, ...more }), connection: { id, local: '10.0.0.1:40001', remote: at, protocol } });
      const full = on('full', { to: at, response: error, end: { kind: 'fin', by: 'remote' } });
      const unheard = on('full', { to: at, request: ask, atMs: 1, end: { kind: 'reset', by: 'remote' } });
      const answered = on('through', { to: at, request: ask, response: answer, atMs: 2 });
      const asks = (read: number, send = ask): Step => ({ to: at, send, read });
      return [
        planned([asks(0, ''), asks(answer.length)], [error, answer], [full, answered], { id: `${name}-heard` }),
        planned([asks(0), asks(answer.length)], [error, answer], [full, unheard, answered], { id: `${name}-unheard` }),
        planned([asks(answer.length)], [answer], [answered], { id: `${name}-fine` }),
      ];
    });
    for (const concurrency of ['1', '3']) {
      const { status, stdout, stderr } = await startReplay(sessions, ['--json', '--concurrency', concurrency, '--', process.execPath, SERVICE, String(PORT)]).outcome;
      const replayed = stdout.trim().split('\n').slice(0, -1).map((line) => JSON.parse(line) as Replayed);
      assert.deepEqual([status, verdicts(replayed)], [0, sessions.map(() => 'same')], stdout + stderr);
      assert.deepEqual(replayed.slice(0, 2).map(({ calls }) => calls.map(({ verdict, summary }) => `${verdict} ${summary}`)), [['same connect', 'same PING'], ['same connect', 'same PING']]);
    }
  });

  it('gives no answer to the attempts that got none, and answers the next', async () => {
    const silence = call({ to, end: { kind: 'timeout', by: 'remote', errno: 110 } });
    const gives: Step = { ...asks, timeoutMs: 400 };
    const retried = planned([gives, gives, { ...asks, timeoutMs: 3_000 }], ['timeout after ', 'timeout after ', 'taped'], [silence, silence, reached]);
    const { replayed, notes } = await play([retried]);
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
    const less = planned([gives], ['timeout after '], [silence, silence], { id: 'less' });
    assert.deepEqual((await play([less])).replayed[0]?.calls.map(({ verdict }) => verdict), ['same', 'missing']);
  });

  it('ends with status 3 and says why where the rules for that are refused', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-path-'));
    const real = execFileSync('sh', ['-c', 'command -v iptables-restore'], { encoding: 'utf8' }).trim();
    writeFileSync(join(folder, 'iptables-restore'), `#!/bin/sh\nrules=$(cat)\ncase "$rules" in *REJECT*) echo "Another app is currently holding the xtables lock" >&2; exit 4;; esac\necho "$rules" | ${real} "$@"\n`, { mode: 0o755 });
    const path = process.env['PATH'];
    process.env['PATH'] = `${folder}:${path}`;
    try {
      const { status, stderr } = await startReplay([planned([asks], ['ECONNREFUSED'], [refusal])], ['--', process.execPath, SERVICE, String(PORT)]).outcome;
      assert.match(stderr, /Cannot make connects fail as recorded: iptables-restore: Another app is currently holding/);
      assert.equal(status, 3, stderr);
    } finally {
      process.env['PATH'] = path;
      rmSync(folder, { recursive: true });
    }
  });

  it('answers a client that has ended its side, as recorded', async () => {
    const script = 'const net=require("net");require("http").createServer((q,r)=>{const s=net.connect({port:80,host:"10.20.30.40",allowHalfOpen:true});let h="";'
      + 's.on("data",(d)=>h+=d);s.on("end",()=>{r.sendDate=false;r.setHeader("Connection","close");r.end(h)});s.end("half closed")}).listen(18080,"127.0.0.1")';
    const one = session({
      request: get('/', 'service'), response: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nanswer', listener: `127.0.0.1:${PORT}`,
      calls: [call({ to: HTTP, request: 'half closed', response: 'answer', end: { kind: 'fin', by: 'remote' } })],
    });
    const { replayed, notes } = await play([one], { command: [process.execPath, '-e', script] });
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
  });

  it('takes the recorded time with --latency, a part of it with a factor, and none without', async () => {
    const took = async (latency: number): Promise<number> => {
      const { replayed } = await play([planned([{ to: HTTP, send: 'ask', read: 5 }], ['slow!'], [slowly(['slow!'], 1_500)])], { pace: { latency, chunks: false } });
      assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed));
      return replayed[0]?.durationMs ?? 0;
    };
    const [none, half, whole] = [await took(0), await took(0.5), await took(1)];
    assert.ok(whole >= 1_490, `${whole} ms`);
    assert.ok(half >= 740, `${half} ms`);
    assert.ok(none < half, `${none} ms without, ${half} ms at half the recorded latency`);
  });

  it('keeps the borders of recorded chunks where asked to', async () => {
    const script = 'const net=require("net");require("http").createServer((q,r)=>{const s=net.connect(80,"10.20.30.40");const h=[];'
      + 's.on("data",(d)=>{h.push(String(d));if(h.join("").length===9){r.sendDate=false;r.setHeader("Connection","close");r.end(h.join("|"))}});s.write("ask")}).listen(18080,"127.0.0.1")';
    const one = session({
      request: get('/', 'service'), response: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\none|two|thr', listener: `127.0.0.1:${PORT}`,
      calls: [slowly(['one', 'two', 'thr'], 1)],
    });
    const { replayed, notes } = await play([one], { command: [process.execPath, '-e', script], pace: { latency: 50, chunks: true } });
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
  });

  it('answers 64 MiB whole, and takes as much', async () => {
    const large = 'x'.repeat(64 << 20);
    const script = 'const net=require("net");require("http").createServer((q,r)=>{const s=net.connect(80,"10.20.30.40");let n=0;'
      + `const body=Buffer.alloc(${64 << 20},121);s.on("data",(d)=>{n+=d.length;if(n>=${ok(large).length}){r.sendDate=false;r.setHeader("Connection","close");r.end(String(n))}});`
      + `s.write("POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: ${64 << 20}\\r\\n\\r\\n");s.write(body)}).listen(18080,"127.0.0.1")`;
    const answer = String(ok(large).length);
    const one = session({
      request: get('/', 'service'), response: `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`, listener: `127.0.0.1:${PORT}`,
      calls: [call({ to: HTTP, protocol: 'http', request: `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 << 20}\r\n\r\n${'y'.repeat(64 << 20)}`, response: ok(large) })],
    });
    const { replayed } = await play([one], { command: [process.execPath, '-e', script], answerMs: 50_000 });
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed).slice(0, 2_000));
  });
});

describe('replay of bad input', function () {
  this.timeout(60_000);

  beforeEach(function () {
    skipIf(this, cannotReplay());
  });

  const plain = (): ReturnType<typeof planned> => planned([], [], []);

  it('states a service that hangs, one that answers half and one that never listens, within its bounds', async () => {
    const command = (handler: string): string[] => [process.execPath, '-e', `require("net").createServer((s)=>{s.on("error",()=>{});s.on("data",()=>{${handler}})}).listen(18080,"127.0.0.1")`];
    const hangs = await play([plain()], { command: command(''), answerMs: 500 });
    assert.deepEqual([hangs.replayed[0]?.verdict, hangs.replayed[0]?.reason], ['error', 'the service did not answer in time']);
    const half = await play([plain()], { command: command('s.write("HTTP/1.1 200 OK\\r\\nContent-Length: 99\\r\\n\\r\\nhal")'), answerMs: 500 });
    assert.equal(half.replayed[0]?.verdict, 'different');
    assert.match(JSON.stringify(half.replayed[0]?.response.differences), /response\.end.*timeout/);
    await assert.rejects(play([plain()], { command: ['sleep', '60'], startupMs: 500 }), /did not listen on port 18080 within 0\.5 s/);
  });

  it('does not take an interruption while it starts for a failure to start', async () => {
    const stop = new AbortController();
    stop.abort();
    assert.deepEqual((await play([plain()], { signal: stop.signal })).replayed, []);
    assert.deepEqual(processesWith(SERVICE), []);
  });

  it('hangs up on whoever speaks to the proxy itself', async () => {
    const { replayed, notes } = await play([planned([{ to: '127.0.0.1:64999', send: 'GET / HTTP/1.1\r\n\r\n', read: 1 }], ['ECONNRESET'], [])]);
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed));
    assert.ok(notes.some((note) => note.includes('spoke to the replayer itself')), notes.join('\n'));
  });

  it('plays although the host\'s own ports of the proxy are in use', async () => {
    const server = createServer().listen(64_999, '127.0.0.1');
    try {
      await new Promise((resolve) => { server.once('listening', resolve); server.once('error', resolve); });
      const request = get('/a', 'api');
      const one = planned([{ to: HTTP, send: request, read: ok('one').length }], [ok('one')], [call({ to: HTTP, protocol: 'http', request, response: ok('one') })]);
      assert.deepEqual(verdicts((await play([one])).replayed), ['same']);
      assert.ok(await new Promise((resolve) => { const socket = connect(64_999, '127.0.0.1', () => { socket.destroy(); resolve(true); }); socket.on('error', () => { resolve(false); }); }), 'the host\'s port is still its own');
    } finally {
      server.close();
    }
  });

  it('refuses, and says what it takes, where iptables is missing', async () => {
    const path = process.env['PATH'];
    const folder = mkdtempSync(join(tmpdir(), 'koala-path-'));
    for (const name of ['setpriv', 'unshare', 'sh', 'ip', 'mount']) symlinkSync(execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), join(folder, name));
    process.env['PATH'] = folder;
    try {
      await assert.rejects(play([plain()]), /Cannot confine the service: iptables: .*; install iproute2 and iptables/);
    } finally {
      process.env['PATH'] = path;
      rmSync(folder, { recursive: true });
    }
  });
});
