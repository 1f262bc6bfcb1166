import assert from 'node:assert/strict';
import { encode } from 'dns-packet';
import type { Session } from '../../../src/sessions/session.ts';
import { besides, GET, OK, Scene, SECOND, textOf } from './scene.ts';
import type { Findings } from './scene.ts';

const one = (found: Findings): Session => {
  assert.equal(found.sessions.length, 1);
  return found.sessions[0]!;
};
const calls = (session: Session): string[] => session.outbound.map((call) => textOf(call.request));
const unseen = (session: Session): string[] => session.certificate.unseen.map((one) => `${one.kind} ${one.count}`);

describe('a session', () => {
  it('is not cut when its request thinks for a minute', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/slow')).connect(2, 7).write(2, 7, GET('/up')).pass(60 * SECOND).read(2, 7, OK('u'));
    const session = one(scene.pass(60 * SECOND).write(1, 7, OK('done')).close(1).close(2).derive());
    assert.equal(textOf(session.inbound.response), OK('done'));
    assert.deepEqual([session.outbound.length, session.certificate.state], [1, 'complete']);
    assert.ok(session.durationMs > 119_000);
  });

  it('keeps calls made after its response, marked, until its thread reads another request', () => {
    const scene = new Scene().workers().accept(1).read(1, 7, GET('/a')).write(1, 7, OK('a')).connect(2, 7).write(2, 7, GET('/after')).read(2, 7, OK('x')).close(1);
    scene.accept(3).read(3, 7, GET('/b')).write(2, 7, GET('/of-b')).read(2, 7, OK('y')).write(3, 7, OK('b')).close(3).close(2);
    const sessions = besides(scene.derive().sessions);
    assert.deepEqual(sessions.map(calls), [[GET('/after')], [GET('/of-b')]]);
    assert.deepEqual(sessions.map((session) => session.outbound[0]!.afterResponse), [true, undefined]);
    assert.deepEqual(sessions.map((session) => session.outbound[0]!.certainty), ['likely', 'proven']);
  });

  it('takes no calls any more once its thread was quiet, and no earlier', () => {
    const after = (us: number): Findings => new Scene().accept(1).read(1, 7, GET('/a')).write(1, 7, OK('a')).pass(us).connect(2, 7)
      .write(2, 7, GET('/late')).read(2, 7, OK('x')).close(2).close(1).derive();
    assert.deepEqual(calls(one(after(4.9 * SECOND))), [GET('/late')]);
    assert.deepEqual(calls(one(after(5.1 * SECOND))), []);
    assert.equal(after(5.1 * SECOND).ambient.length, 1);
  });

  it('waits past the quiet bound for a call that is on its way', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/a')).write(1, 7, OK('a')).connect(2, 7).write(2, 7, GET('/slow')).pass(30 * SECOND).read(2, 7, OK('x'));
    const session = one(scene.write(2, 7, GET('/next')).read(2, 7, OK('y')).close(2).close(1).derive());
    assert.deepEqual(calls(session), [GET('/slow'), GET('/next')]);
  });

  it('takes no calls of a thread that has ended', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/a')).write(1, 7, OK('a')).process('thread-exit', 7).connect(2, 7).write(2, 7, GET('/other')).read(2, 7, OK('x'));
    assert.deepEqual(calls(one(scene.close(2).close(1).derive())), []);
  });

  it('tells the end of a connection in the last call on it, not in the one before', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/a')).connect(2, 7);
    for (const word of ['one', 'two', 'three']) scene.write(2, 7, `${word}\n`).read(2, 7, `ok ${word}\n`);
    const session = one(scene.close(2, 7, 'remote-fin').close(2).write(1, 7, OK('a')).close(1).derive());
    assert.deepEqual(session.outbound.map((call) => [textOf(call.request), call.end?.kind]), [['one\n', undefined], ['two\n', undefined], ['three\n', 'fin']]);
  });

  it('begins with each request of a keep-alive connection', () => {
    const scene = new Scene().accept(1);
    for (const path of ['/a', '/b', '/c']) scene.read(1, 7, GET(path)).write(1, 7, OK(path));
    const { sessions } = scene.close(1).derive();
    assert.deepEqual(sessions.map((session) => textOf(session.inbound.response)), ['/a', '/b', '/c'].map(OK));
    assert.ok(sessions.every((session) => session.certificate.state === 'complete'));
  });

  it('is made of each pipelined request, and each gets its own calls', () => {
    const scene = new Scene().accept(1).connect(2, 7).read(1, 7, GET('/a') + GET('/b')).write(2, 7, GET('/up-a')).read(2, 7, OK('ua')).write(1, 7, OK('a'));
    scene.write(2, 7, GET('/up-b')).read(2, 7, OK('ub')).write(1, 7, OK('b')).close(1).close(2);
    const { sessions } = scene.derive();
    assert.deepEqual(sessions.map((session) => textOf(session.inbound.request)), [GET('/a'), GET('/b')]);
    assert.deepEqual(sessions.map((session) => textOf(session.inbound.response)), [OK('a'), OK('b')]);
    assert.deepEqual(sessions.map(calls), [[GET('/up-a')], [GET('/up-b')]]);
    assert.ok(sessions.every((session) => session.outbound[0]!.certainty === 'likely'));
  });

  it('is the same wherever its bytes are split', () => {
    const request = GET('/split/me');
    const response = OK('and me');
    for (let at = 1; at < request.length; at += 1) {
      const session = one(new Scene().accept(1).read(1, 7, request.slice(0, at)).read(1, 7, request.slice(at)).write(1, 7, response).close(1).derive());
      assert.deepEqual([textOf(session.inbound.request), session.certificate.state], [request, 'complete'], `request at ${at}`);
    }
    for (let at = 1; at < response.length; at += 1) {
      const session = one(new Scene().accept(1).read(1, 7, request).write(1, 7, response.slice(0, at)).write(1, 7, response.slice(at)).close(1).derive());
      assert.deepEqual([textOf(session.inbound.response), session.certificate.state], [response, 'complete'], `response at ${at}`);
    }
  });

  it('has a chunk for each system call, and one for a call that came in pieces', () => {
    const scene = new Scene().accept(1).read(1, 7, 'GET /').read(1, 7, ' HTTP/1.1\r\n\r\n').intent(1, 7, OK('abc').length);
    const session = one(scene.write(1, 7, OK('abc').slice(0, 9), { more: true }).write(1, 7, OK('abc').slice(9)).close(1).derive());
    assert.equal(session.inbound.request.length, 2);
    assert.equal(session.inbound.response.length, 1);
  });

  it('says how its connection ended', () => {
    const end = (scene: Scene): unknown => one(scene.derive()).inbound.end;
    const begun = (): Scene => new Scene().accept(1).read(1, 7, GET('/')).write(1, 7, OK('x'));
    assert.deepEqual(end(begun().close(1, 7, 'local-fin').close(1)), { kind: 'fin', by: 'local' });
    assert.deepEqual(end(begun().close(1, 7, 'remote-fin').close(1)), { kind: 'fin', by: 'remote' });
    assert.deepEqual(end(begun().close(1, 7, 'done', { reset: true, byRemote: true, error: 104 })), { kind: 'reset', by: 'remote', errno: 104 });
  });

  it('has a call that was refused, with its errno and no bytes', () => {
    const session = one(new Scene().accept(1).read(1, 7, GET('/')).connect(2, 7).close(2, 7, 'failed', { error: 111 }).write(1, 7, OK('down')).close(1).derive());
    assert.deepEqual(session.outbound.map(({ request, response, end }) => ({ request, response, end })), [{ request: [], response: [], end: { kind: 'refused', by: 'remote', errno: 111 } }]);
    assert.equal(session.certificate.state, 'complete');
  });

  it('ends a response without length where the connection ends', () => {
    const response = 'HTTP/1.0 200 OK\r\n\r\nall of it';
    const session = one(new Scene().accept(1).read(1, 7, GET('/')).connect(2, 7).write(2, 7, GET('/u')).read(2, 7, response.slice(0, 20)).read(2, 7, response.slice(20))
      .close(2, 7, 'remote-fin').close(2).write(1, 7, OK('x')).close(1).derive());
    assert.deepEqual([textOf(session.outbound[0]!.response), session.certificate.state], [response, 'complete']);
  });

  it('is cut by the turn of direction where nobody knows the protocol', () => {
    const scene = new Scene().accept(1).read(1, 7, '\x01one').read(1, 7, 'more').write(1, 7, '\x02two').read(1, 7, '\x01three').write(1, 7, '\x02four').close(1);
    const { sessions } = scene.derive();
    assert.deepEqual(sessions.map((session) => [textOf(session.inbound.request), textOf(session.inbound.response), session.inbound.connection.protocol]),
      [['\x01onemore', '\x02two', 'unknown'], ['\x01three', '\x02four', 'unknown']]);
    assert.ok(sessions.every((session) => session.certificate.state === 'complete'));
  });

  it('refers to the prologue of a pooled connection: the greeting of a server that speaks first', () => {
    const scene = new Scene().connect(2, 1).read(2, 1, '220 hello\r\n');
    for (const client of [1, 3]) scene.accept(client).read(client, 7, GET(`/${client}`)).write(2, 7, 'ask\n').read(2, 7, 'answer\n').write(client, 7, OK('x')).close(client);
    const { sessions } = scene.close(2).derive();
    assert.deepEqual(sessions.map((session) => session.prologues.map((prologue) => [prologue.connection, prologue.destination, textOf(prologue.chunks)])),
      [[['2', '10.0.0.2:9000', '220 hello\r\n']], [['2', '10.0.0.2:9000', '220 hello\r\n']]]);
    assert.deepEqual(sessions.map(calls), [['ask\n'], ['ask\n']]);
    assert.ok(sessions.every((session) => session.certificate.state === 'complete'), JSON.stringify(sessions.map((session) => session.certificate)));
  });

  it('keeps what only set a connection up in its prologue, also when it came before the call in one write', () => {
    const auth = '*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n';
    const get = '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n';
    const scene = new Scene().accept(1).read(1, 7, GET('/')).connect(2, 7, { remote: { host: '10.0.0.2', port: 6379 } });
    scene.write(2, 7, auth + get).read(2, 7, '+OK\r\n$1\r\nv\r\n').write(1, 7, OK('x')).close(1).close(2);
    const session = one(scene.derive());
    assert.deepEqual(session.prologues.map((prologue) => textOf(prologue.chunks)), [`${auth}+OK\r\n`]);
    assert.deepEqual([calls(session), textOf(session.outbound[0]!.response)], [[get], '$1\r\nv\r\n']);
  });

  it('has the logins of a pool that it opened, also of the connections that it did not use, in its prologues', () => {
    const auth = '*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n';
    const scene = new Scene().accept(1).read(1, 7, GET('/'));
    for (const connection of [2, 3]) scene.connect(connection, 7, { remote: { host: '10.0.0.2', port: 6379 } }).write(connection, 7, auth).read(connection, 7, '+OK\r\n');
    const found = scene.write(2, 7, '*1\r\n$4\r\nPING\r\n').read(2, 7, '+PONG\r\n').write(1, 7, OK('x')).close(1).derive();
    assert.deepEqual([calls(one(found)).length, one(found).prologues.map((prologue) => [prologue.connection, textOf(prologue.chunks)]), found.ambient],
      [1, [['2', `${auth}+OK\r\n`], ['3', `${auth}+OK\r\n`]], []]);
  });

  it('has a login that was refused, and the connection with it, as a call', () => {
    const auth = '*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n';
    const scene = new Scene().accept(1).read(1, 7, GET('/')).connect(2, 7, { remote: { host: '10.0.0.2', port: 6379 } }).write(2, 7, auth).read(2, 7, '-ERR no\r\n').close(2);
    assert.deepEqual(calls(one(scene.write(1, 7, OK('x')).close(1).derive())), [auth]);
  });

  it('has a login that was refused as a call, though the server ends the connection only after the answer', () => {
    const auth = '*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n';
    const scene = new Scene().accept(1, 7).read(1, 7, GET('/1')).connect(2, 7, { remote: { host: '10.0.0.2', port: 6379 } }).write(2, 7, auth).read(2, 7, '-ERR no\r\n').close(2, 7, 'local-fin');
    const found = scene.write(1, 7, OK('x')).close(1).accept(3, 7).read(3, 7, GET('/2')).write(3, 7, OK('y')).close(3).wait(SECOND).close(2).derive();
    assert.deepEqual(found.sessions.map(calls), [[auth], []]);
  });

  it('has what only asked for TLS, or cancelled, before a login that was refused, in its prologue and not as a call', () => {
    const [ssl, gss, cancel] = ['\0\0\0\x08\x04\xd2\x16\x2f', '\0\0\0\x08\x04\xd2\x16\x30', '\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02'] as const;
    const login = '\0\0\0\x13\0\x03\0\0user\0shop\0\0';
    const remote = { host: '10.0.0.2', port: 5432 };
    const scene = new Scene().accept(1).read(1, 7, GET('/'));
    scene.connect(2, 7, { remote }).write(2, 7, gss).read(2, 7, 'N').write(2, 7, ssl).read(2, 7, 'N').write(2, 7, login).read(2, 7, 'E\0\0\0\x0cC28000\0\0').close(2);
    scene.connect(3, 7, { remote }).write(3, 7, ssl).close(3); // given up
    scene.connect(4, 7, { remote }).write(4, 7, cancel).close(4);
    const found = scene.write(1, 7, OK('x')).close(1).derive();
    assert.deepEqual(calls(one(found)), [login]);
    assert.deepEqual(one(found).prologues.map(({ chunks }) => textOf(chunks)), [`${gss}N${ssl}N`, ssl, cancel]);
    assert.deepEqual([found.ambient, one(found).certificate.state], [[], 'complete']);
  });

  it('has the greeting before a login that was refused in its prologue, and what the login was asked and said as calls', () => {
    const packet = (sequence: number, body: string): string => `${String.fromCharCode(body.length)}\0\0${String.fromCharCode(sequence)}${body}`;
    const greeting = packet(0, `\x0a5.5.5-10.11.19-MariaDB\0\x05\0\0\0abcdefgh\0\xfe\xf7\x08\x02\0\xff\x81\x15${'\0'.repeat(10)}abcdefghijkl\0mysql_native_password\0`);
    const login = packet(1, `\x85\xa2\x1a\0\0\0\0\x40\x08${'\0'.repeat(23)}shop\0\0mysql_native_password\0`);
    const [other, proof, error] = [packet(2, '\xfeed25519\0abc'), packet(3, 'h'.repeat(64)), packet(4, '\xff\x15\x04#28000Access denied')];
    const scene = new Scene().accept(1, 7).read(1, 7, GET('/')).connect(2, 7, { remote: { host: '10.0.0.2', port: 3306 } }).read(2, 7, greeting);
    const found = scene.write(2, 7, login).read(2, 7, other).write(2, 7, proof).read(2, 7, error).close(2).write(1, 7, OK('x')).close(1).derive();
    assert.deepEqual(calls(one(found)), [login, proof]);
    assert.deepEqual(one(found).prologues.map(({ chunks }) => textOf(chunks)), [greeting]);
    assert.deepEqual([found.ambient, one(found).certificate.state], [[], 'complete']);
  });

  it('has an error in place of a greeting as a call without a request, and what another server said unasked as none', () => {
    const error = '\x17\0\0\0\xff\x10\x04Too many connections';
    const remote = { host: '10.0.0.2', port: 3306 };
    const scene = new Scene().accept(1, 7).read(1, 7, GET('/')).connect(2, 7, { remote }).read(2, 7, error).close(2);
    scene.connect(3, 7, { remote: { host: '10.0.0.3', port: 25 } }).read(3, 7, '220 hello\r\n').close(3);
    scene.connect(4, 7, { remote: { host: '10.0.0.4', port: 80 } }).read(4, 7, 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n').close(4);
    const found = scene.write(1, 7, OK('x')).close(1).derive();
    assert.deepEqual(one(found).outbound.map(({ request, response, connection }) => [textOf(request), textOf(response), connection.protocol]), [['', error, 'mysql']]);
    assert.deepEqual([found.ambient, one(found).certificate.state], [[], 'complete']);
  });

  it('has what a server said first as a call without a request, where it is Redis\' error, or the server ended a connection that was asked nothing', () => {
    const [redis, memcached] = ['-ERR max number of clients reached\r\n', 'ERROR Too many open connections\r\n'];
    const scene = new Scene().accept(1, 7).read(1, 7, GET('/')).connect(2, 7, { remote: { host: '10.0.0.2', port: 7000 } }).read(2, 7, redis).close(2);
    scene.connect(3, 7, { remote: { host: '10.0.0.3', port: 11_211 } }).read(3, 7, memcached).close(3, 7, 'done', { byRemote: true });
    // Left by who connected, asked something, and an HTTP server's: none was turned away.
    scene.connect(4, 7, { remote: { host: '10.0.0.4', port: 25 } }).read(4, 7, '220 hello\r\n').close(4);
    scene.connect(5, 7, { remote: { host: '10.0.0.5', port: 25 } }).read(5, 7, '220 hello\r\n').write(5, 7, 'QUIT\r\n').read(5, 7, '221 bye\r\n').close(5, 7, 'done', { byRemote: true });
    scene.connect(6, 7, { remote: { host: '10.0.0.6', port: 80 } }).read(6, 7, 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n').close(6, 7, 'done', { byRemote: true });
    const found = scene.write(1, 7, OK('x')).close(1).derive();
    assert.deepEqual(one(found).outbound.map(({ request, response, connection }) => [textOf(request), textOf(response), connection.protocol]), [
      ['', redis, 'redis'], ['', memcached, 'unknown'], ['QUIT\r\n', '221 bye\r\n', 'unknown'],
    ]);
    assert.deepEqual([found.ambient, one(found).certificate.state], [[], 'complete']);
  });

  it('has the last words on a connection whose close is not told, once its thread reads another request', () => {
    const packet = (sequence: number, body: string): string => `${String.fromCharCode(body.length)}\0\0${String.fromCharCode(sequence)}${body}`;
    const greeting = packet(0, `\x0a5.5.5-10.11.19-MariaDB\0\x05\0\0\0abcdefgh\0\xfe\xf7\x08\x02\0\xff\x81\x15${'\0'.repeat(10)}abcdefghijkl\0mysql_native_password\0`);
    const login = packet(1, `\x85\xa2\x1a\0\0\0\0\x40\x08${'\0'.repeat(23)}shop\0\x14${'h'.repeat(20)}mysql_native_password\0`);
    const ok = packet(2, '\0\0\0\x02\0\0\0');
    const fine = packet(1, '\0\x01\0\x02\0\0\0');
    const scene = new Scene();
    for (const n of [1, 2]) {
      scene.accept(n, 7).read(n, 7, GET(`/${n}`)).connect(10 + n, 7, { remote: { host: 'unix:/run/mysqld.sock', port: 0 }, family: 'unix' });
      scene.read(10 + n, 7, greeting).write(10 + n, 7, login).read(10 + n, 7, ok).write(10 + n, 7, packet(0, '\x03delete from t')).read(10 + n, 7, fine);
      scene.write(n, 7, OK('x')).write(10 + n, 7, packet(0, '\x01')).close(n, 7);
    }
    const { sessions, ambient } = scene.pass(SECOND).derive({ orderly: false });
    assert.deepEqual(ambient.map((talk) => textOf(talk.request)), []);
    assert.deepEqual(calls(sessions[0]!), [packet(0, '\x03delete from t'), packet(0, '\x01')]);
    assert.deepEqual(sessions[0]!.certificate, { state: 'complete', lost: [], unseen: [] });
  });

  it('is not made of a connection whose open was lost: who asked and who answered is not known', () => {
    const found = new Scene().accept(1).read(1, 7, GET('/')).read(50, 7, '\x01\0\0\x01rows').write(50, 7, '\x03next').read(50, 7, '\x01\0\0\x01more').write(1, 7, OK('x')).close(50).close(1).derive();
    assert.deepEqual([calls(one(found)), unseen(one(found)), one(found).certificate.state], [[], ['unattributed 2'], 'incomplete']);
    assert.deepEqual(found.ambient.map((talk) => [textOf(talk.request), textOf(talk.response)]), [['\x01\0\0\x01rows', '\x03next'], ['\x01\0\0\x01more', '']]);
  });

  it('has no call on a connection whose open was lost, where no protocol tells a call from an answer', () => {
    const found = new Scene().accept(1).read(1, 7, GET('/')).write(50, 7, '\x01\0\0\x01rows').read(50, 7, '\x03next').write(1, 7, OK('x')).close(50).close(1).derive();
    assert.deepEqual([calls(one(found)), unseen(one(found)), found.ambient.length], [[], ['unattributed 1'], 1]);
  });

  it('is made of a connection whose open was lost from its second request on, where a protocol tells who asks', () => {
    const found = new Scene().read(50, 7, GET('/1')).write(50, 7, OK('a')).read(50, 7, GET('/2')).write(50, 7, OK('b')).close(50).derive();
    assert.deepEqual([textOf(one(found).inbound.request), unseen(one(found)), found.ambient.length], [GET('/2'), ['seen-late 1'], 1]);
  });

  it('keeps no more of an endless stream than it is allowed, and says what it left out', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/events')).write(1, 7, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let at = 0; at < 100; at += 1) scene.write(1, 7, `a\r\n${'x'.repeat(10)}\r\n`);
    const session = one(scene.write(1, 7, '0\r\n\r\n').close(1).derive({ maxTalkBytes: 500 }));
    const last = session.inbound.response.at(-1)!;
    assert.ok('gap' in last && last.cause === 'max-message' && session.inbound.response.length < 40);
    assert.equal(session.certificate.state, 'incomplete');
    const kept = session.inbound.response.reduce((sum, chunk) => sum + ('gap' in chunk ? chunk.gap : chunk.bytes.length), 0);
    assert.equal(kept, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'.length + 100 * 15 + 5);
  });
});

