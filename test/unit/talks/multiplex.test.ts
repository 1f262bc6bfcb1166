import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { bodyOf } from '../../../src/protocols/http2-message.ts';
import { Derivation } from '../../../src/sessions/derivation.ts';
import type { Chunk, Session, Talk } from '../../../src/sessions/session.ts';
import { summariseTalk } from '../../../src/store/session-summary.ts';
import { GET as GET1, Scene, textOf, OK as OK1 } from '../sessions/scene.ts';
import { ACK, block, data, frame, GET, headers, indexed, OK, PING, PREFACE, reset, SETTINGS, windowUpdate } from './frames.ts';

const bytes = (chunks: readonly Chunk[]): Buffer => Buffer.from(textOf(chunks), 'latin1');
const bodies = ({ request, response }: Talk): [string, string] => [Buffer.from(bodyOf(bytes(request))).toString('latin1'), Buffer.from(bodyOf(bytes(response))).toString('latin1')];
const lineOf = (talk: Talk): string => { const { text, status } = summariseTalk(talk); return status === undefined ? text : `${text} → ${status}`; };
const causes = ({ certificate }: Session): string[] => certificate.unseen.map(({ kind }) => kind);

/** What a real client and a real server say to each other, side by side in time, as they wrote it. */
async function spoken(ask: (client: http2.ClientHttp2Session) => Promise<unknown>): Promise<{ side: 'client' | 'server'; text: string }[]> {
  const said: { side: 'client' | 'server'; text: string }[] = [];
  const server = http2.createServer();
  server.on('stream', (stream, asked) => {
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'x-path': String(asked[':path']) }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'last' }));
      stream.end(`answer to ${String(asked[':path'])}: ${Buffer.concat(parts).length}${'.'.repeat(Buffer.concat(parts).length % 40_000)}`);
    });
  });
  await new Promise<void>((ok) => server.listen(0, '127.0.0.1', ok));
  const tap = net.createServer((socket) => {
    const beyond = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('data', (part) => { said.push({ side: 'client', text: part.toString('latin1') }); beyond.write(part); });
    beyond.on('data', (part) => { said.push({ side: 'server', text: part.toString('latin1') }); socket.write(part); });
    socket.on('end', () => beyond.end()).on('error', () => beyond.destroy());
    beyond.on('end', () => socket.end()).on('error', () => socket.destroy());
  });
  await new Promise<void>((ok) => tap.listen(0, '127.0.0.1', ok));
  const client = http2.connect(`http://127.0.0.1:${(tap.address() as AddressInfo).port}`);
  await ask(client);
  await new Promise<void>((ok) => client.close(ok));
  await new Promise((ok) => tap.close(ok));
  await new Promise((ok) => server.close(ok));
  return said;
}

function asked(client: http2.ClientHttp2Session, path: string, body = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = client.request({ ':method': body === '' ? 'GET' : 'POST', ':path': path, 'x-same': 'is indexed' }, { endStream: body === '' });
    let answer = '';
    request.setEncoding('latin1');
    request.on('data', (part: string) => { answer += part; }).on('end', () => resolve(answer)).on('error', reject);
    if (body !== '') request.end(body);
  });
}

const START = PREFACE + SETTINGS;

