import assert from 'node:assert/strict';
import { GET, OK, Scene, textOf } from '../sessions/scene.ts';
import type { Findings } from '../sessions/scene.ts';

const PORT = { remote: { host: '10.0.0.2', port: 6379 } };
const talks = (found: Findings): [string, string][] => found.ambient.map((talk) => [textOf(talk.request), textOf(talk.response)]);

describe('talks of an outbound connection', () => {
  it('are a request and its answer, also where requests are written ahead', () => {
    const get = (key: string): string => `*2\r\n$3\r\nGET\r\n$1\r\n${key}\r\n`;
    const scene = new Scene().connect(1, 7, PORT).write(1, 7, get('a')).write(1, 7, get('b') + get('c')).read(1, 7, '$1\r\n1\r\n$1\r\n').read(1, 7, '2\r\n$1\r\n3\r\n').close(1);
    assert.deepEqual(talks(scene.derive()), [[get('a'), '$1\r\n1\r\n'], [get('b'), '$1\r\n2\r\n'], [get('c'), '$1\r\n3\r\n']]);
  });

  it('are the same wherever the streams are split', () => {
    const [requests, answers] = [GET('/a') + GET('/b'), OK('one') + OK('two')];
    const wanted = [[GET('/a'), OK('one')], [GET('/b'), OK('two')]];
    for (let at = 1; at < requests.length; at += 1) {
      const found = new Scene().connect(1, 7).write(1, 7, requests.slice(0, at)).write(1, 7, requests.slice(at)).read(1, 7, answers).close(1).derive();
      assert.deepEqual(talks(found), wanted, `requests at ${at}`);
    }
    for (let at = 1; at < answers.length; at += 1) {
      const found = new Scene().connect(1, 7).write(1, 7, requests).read(1, 7, answers.slice(0, at)).read(1, 7, answers.slice(at)).close(1).derive();
      assert.deepEqual(talks(found), wanted, `answers at ${at}`);
    }
  });

  it('keep interim responses with the response that follows', () => {
    const post = 'POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n';
    const scene = new Scene().connect(1, 7).write(1, 7, post).read(1, 7, 'HTTP/1.1 100 Continue\r\n\r\n').write(1, 7, 'hi').read(1, 7, OK('x')).close(1);
    assert.deepEqual(talks(scene.derive()), [[`${post}hi`, `HTTP/1.1 100 Continue\r\n\r\n${OK('x')}`]]);
  });

  it('take an answer that comes before the request is complete', () => {
    const post = 'POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n';
    const refusal = 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n';
    const scene = new Scene().connect(1, 7).write(1, 7, post).read(1, 7, refusal).write(1, 7, 'x'.repeat(50)).close(1, 7, 'done', { reset: true, byRemote: true, error: 104 });
    const found = scene.derive();
    assert.deepEqual(talks(found), [[post + 'x'.repeat(50), refusal]]);
    assert.deepEqual(found.ambient[0]!.end, { kind: 'reset', by: 'remote', errno: 104 });
  });

  it('go by turn after an upgrade', () => {
    const upgrade = 'GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const scene = new Scene().connect(1, 7).write(1, 7, upgrade).read(1, 7, switching).write(1, 7, '\x81ping').read(1, 7, '\x81pong').write(1, 7, '\x81more').read(1, 7, '\x81yes').close(1);
    assert.deepEqual(talks(scene.derive()), [[upgrade, switching], ['\x81ping', '\x81pong'], ['\x81more', '\x81yes']]);
  });

  it('are framed again at the next turn after a gap', () => {
    const scene = new Scene().connect(1, 7).write(1, 7, GET('/a')).read(1, 7, 'HTTP/1.1 200 OK\r\nConte').skip(1, 'ingress', 30).read(1, 7, 'rest');
    const found = scene.write(1, 7, GET('/b') + GET('/c')).read(1, 7, OK('b') + OK('c')).close(1).derive();
    assert.deepEqual(talks(found), [[GET('/a'), 'HTTP/1.1 200 OK\r\nConte<30 unknown>rest'], [GET('/b'), OK('b')], [GET('/c'), OK('c')]]);
  });

  it('give an answer by packets that come late to the request they answer, by position', () => {
    const scene = new Scene().accept(1).read(1, 7, '\x01a').write(1, 7, '\x02head').sent(1, 7, 5, 4).read(1, 7, '\x01b').write(1, 7, '\x02next').packet(1, 5, 'file').close(1);
    assert.deepEqual(scene.derive().sessions.map((session) => textOf(session.inbound.response)), ['\x02headfile', '\x02next']);
  });

  it('are framed on where a send that was gathered from several places was taken in part only, or not at all', () => {
    for (const taken of [0, 3, 10, OK('one').length - 1]) {
      const [one, two] = [OK('one'), OK('two')];
      const scene = new Scene().accept(1).read(1, 7, GET('/a') + GET('/b'));
      scene.write(1, 7, one.slice(0, 5), { more: true }).write(1, 7, one.slice(5, 20), { more: true }).write(1, 7, one.slice(20)).accepted(1, 7, 0, taken);
      const found = scene.wait(50).write(1, 7, one.slice(taken)).write(1, 7, two).derive();
      assert.deepEqual(found.sessions.map((each) => [textOf(each.inbound.request), textOf(each.inbound.response)]), [[GET('/a'), one], [GET('/b'), two]], `${taken} taken`);
      assert.deepEqual(found.sessions.map((each) => each.certificate.state), ['complete', 'complete']);
    }
  });

  it('are whole where another thread reads in the midst of a send that was gathered from several places', () => {
    const [one, two] = [OK('one'), OK('two')];
    const scene = new Scene().accept(1).read(1, 7, GET('/a')).write(1, 7, one.slice(0, 5), { more: true });
    scene.read(1, 8, GET('/b')).write(1, 7, one.slice(5, 20), { more: true }).write(1, 7, one.slice(20)).accepted(1, 7, 0, 12);
    const found = scene.write(1, 7, one.slice(12)).write(1, 8, two).close(1).derive();
    assert.deepEqual(found.sessions.map((each) => textOf(each.inbound.response)), [one, two]);
  });

  it('are recognised also where the first bytes come one by one', () => {
    const scene = new Scene().connect(1, 7);
    for (const byte of GET('/a') + GET('/b')) scene.write(1, 7, byte);
    const found = scene.read(1, 7, OK('1') + OK('2')).close(1).derive();
    assert.deepEqual(talks(found), [[GET('/a'), OK('1')], [GET('/b'), OK('2')]]);
    assert.deepEqual(found.ambient.map((talk) => talk.connection.protocol), ['http', 'http']);
  });

  it('are none of a connection that was only set up: that is its prologue', () => {
    const auth = '*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n';
    assert.deepEqual(talks(new Scene().connect(1, 7, PORT).write(1, 7, auth).read(1, 7, '+OK\r\n').close(1).derive()), []);
    assert.deepEqual(talks(new Scene().connect(1, 7, PORT).write(1, 7, auth).read(1, 7, '+OK\r\n').derive()), []);
  });

  it('are dropped where the send that opened them moved nothing', () => {
    assert.deepEqual(talks(new Scene().connect(1, 7).intent(1, 7, 100_000).accepted(1, 7, 0, 0).close(1).derive()), []);
  });

  it('bound the requests that wait for an answer', () => {
    const scene = new Scene().connect(1, 7);
    for (let at = 0; at < 10_050; at += 1) scene.write(1, 7, GET('/'));
    const { ambient } = scene.close(1).derive();
    assert.equal(ambient.reduce((sum, talk) => sum + textOf(talk.request).length, 0), 10_050 * GET('/').length);
  });
});
