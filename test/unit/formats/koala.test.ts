/** koala's format, as its own recorder writes it. */
import assert from 'node:assert/strict';
import { parse } from 'lossless-json';
import { escaped, koalaSession, koalaText } from '../../../src/formats/koala.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { bytesOf, GET, OK, Scene } from '../sessions/scene.ts';

const one = (scene: Scene): Session => scene.derive().sessions[0] as Session;
interface Known {
  readonly ActionIndex: number;
  readonly OccurredAt: bigint;
  readonly ActionType: string;
  readonly [field: string]: unknown;
}
const actionsOf = (session: Session): Known[] => koalaSession(session)['Actions'] as Known[];
/** What midi does to it. */
const unescaped = (text: string): Buffer => Buffer.concat(text.split(/(\\x[0-9a-f]{2})/).map((part, at) => (at % 2 === 1 ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part, 'utf8'))));

describe('koala format', () => {
  it('shows bytes as text, the rest as \\xNN, and \\ as \\x5c', () => {
    const shown: [Uint8Array, string][] = [
      [bytesOf('hello'), 'hello'], [bytesOf('a\tb\r\nc"'), 'a\tb\r\nc"'], [bytesOf('hel\\x00lo'), 'hel\\x5cx00lo'], [Uint8Array.of(0, 1, 31), '\\x00\\x01\\x1f'],
      [Buffer.from('中文 é 😀'), '中文 é 😀'], [Buffer.from('\ufffdBEEF'), '\\xef\\xbf\\xbdBEEF'], [Uint8Array.of(0x61, 0xff, 0xe4, 0xb8, 0x62), 'a\\xff\\xe4\\xb8b'],
      [Uint8Array.of(0xc0, 0x80, 0xed, 0xa0, 0x80), '\\xc0\\x80\\xed\\xa0\\x80'], [new Uint8Array(0), ''],
    ];
    for (const [bytes, text] of shown) assert.equal(escaped(bytes), text);
  });

  it('loses no byte, whichever they are', () => {
    let seed = 7;
    const next = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    for (let round = 0; round < 500; round += 1) {
      const parts = Array.from({ length: next(12) }, () => [Buffer.from('\\x41é中😀\ufffd\n'), Buffer.from([next(256)]), Buffer.from([0xe4, 0xb8]), Buffer.from('text')][next(4)] as Buffer);
      const bytes = Buffer.concat(parts);
      assert.deepEqual(unescaped(escaped(bytes)), bytes);
    }
  });

  it('gives each kind of action the fields that koala gives it', () => {
    const scene = new Scene().accept(1, 7).read(1, 7, GET('/1')).append(7, '/var/log/app.log', 0, 'begin\n').connect(2, 7).write(2, 7, GET('/up')).read(2, 7, OK('y'))
      .udp('egress', 7, 8125, bytesOf('n:1|c')).helper(7, 'read-storage', { body: 'cached' }).append(7, '/var/log/app.log', 6, 'end\n').append(7, '/var/log/audit.log', 0, 'audit\n').write(1, 7, OK('x')).close(2, 7).close(1, 7);
    const session = one(scene);
    const koala = koalaSession(session);
    const startedNs = BigInt(session.startedAtUs) * 1000n;
    const at = (afterUs: number): bigint => startedNs + BigInt(afterUs) * 1000n;
    assert.deepEqual(Object.keys(koala).sort(), ['Actions', 'CallFromInbound', 'Context', 'NextSessionId', 'ReturnInbound', 'SessionId', 'SpanId', 'ThreadId', 'TraceHeader', 'TraceId']);
    assert.deepEqual(koala['CallFromInbound'], {
      ActionIndex: 0, OccurredAt: startedNs, ActionType: 'CallFromInbound', Peer: { IP: '10.0.0.9', Port: 50_001, Zone: '' }, UnixAddr: { Name: '', Net: '' }, Request: GET('/1'),
    });
    assert.deepEqual(koala['Actions'], [
      { ActionIndex: 0, OccurredAt: at(10), ActionType: 'AppendFile', FileName: '/var/log/app.log', Content: 'begin\nend\n' },
      {
        ActionIndex: 1, OccurredAt: at(30), ActionType: 'CallOutbound', SocketFD: 2, Peer: { IP: '10.0.0.2', Port: 9000, Zone: '' }, UnixAddr: { Name: '', Net: '' },
        Request: GET('/up'), ResponseTime: at(40), Response: OK('y'), CSpanId: '',
      },
      { ActionIndex: 2, OccurredAt: at(50), ActionType: 'SendUDP', Peer: { IP: '10.0.0.53', Port: 8125, Zone: '' }, Content: 'n:1|c' },
      { ActionIndex: 3, OccurredAt: at(60), ActionType: 'ReadStorage', Content: 'cached' },
      { ActionIndex: 4, OccurredAt: at(80), ActionType: 'AppendFile', FileName: '/var/log/audit.log', Content: 'audit\n' },
      { ActionIndex: 5, OccurredAt: at(90), ActionType: 'ReturnInbound', Response: OK('x') },
    ]);
    assert.deepEqual(koala['ReturnInbound'], (koala['Actions'] as unknown[])[5]);
    assert.deepEqual([koala['SessionId'], koala['ThreadId'], koala['Context'], koala['TraceHeader']], [`${startedNs}-7`, 7, session.id, { ti: session.id }]);
  });

  it('keeps every digit of a time in nanoseconds', () => {
    const session = one(new Scene().accept(1, 7).read(1, 7, GET('/')).write(1, 7, OK('x')).close(1, 7));
    const read = parse(koalaText({ ...session, startedAtUs: 1_780_000_000_123_456.25 }, false)) as { CallFromInbound: { OccurredAt: { toString: () => string } } };
    assert.equal(read.CallFromInbound.OccurredAt.toString(), '1780000000123456250');
    assert.equal(koalaText(session, false).includes('\n'), false);
    assert.match(koalaText(session, true), /^\{\n {2}"Context"/);
  });

  it('has set-up that fell into the session as calls, a greeting without a request, and none that came before', () => {
    const chunk = (atUs: number, direction: 'ingress' | 'egress', text: string) => ({ atUs, tid: 7, direction, bytes: bytesOf(text) });
    const session = one(new Scene().accept(1, 7).read(1, 7, GET('/')).write(1, 7, OK('x')).close(1, 7));
    const { startedAtUs } = session;
    const prologues = [
      { connection: '5', destination: '10.0.0.2:3306', chunks: [chunk(startedAtUs + 1, 'ingress', 'greeting'), chunk(startedAtUs + 2, 'egress', 'login'), chunk(startedAtUs + 3, 'egress', '!'), chunk(startedAtUs + 4, 'ingress', 'ok')] },
      { connection: '4', destination: 'unix:/run/x.sock', chunks: [chunk(startedAtUs - 9, 'egress', 'earlier')] },
    ];
    const calls = actionsOf({ ...session, prologues }).filter(({ ActionType }) => ActionType === 'CallOutbound');
    assert.deepEqual(calls.map(({ Request, Response, SocketFD }) => [Request, Response, SocketFD]), [['', 'greeting', 5], ['login!', 'ok', 5]]);
  });

  it('names IPv6 peers and unix sockets, has no answer where there was none, and the trace', () => {
    const traced = `GET / HTTP/1.1\r\nHost: x\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n`;
    const session = one(new Scene().accept(1, 7, { remote: { host: '::1', port: 9 } }).read(1, 7, traced).connect(2, 7, { family: 'unix', remote: { host: 'unix:/run/x.sock', port: 0 } })
      .write(2, 7, GET('/up')).read(2, 7, OK('y')).close(2, 7).close(1, 7));
    const koala = koalaSession(session);
    assert.deepEqual((koala['CallFromInbound'] as Known)['Peer'], { IP: '::1', Port: 9, Zone: '' });
    assert.deepEqual(actionsOf(session).map(({ Peer, UnixAddr }) => [Peer, UnixAddr]), [[{ IP: '', Port: 0, Zone: '' }, { Name: '/run/x.sock', Net: 'unix' }]]);
    assert.deepEqual([koala['ReturnInbound'], koala['TraceId'], koala['SpanId'], koala['TraceHeader']], [null, '0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', { ti: '0af7651916cd43dd8448eb211c80319c' }]);
  });
});