describe('talks of an HTTP/2 connection', () => {
  it('are what a real client asked on it side by side, each with its own body, wherever the streams are split', async function () {
    this.timeout(60_000);
    const answers = new Map<string, string>();
    const said = await spoken((client) => Promise.all([0, 1, 20, 70_000, 30_000].map(async (size, at) => { answers.set(`/item/${at}`, await asked(client, `/item/${at}`, 'b'.repeat(size))); })));
    const derive = (cut: number, inbound: boolean): Talk[] => {
      const scene = inbound ? new Scene().accept(1) : new Scene().connect(1, 7);
      for (const { side, text } of said) {
        for (let at = 0; at < text.length; at += cut) {
          if ((side === 'client') === inbound) scene.read(1, 7, text.slice(at, at + cut));
          else scene.write(1, 7, text.slice(at, at + cut));
        }
      }
      const found = scene.close(1).derive();
      return inbound ? found.sessions.map((session) => session.inbound) : found.ambient;
    };
    for (const [cut, inbound] of [[1e9, false], [1e9, true], [8_191, true], [100, false], [9, true], [1, false]] as const) {
      const talks = derive(cut, inbound);
      assert.equal(talks.length, 5, `in parts of ${cut}`);
      for (const talk of talks) {
        const path = talk.fields?.request.find(([name]) => name === ':path')?.[1] ?? '';
        const [sent, got] = bodies(talk);
        assert.equal(got, answers.get(path), `${path} in parts of ${cut}`);
        assert.equal(got.includes(`: ${sent.length}`), true);
        assert.match(lineOf(talk), /^(GET|POST) \/item\/\d → 200$/);
        assert.deepEqual(talk.fields?.response.at(-1), ['x-trailer', 'last']);
        assert.equal(talk.fields?.request.find(([name]) => name === 'x-same')?.[1], 'is indexed');
      }
      const held = (side: 'request' | 'response'): number => talks.reduce((sum, talk) => sum + bytes(talk[side]).length, 0);
      const all = (side: 'client' | 'server'): number => said.reduce((sum, one) => sum + (one.side === side ? one.text.length : 0), 0);
      assert.ok(held('request') <= all('client') && held('request') > 100_000 && held('response') <= all('server'));
    }
  });

  it('hold each byte of theirs once, and the connection\'s own are its prologue or in no talk', () => {
    const client = START + GET(1, '/a') + windowUpdate(0) + GET(3, '/b') + PING;
    const server = SETTINGS + ACK + OK(3, 'two') + windowUpdate(0) + OK(1, 'one');
    const found = new Scene().connect(1, 7).write(1, 7, client).read(1, 7, server).write(1, 7, ACK).close(1).derive();
    assert.deepEqual(found.ambient.map((talk) => [textOf(talk.request), textOf(talk.response)]), [[GET(3, '/b'), OK(3, 'two')], [GET(1, '/a'), OK(1, 'one')]]);
    const account = found.connections.get('1');
    assert.deepEqual([account?.egress.bytes, account?.ingress.bytes, account?.egress.gaps], [client.length + ACK.length, server.length, []]);
  });

  it('are sessions of their own where the connection came in, also when all came in one read', () => {
    const scene = new Scene().accept(1).read(1, 7, START + GET(1, '/a') + GET(3, '/b') + data(5, 'to nobody')).write(1, 7, SETTINGS + ACK).write(1, 7, OK(3, 'b')).write(1, 7, OK(1, 'a')).close(1);
    const { sessions } = scene.derive();
    assert.deepEqual(sessions.map(({ inbound }) => [lineOf(inbound), bodies(inbound)[1]]), [['GET /a → 200', 'a'], ['GET /b → 200', 'b']]);
    assert.deepEqual(sessions.map((session) => session.certificate.state), ['complete', 'complete']);
    assert.equal(new Set(sessions.map(({ id }) => id)).size, 2);
  });

  it('keep what set the connection up as the prologue of the sessions that call on it', () => {
    const scene = new Scene().accept(1).read(1, 7, GET1('/in')).connect(2, 7).write(2, 7, START).read(2, 7, SETTINGS).write(2, 7, ACK + GET(1, '/out')).read(2, 7, ACK + OK(1, 'x')).write(1, 7, OK1('done')).write(2, 7, PING).close(2).close(1);
    const [session] = scene.derive().sessions;
    assert.equal(session?.outbound.length, 1);
    assert.equal(lineOf(session!.outbound[0]!), 'GET /out → 200');
    assert.deepEqual(session?.prologues.map(({ chunks }) => textOf(chunks)), [START + SETTINGS + ACK + ACK]);
  });

  it('are told by their gRPC method, and by the status in their trailers', () => {
    const call = (stream: number, path: string): string => headers(stream, { ':method': 'POST', ':scheme': 'http', ':path': path, 'content-type': 'application/grpc' }, false) + data(stream, '\0\0\0\0\x02hi');
    const answer = (stream: number, status: string): string => headers(stream, { ':status': '200', 'content-type': 'application/grpc' }, false) + data(stream, '\0\0\0\0\x02ho', false) + headers(stream, { 'grpc-status': status });
    const scene = new Scene().connect(1, 7).write(1, 7, START + call(1, '/echo.Echo/Say') + call(3, '/echo.Echo/Find')).read(1, 7, SETTINGS + answer(1, '0') + headers(3, { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '5' })).close(1);
    assert.deepEqual(scene.derive().ambient.map(lineOf), ['gRPC /echo.Echo/Say → OK', 'gRPC /echo.Echo/Find → NOT_FOUND']);
  });

  it('end where a stream is reset, and say by whom', () => {
    const scene = new Scene().connect(1, 7).write(1, 7, START + GET(1, '/a') + GET(3, '/b') + GET(5, '/c')).read(1, 7, SETTINGS + reset(1)).write(1, 7, reset(3)).read(1, 7, headers(5, { ':status': '204' }) + reset(5, 0)).close(1);
    assert.deepEqual(scene.derive().ambient.map(({ end }) => end), [{ kind: 'reset', by: 'remote' }, { kind: 'reset', by: 'local' }, undefined]);
  });

  it('may begin after a server that speaks first', () => {
    const scene = new Scene().accept(1).write(1, 7, SETTINGS).read(1, 7, START + GET(1, '/a')).write(1, 7, ACK + OK(1, 'a')).close(1);
    assert.deepEqual(scene.derive().sessions.map(({ inbound }) => lineOf(inbound)), ['GET /a → 200']);
  });

  it('read interim answers, header blocks in parts, and padding', () => {
    const split = block({ ':method': 'GET', ':path': '/split' });
    const request = frame(1, 0x1 | 0x8 | 0x20, 1, `\x03\0\0\0\0\x10${split.slice(0, 5)}\0\0\0`) + frame(9, 0, 1, split.slice(5, 9)) + frame(9, 4, 1, split.slice(9));
    const answer = headers(1, { ':status': '103' }, false) + headers(1, { ':status': '200' }, false) + frame(0, 0x9, 1, '\x02body\0\0');
    const [talk] = new Scene().connect(1, 7).write(1, 7, START + request).read(1, 7, SETTINGS + answer).close(1).derive().ambient;
    assert.deepEqual([lineOf(talk!), bodies(talk!)[1]], ['GET /split → 200', 'body']);
  });

  it('are those of one write that the kernel took in two steps', () => {
    const write = GET(1, '/a') + GET(3, '/b');
    const taken = GET(1, '/a').length + 4;
    const scene = new Scene().connect(1, 7).write(1, 7, START).read(1, 7, SETTINGS).write(1, 7, write).accepted(1, 7, START.length, taken).write(1, 7, write.slice(taken)).read(1, 7, OK(1, 'a') + OK(3, 'b')).close(1);
    assert.deepEqual(scene.derive().ambient.map((talk) => [lineOf(talk), textOf(talk.request)]), [['GET /a → 200', GET(1, '/a')], ['GET /b → 200', GET(3, '/b')]]);
  });
});