describe('a certificate', () => {
  it('names the bytes that are missing', () => {
    const session = one(new Scene().accept(1).read(1, 7, GET('/')).write(1, 7, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n').gap(1, 'egress', 7, 10, 'unreadable').close(1).derive());
    assert.deepEqual(session.certificate, { state: 'incomplete', lost: [{ connection: '1', direction: 'egress', from: 39, bytes: 10, cause: 'unreadable' }], unseen: [] });
  });

  it('names TLS with the name that was asked for, and QUIC and other UDP that came in, but not DNS', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).udp('egress', 7, 53, new Uint8Array(4)).udp('egress', 7, 443, new Uint8Array(4)).udp('egress', 7, 8125, new Uint8Array(4)).udp('ingress', 7, 8125, new Uint8Array(4));
    const hello = '\x16\x03\x01\x00\x2a\x01\x00\x00\x26\x03\x03' + 'r'.repeat(32) + '\x00\x00\x02\x13\x01';
    scene.connect(2, 7).write(2, 7, hello).read(2, 7, '\x16\x03\x03\x00\x01x').close(2).write(1, 7, OK('x')).close(1);
    const session = one(scene.derive());
    assert.deepEqual([unseen(session).sort(), session.certificate.state], [['quic 1', 'tls 1', 'udp 1'], 'incomplete']);
  });

  it('counts calls of its process that belong to nobody, while it had not answered and only then', () => {
    const stray = (scene: Scene, connection: number): Scene => scene.connect(connection, 50).write(connection, 50, GET('/x')).read(connection, 50, OK('x')).close(connection);
    const scene = stray(new Scene(), 2).accept(1).read(1, 7, GET('/'));
    stray(scene, 3).write(1, 7, OK('x')).close(1);
    const found = stray(scene, 4).derive();
    assert.deepEqual([unseen(one(found)), one(found).ties.unknown, found.ambient.length], [['unattributed 1'], 1, 3]);
    assert.deepEqual(found.ambient.map((talk) => talk.candidates), [[], [one(found).id], [one(found).id]], 'it is a candidate until its thread was quiet');
  });

  it('does not count the login of a connection that a thread of a pool opens, which is over after its answer', () => {
    const login = '*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n';
    const scene = new Scene().accept(1).read(1, 7, GET('/')).connect(2, 50, { remote: { host: '10.0.0.2', port: 6379 } }).write(2, 50, login);
    const found = scene.write(1, 7, OK('x')).read(2, 50, '+OK\r\n').close(1).derive();
    assert.deepEqual([unseen(one(found)), found.ambient], [[], []]);
  });

  it('does not count what another process does', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/'));
    scene.tgid = 200;
    scene.connect(2, 60).write(2, 60, GET('/x')).read(2, 60, OK('x')).close(2);
    scene.tgid = 100;
    assert.equal(one(scene.write(1, 7, OK('x')).close(1).derive()).certificate.state, 'complete');
  });

  it('is incomplete where a call refers to what a connection was told before the recorder, or nobody knows, not where it stands alone', () => {
    const through = (request: string, answer: string): string[] => unseen(one(new Scene().open(2, 0, 'seen', { egressFrom: 900, ingressFrom: 70 }).accept(1).read(1, 7, GET('/'))
      .write(2, 7, request).read(2, 7, answer).write(1, 7, OK('x')).close(1).close(2).derive()));
    assert.deepEqual(through('\x01who\n', '\x02me\n'), ['seen-late 1']);
    assert.deepEqual(through(GET('/up'), OK('u')), []);
    assert.deepEqual(through('*2\r\n$3\r\nGET\r\n$1\r\nk\r\n', '$-1\r\n'), [], 'it has state, but this refers to none');
    assert.deepEqual(through('*1\r\n$4\r\nEXEC\r\n', '*0\r\n'), ['seen-late 1']);
  });

  it('is open for what was not finished when the recording ended, and complete for what was', () => {
    const scene = new Scene().accept(1).accept(2).read(1, 7, GET('/done')).write(1, 7, OK('x')).read(2, 8, GET('/going')).write(2, 8, OK('half way').slice(0, -3));
    assert.deepEqual(scene.derive().sessions.map((session) => session.certificate.state), ['complete', 'open']);
    assert.deepEqual(scene.derive({ orderly: false }).sessions.map((session) => session.certificate.state), ['open', 'open']);
  });

  it('is open for a response by turn that was still being written, complete when it was quiet', () => {
    const scene = (): Scene => new Scene().accept(1).read(1, 7, '\x01ask').write(1, 7, '\x02answer');
    assert.equal(one(scene().derive()).certificate.state, 'open');
    assert.equal(one(scene().pass(6 * SECOND).derive()).certificate.state, 'complete');
  });

  it('is incomplete across a pause of the recorder', () => {
    const session = one(new Scene().accept(1).read(1, 7, GET('/')).pause(SECOND).write(1, 7, OK('x')).close(1).derive());
    assert.deepEqual(unseen(session), ['pause 1']);
  });

  it('is not touched by the pause that only ends a recording', () => {
    const session = one(new Scene().accept(1).read(1, 7, GET('/')).write(1, 7, OK('x')).close(1).pause(0).derive());
    assert.equal(session.certificate.state, 'complete');
  });

  it('is incomplete where events were lost meanwhile, also when that was reported a little later', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).write(1, 7, OK('x')).close(1).wait(0.1 * SECOND).lost('ring-full', 3);
    assert.deepEqual(unseen(one(scene.derive())), ['lost 3']);
  });
});

describe('names', () => {
  it('are those that the process had resolved by then', () => {
    const answer = (name: string, ip: string): Uint8Array => encode({ type: 'response', id: 1, questions: [{ type: 'A', name }], answers: [{ type: 'A', name, data: ip }] });
    const scene = new Scene().udp('ingress', 5, 53, answer('DB.local', '10.1.1.1')).accept(1).read(1, 7, GET('/')).write(1, 7, OK('x')).close(1);
    scene.udp('ingress', 5, 53, answer('late.local', '10.1.1.2')).udp('ingress', 5, 53, Uint8Array.of(1, 2, 3));
    scene.accept(2).read(2, 7, GET('/2')).write(2, 7, OK('x')).close(2);
    assert.deepEqual(scene.derive().sessions.map((session) => ({ ...session.names })),
      [{ 'db.local': ['10.1.1.1'] }, { 'db.local': ['10.1.1.1'], 'late.local': ['10.1.1.2'] }]);
  });
});
