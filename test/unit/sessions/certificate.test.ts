/** What a session may not be called complete with, one thing at a time, where all else is as it should be. */
import assert from 'node:assert/strict';
import { certify } from '../../../src/sessions/certificate.ts';
import { GET, OK, Scene } from './scene.ts';
import type { LossLedger } from '../../../src/connections/loss.ts';
import type { OpenSession } from '../../../src/sessions/open-session.ts';
import type { Spoken } from '../../../src/sessions/spoken.ts';
import type { Certificate } from '../../../src/sessions/session.ts';

const QUIC = 443;
/** The certificates of sessions on connection 1, in order. */
const certificates = (scene: Scene): Certificate[] => scene.derive().sessions.map(({ certificate }) => certificate);
const said = ({ state, lost, unseen }: Certificate): unknown[] => [state, lost.map(({ connection, direction, bytes, cause }) => [connection, direction, bytes, cause]), unseen.map(({ kind, count }) => [kind, count])];
const asked = (): Scene => new Scene().accept(1).read(1, 7, GET('/1'));
const answered = (scene: Scene): unknown[] => said(certificates(scene.write(1, 7, OK('x')).close(1)).at(-1)!);

describe('a certificate', () => {
  it('is complete where nothing was lost and nothing was out of sight', () => {
    assert.deepEqual(answered(asked()), ['complete', [], []]);
  });

  it('says that a single event was lost meanwhile, though no byte is missing', () => {
    assert.deepEqual(answered(asked().lost('ring-full', 1)), ['incomplete', [], [['lost', 1]]]);
    assert.deepEqual(answered(new Scene().lost('ring-full', 3).accept(1).read(1, 7, GET('/1')).lost('ring-full', 1)), ['incomplete', [], [['lost', 1]]]);
    assert.deepEqual(answered(new Scene().lost('ring-full', 1).accept(1).read(1, 7, GET('/1'))), ['complete', [], []], 'before it began');
  });

  it('says that its process spoke QUIC, sent datagrams to who can\'t be told, or got some', () => {
    const bytes = new Uint8Array(9);
    assert.deepEqual(answered(asked().udp('egress', 7, QUIC, bytes)), ['incomplete', [], [['quic', 1]]]);
    assert.deepEqual(answered(asked().udp('egress', 8, 8_125, bytes)), ['incomplete', [], [['udp-sent', 1]]]);
    assert.deepEqual(answered(asked().udp('ingress', 7, 8_125, bytes)), ['incomplete', [], [['udp', 1]]]);
    const before = new Scene().accept(5).read(5, 7, GET('/0')).udp('egress', 7, QUIC, bytes).udp('egress', 8, 8_125, bytes).udp('ingress', 7, 8_125, bytes).write(5, 7, OK('x')).close(5);
    const after = before.accept(1).read(1, 7, GET('/1')).udp('egress', 7, QUIC, bytes).udp('egress', 8, 8_125, bytes).udp('ingress', 7, 8_125, bytes);
    assert.deepEqual(answered(after), ['incomplete', [], [['udp', 1], ['udp-sent', 1], ['quic', 1]]], 'those before it are not its own');
  });

  it('says which way what is missing went', () => {
    const holed = (): Scene => new Scene().accept(1).connect(11, 7).read(1, 7, GET('/1').slice(0, 9)).gap(1, 'ingress', 7, 15, 'unreadable').write(11, 7, GET('/u').slice(0, 9)).gap(11, 'egress', 7, 15, 'splice');
    const all = holed().read(11, 7, OK('u').slice(0, 9)).gap(11, 'ingress', 7, 1, 'discarded').close(11).write(1, 7, OK('x').slice(0, 9)).gap(1, 'egress', 7, 7, 'ring-full').close(1);
    const [, lost] = said(certificates(all)[0]!);
    assert.deepEqual(lost, [['1', 'ingress', 15, 'unreadable'], ['1', 'egress', 7, 'ring-full'], ['11', 'egress', 15, 'splice'], ['11', 'ingress', 1, 'discarded']]);
  });

  it('says what is missing of what set a connection up that it called on', () => {
    const redis = new Scene().connect(11, 7, { remote: { host: '10.0.0.2', port: 6379 } }).write(11, 7, '*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n').gap(11, 'ingress', 7, 5, 'unreadable');
    const [state, lost] = answered(redis.accept(1).read(1, 7, GET('/1')).write(11, 7, '*2\r\n$3\r\nGET\r\n$1\r\na\r\n').read(11, 7, '$1\r\nx\r\n').close(11));
    assert.deepEqual([state, lost], ['incomplete', [['11', 'ingress', 5, 'unreadable']]]);
  });

  it('says that it may begin elsewhere than it seems, where the request before it on its connection lacks bytes', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/0').slice(0, 9)).gap(1, 'ingress', 7, 12, 'unreadable').write(1, 7, OK('x')).read(1, 7, GET('/1'));
    const [state, lost, unseen] = answered(scene) as [string, unknown[], [string, number][]];
    assert.deepEqual([state, lost, unseen.some(([kind]) => kind === 'unframed')], ['incomplete', [], true]);
  });

  it('says what was not proven to have been taken, where it was given out for want of room', () => {
    const none = { udp: 0, udpSent: 0, quic: 0, refused: 0 };
    const talk = (id: string, settled: boolean): Spoken => ({
      inbound: id === '1', settled, framed: true, request: { holed: false }, response: { holed: false }, connection: { id, whole: true, remote: `10.0.0.${id}:80` },
    }) as unknown as Spoken;
    const session = { talk: talk('1', true), forced: true, lossBefore: 0, before: none, after: none, process: { refusals: new Set() }, unattributed: 0 } as unknown as OpenSession;
    const { state, unseen } = certify(session, [talk('2', false), talk('3', true)], [], { events: 0 } as LossLedger, false);
    assert.deepEqual([state, unseen], ['incomplete', [{ kind: 'unsettled', count: 1, detail: '10.0.0.2:80' }]]);
  });
});