describe('HTTP/2 connections that were not seen whole', () => {
  const inbound = (scene: Scene): Session[] => scene.close(1).derive().sessions;

  it('say of a connection older than the recorder which header fields are not known, and guess none', () => {
    const known = frame(1, 5, 7, `\x82\x86\x84${indexed('x-new', 'one')}`);
    const later = frame(1, 5, 9, '\x82\x86\xbf\xbe');
    const scene = new Scene().open(1, 7, 'seen', { role: 'inbound', ingressFrom: 500, egressFrom: 900 }).read(1, 7, known).write(1, 7, OK(7, 'a')).read(1, 7, later).write(1, 7, OK(9, 'b'));
    const [first, second] = inbound(scene);
    assert.deepEqual([lineOf(first!.inbound), first!.inbound.fields?.unknown], ['GET / → 200', undefined]);
    assert.deepEqual(second?.inbound.fields?.request, [[':method', 'GET'], [':scheme', 'http'], ['x-new', 'one']]);
    assert.equal(lineOf(second!.inbound), 'GET (path unknown) → 200');
    assert.match(second?.inbound.fields?.unknown ?? '', /before the recorder came/);
    assert.deepEqual([causes(first!), causes(second!)], [[], ['http2']]);
  });

  it('lose a body\'s bytes to a gap in it, and nothing else', () => {
    const scene = new Scene().accept(1).read(1, 7, START + headers(1, { ':method': 'POST', ':path': '/a' }, false) + frame(0, 1, 1, 'x'.repeat(10)).slice(0, 12)).gap(1, 'ingress', 7, 7, 'ring-full').read(1, 7, GET(3, '/b'));
    const sessions = inbound(scene.write(1, 7, SETTINGS + OK(1, 'a') + OK(3, 'b')));
    assert.deepEqual(sessions.map((session) => [lineOf(session.inbound), session.certificate.lost.length, session.certificate.state]), [['POST /a → 200', 1, 'incomplete'], ['GET /b → 200', 0, 'complete']]);
  });

  it('lose the header fields to a gap in a header block, and those of later requests that refer to it', () => {
    const hurt = frame(1, 5, 3, `\x82\x86${indexed(':path', '/hurt')}`);
    const scene = new Scene().accept(1).read(1, 7, START + frame(1, 5, 1, `\x82\x86${indexed(':path', '/first')}`)).read(1, 7, hurt.slice(0, 12)).gap(1, 'ingress', 7, hurt.length - 12, 'ring-full');
    const sessions = inbound(scene.read(1, 7, GET(5, '/whole') + frame(1, 5, 7, '\x82\x86\xbf')).write(1, 7, SETTINGS + [1, 3, 5, 7].map((stream) => OK(stream, 'x')).join('')));
    assert.deepEqual(sessions.map((session) => [lineOf(session.inbound), causes(session)]), [
      ['GET /first → 200', []], ['HTTP/2 (path unknown) → 200', ['http2']], ['GET /whole → 200', []], ['GET (path unknown) → 200', ['http2']],
    ]);
  });

  it('go by turn from a gap in a frame\'s head on, say so, and are cut by stream again at the next request that can be told', () => {
    const scene = new Scene().accept(1).read(1, 7, START + GET(1, '/a')).write(1, 7, SETTINGS + OK(1, 'a')).read(1, 7, GET(3, '/lost').slice(0, 3)).gap(1, 'ingress', 7, 30, 'ring-full').write(1, 7, OK(3, 'lost'));
    const sessions = inbound(scene.read(1, 7, frame(1, 5, 5, '\x82\x86\x84')).write(1, 7, OK(5, 'b')).read(1, 7, GET(7, '/c')).write(1, 7, OK(7, 'c')));
    const told = sessions.map((session) => [lineOf(session.inbound), causes(session)]);
    assert.deepEqual(told[0], ['GET /a → 200', []]);
    assert.ok(told.some(([line, why]) => line === 'HTTP/2' && why?.includes('http2')));
    assert.deepEqual(told.at(-1), ['GET /c → 200', []]);
  });

  it('are settled by what is proven later, also where the connection is cut by turn since', () => {
    const scene = new Scene().accept(1).read(1, 7, GET1('/in')).connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS)
      .write(9, 7, GET(1, '/out')).read(9, 7, OK(1, 'x') + GET(3, '/lost').slice(0, 3)).gap(9, 'ingress', 7, 30, 'ring-full').lost('ring-full', 1).close(9)
      .write(1, 7, OK1('done')).accept(2).read(2, 7, GET1('/next')).write(2, 7, OK1('n')).close(1).close(2).pass(60_000_000).accept(3).read(3, 7, GET1('/x'));
    const given: Session[] = [];
    const derivation = new Derivation({ recordingId: 'test', onSession: (session) => given.push(session) });
    for (const event of scene.events) derivation.push(event);
    assert.deepEqual(given.map(({ inbound, outbound }) => [lineOf(inbound), outbound.map(lineOf)]), [['GET /in → 200', ['GET /out → 200']]]);
  });
});

