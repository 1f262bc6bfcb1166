/** What sessions send by UDP. */
import assert from 'node:assert/strict';
import { conversation } from '../../../src/report/conversation.ts';
import type { Paint } from '../../../src/report/conversation.ts';
import { sessionFromJson, sessionJson } from '../../../src/sessions/json.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { besides, bytesOf, GET, OK, Scene } from './scene.ts';

const same = (text: string): string => text;
const PLAIN: Paint = { dim: same, bold: same, cyan: same, green: same, yellow: same, red: same };
const sent = ({ datagrams }: Session): (string | true)[][] => (datagrams ?? []).map(({ to, bytes, attribution, certainty, afterResponse }) =>
  [to, Buffer.from(bytes).toString(), attribution, certainty, ...(afterResponse === true ? [afterResponse] : [])]);

describe('datagrams', () => {
  it('are of the session that their thread works for, in order, before its answer and after it', () => {
    const scene = new Scene().workers().accept(1, 7).accept(2, 8).read(1, 7, GET('/1')).read(2, 8, GET('/2'))
      .udp('egress', 8, 8125, bytesOf('two:1|c')).udp('egress', 7, 8125, bytesOf('one:1|c')).write(1, 7, OK('x')).write(2, 8, OK('x')).udp('egress', 7, 8125, bytesOf('late:1|c'));
    const [one, two] = besides(scene.close(1, 7).close(2, 8).derive().sessions);
    assert.deepEqual(sent(one!), [['10.0.0.53:8125', 'one:1|c', 'thread', 'proven'], ['10.0.0.53:8125', 'late:1|c', 'thread', 'likely', true]]);
    assert.deepEqual(sent(two!), [['10.0.0.53:8125', 'two:1|c', 'thread', 'proven']]);
    assert.deepEqual([one!.certificate.state, two!.certificate.state], ['complete', 'complete'], 'all that was sent is in the sessions');
  });

  it('are out of sight where one was kept in part only, was sent by a thread that works for no session, or was received', () => {
    const unseenIn = (scene: Scene): unknown[] => besides(scene.write(1, 7, OK('x')).close(1, 7).derive().sessions)[0]!.certificate.unseen.map(({ kind, count, detail }) => [kind, count, detail]);
    const begun = (): Scene => new Scene().workers().accept(1, 7).read(1, 7, GET('/1'));
    const cut = begun().udp('egress', 7, 8125, bytesOf('the beginning'));
    cut.events.forEach((event) => { if (event.kind === 'udp') Object.assign(event, { length: 9000 }); });
    assert.deepEqual(unseenIn(cut), [['udp-sent', 1, '10.0.0.53:8125']]);
    assert.deepEqual(unseenIn(begun().udp('egress', 99, 8125, bytesOf('by a timer'))), [['udp-sent', 1, '10.0.0.53:8125']]);
    assert.deepEqual(unseenIn(begun().udp('egress', 7, 123, bytesOf('what time is it')).udp('ingress', 7, 123, bytesOf('noon'))), [['udp', 1, '10.0.0.53:123']]);
  });

  it('are none of a session that its thread works for no more, nor of one of a loop that read for two', () => {
    const idle = new Scene().udp('egress', 7, 8125, bytesOf('nobody')).accept(1, 7).read(1, 7, GET('/1')).write(1, 7, OK('x')).close(1, 7);
    const loop = new Scene().accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).udp('egress', 7, 8125, bytesOf('whose')).write(1, 7, OK('x')).write(2, 7, OK('x')).close(1, 7).close(2, 7);
    for (const scene of [idle, loop]) for (const session of scene.derive().sessions) assert.equal(session.datagrams, undefined);
  });

  it('are of the session that their goroutine works for, whatever thread it runs on', () => {
    const scene = new Scene().accept(1, 7).accept(2, 8).read(1, 7, GET('/1'), { context: 5 }).read(2, 8, GET('/2'), { context: 6 }).udp('egress', 8, 8125, bytesOf('one'))
      .write(2, 7, OK('x'), { context: 6 }).write(1, 8, OK('x'), { context: 5 }).close(1).close(2);
    scene.events.forEach((event) => { if (event.kind === 'udp') Object.assign(event, { context: 5 }); });
    const [one, two] = scene.derive().sessions;
    assert.deepEqual(one!.datagrams?.map(({ tid, goroutine, attribution }) => [tid, goroutine, attribution]), [[8, 5, 'goroutine']]);
    assert.equal(two!.datagrams, undefined);
  });

  it('are no names, no QUIC, and nothing that was received', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).udp('egress', 7, 53, bytesOf('n')).udp('egress', 7, 443, bytesOf('q')).udp('ingress', 7, 8125, bytesOf('i')).write(1, 7, OK('x')).close(1);
    assert.equal(scene.derive().sessions[0]?.datagrams, undefined);
  });

  it('are written and read as JSON, and shown, with how much of them is there', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).udp('egress', 7, 8125, bytesOf('a metric')).udp('egress', 7, 9, bytesOf('\xff\xfe')).write(1, 7, OK('x')).close(1);
    scene.events.forEach((event) => { if (event.kind === 'udp' && event.remote.port === 9) Object.assign(event, { length: 9000 }); });
    const session = scene.derive().sessions[0]!;
    const json = sessionJson(session);
    assert.deepEqual(json.datagrams?.map(({ atUs: _, ...rest }) => rest), [
      { to: '10.0.0.53:8125', tid: 7, attribution: 'thread', certainty: 'likely', text: 'a metric' },
      { to: '10.0.0.53:9', tid: 7, length: 9000, attribution: 'thread', certainty: 'likely', base64: '//4=' },
    ]);
    assert.deepEqual(JSON.parse(JSON.stringify(sessionJson(sessionFromJson(JSON.parse(JSON.stringify(json)))))), JSON.parse(JSON.stringify(json)));
    const shown = [...conversation(session, PLAIN)].join('\n');
    assert.match(shown, /datagram 10\.0\.0\.53:8125 .*tid 7 \[likely by thread\]\n {4}a metric\n/);
    assert.match(shown, /the first 2 B of 8\.8 KiB/);
  });
});