describe('calls over HTTP/2', () => {
  const named = (name: string): string => `GET /${name} HTTP/1.1\r\nX-Request-Id: request-${name}\r\n\r\n`;
  /** An event loop that has read two requests and then writes both their calls at once. */
  const together = (more: Record<string, string>[] = [{}, {}]): Scene => new Scene()
    .connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS).write(9, 7, ACK)
    .accept(1).accept(2).read(1, 7, named('one')).read(2, 7, named('two'))
    .write(9, 7, GET(1, '/p', more[0]) + GET(3, '/q', more[1])).read(9, 7, OK(3, 'q') + OK(1, 'p'))
    .write(1, 7, OK1('1')).write(2, 7, OK1('2')).close(9).close(1).close(2);

  it('of two sessions in one write are tied to neither by who wrote it', () => {
    const { sessions, ambient } = together().derive();
    assert.deepEqual(sessions.map(({ outbound }) => outbound.length), [0, 0]);
    assert.equal(ambient.length, 2);
  });

  it('of two sessions in one write are each tied by the id that it carries', () => {
    const { sessions } = together([{ 'x-request-id': 'request-two' }, { 'x-request-id': 'request-one' }]).derive();
    assert.deepEqual(sessions.map(({ outbound }) => outbound.map((call) => [lineOf(call), call.attribution, call.certainty])),
      [[['GET /q → 200', 'trace', 'likely']], [['GET /p → 200', 'trace', 'likely']]]);
  });

  it('of two sessions in one write that is too long to be looked at beforehand are tied to neither by who wrote it', () => {
    const both = GET(1, '/p') + GET(3, '/q');
    const scene = new Scene().connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS).write(9, 7, ACK)
      .accept(1).accept(2).read(1, 7, named('one')).read(2, 7, named('two')).intent(9, 7, both.length);
    scene.write(9, 7, both).read(9, 7, OK(3, 'q') + OK(1, 'p')).write(1, 7, OK1('1')).write(2, 7, OK1('2')).close(9).close(1).close(2);
    const { sessions, ambient } = scene.derive();
    assert.deepEqual([sessions.map(({ outbound }) => outbound.length), ambient.map(lineOf).sort()], [[0, 0], ['GET /p → 200', 'GET /q → 200']]);
    assert.deepEqual(sessions.map(({ ties }) => ties.unknown), [2, 2]);
  });

  /** A loop takes up /one and calls for it, takes up /two and then writes two calls at once. `looked`: what the write holds is seen when it begins; meanwhile another thread takes up /three. */
  const behind = (looked: boolean, waitUs = 0): Scene => {
    const both = GET(3, '/p') + GET(5, '/q');
    const scene = new Scene().connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS).write(9, 7, ACK).accept(1, 7).accept(2, 7).accept(3, 8).read(1, 7, GET1('/one')).write(9, 7, GET(1, '/a')).read(2, 7, GET1('/two'));
    if (!looked) scene.intent(9, 7, both.length).read(3, 8, GET1('/three'));
    scene.write(9, 7, both).read(9, 7, OK(1, 'a')).write(1, 7, OK1('1')).write(2, 7, OK1('2'));
    if (looked) scene.read(3, 8, GET1('/three'));
    return scene.write(3, 8, OK1('3')).close(1).close(2).close(3).pass(waitUs).read(9, 7, OK(3, 'p') + OK(5, 'q')).close(9);
  };

  it('in one write are of nobody who is known where the first seemed to be that of the request taken up last: each may be another\'s', () => {
    for (const looked of [true, false]) {
      const { sessions, ambient, connections } = behind(looked).derive();
      assert.deepEqual(sessions.map(({ outbound }) => outbound.map(lineOf)), [['GET /a → 200'], [], []]);
      // Nor of a request that was read when the write had begun.
      const [one, two] = sessions.map(({ id }) => id);
      assert.deepEqual(ambient.map((talk) => [lineOf(talk), talk.candidates]).sort(), [['GET /p → 200', [one, two]], ['GET /q → 200', [one, two]]]);
      assert.deepEqual(sessions.map(({ ties, certificate }) => [ties.unknown, certificate.state]), [[2, 'incomplete'], [2, 'incomplete'], [0, 'complete']]);
      assert.equal(connections.get('9')?.sessions, 1);
    }
  });

  it('in one write are told of also where the sessions that may have made them are given out before they are answered', () => {
    const told = ({ ambient }: ReturnType<Scene['derive']>): string[] => ambient.map(lineOf).sort();
    for (const looked of [true, false]) assert.deepEqual(told(behind(looked, 10_000_000).derive()), ['GET /p → 200', 'GET /q → 200']);
  });

  it('in one write count for no session where who writes them is excluded', () => {
    const scene = new Scene().workers().connect(9, 91).write(9, 91, START).read(9, 91, SETTINGS).accept(1, 91).read(1, 91, GET1('/one')).helper(91, 'exclude').write(9, 91, GET(1, '/p') + GET(3, '/q'));
    const { sessions, ambient } = scene.read(9, 91, OK(1, 'p') + OK(3, 'q')).helper(91, 'include').write(1, 91, OK1('1')).close(9).close(1).derive({ reasons: true });
    const one = sessions.find(({ inbound }) => textOf(inbound.request).includes('/one'));
    assert.deepEqual([one?.outbound.length, one?.certificate.state, ambient.map((talk) => [lineOf(talk), talk.whyNot])], [0, 'complete', [['GET /p → 200', ['excluded']], ['GET /q → 200', ['excluded']]]]);
  });

  it('in one write are both what the process does by itself where no request waits: the like of either is nobody\'s later', () => {
    const told = (idle: string): number[] => {
      const scene = new Scene().connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS).write(9, 7, GET(1, '/metrics') + GET(3, idle)).read(9, 7, OK(1, 'm') + OK(3, 'i')).accept(1, 7).accept(2, 7);
      scene.read(1, 7, GET1('/one')).read(2, 7, GET1('/two')).write(1, 7, OK1('1')).wait(2_000).write(9, 7, GET(5, '/heartbeat')).read(9, 7, OK(5, 'h')).write(2, 7, OK1('2')).close(9).close(1).close(2);
      return scene.derive().sessions.map(({ outbound }) => outbound.length);
    };
    assert.deepEqual([told('/something'), told('/heartbeat')], [[0, 1], [0, 0]]);
  });

  it('of one session in one write are both its own', () => {
    const scene = new Scene().connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS).accept(1).read(1, 7, GET1('/one')).write(9, 7, GET(1, '/p') + GET(3, '/q')).read(9, 7, OK(1, 'p') + OK(3, 'q')).write(1, 7, OK1('1')).close(9).close(1);
    assert.deepEqual(scene.derive().sessions[0]?.outbound.map(lineOf), ['GET /p → 200', 'GET /q → 200']);
  });

  it('are asked for when their write begins, and not when the connection is used again', () => {
    const scene = new Scene().connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS).accept(1).accept(2).read(1, 7, GET1('/one')).write(9, 7, GET(1, '/of-one')).write(1, 7, OK1('1')).read(2, 7, GET1('/two')).write(2, 7, OK1('2')).read(9, 7, OK(1, 'x')).close(9).close(1).close(2);
    assert.deepEqual(scene.derive().sessions.map(({ inbound, outbound }) => [textOf(inbound.request).slice(4, 8), outbound.map(lineOf)]), [['/one', ['GET /of-one → 200']], ['/two', []]]);
  });

  it('are asked for when their write begins also where that is gathered from several places, the first of which opens nothing', () => {
    const call = GET(1, '/of-one');
    for (const [first, then] of [[PING, call], [call.slice(0, 12), call.slice(12)]] as const) {
      const scene = new Scene().connect(9, 7).write(9, 7, START).read(9, 7, SETTINGS).accept(1).accept(2).read(1, 7, GET1('/one')).write(9, 7, first, { more: true }).write(9, 7, then);
      scene.write(1, 7, OK1('1')).read(2, 7, GET1('/two')).write(2, 7, OK1('2')).read(9, 7, OK(1, 'x')).close(9).close(1).close(2);
      assert.deepEqual(scene.derive().sessions.map(({ inbound, outbound }) => [textOf(inbound.request).slice(4, 8), outbound.map(lineOf)]), [['/one', ['GET /of-one → 200']], ['/two', []]]);
    }
  });

  it('are never proven: who writes on such a connection may write for others', () => {
    const scene = new Scene().workers().connect(9, 91).write(9, 91, START).read(9, 91, SETTINGS).accept(1, 91).read(1, 91, GET1('/one')).write(9, 91, GET(1, '/p')).read(9, 91, OK(1, 'p')).write(1, 91, OK1('1')).close(9).close(1);
    const { sessions } = scene.derive();
    const one = sessions.find(({ inbound }) => textOf(inbound.request).includes('/one'));
    assert.deepEqual(one?.outbound.map(({ attribution, certainty }) => [attribution, certainty]), [['thread', 'likely']]);
  });
});
