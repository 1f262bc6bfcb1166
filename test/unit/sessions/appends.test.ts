/** What sessions append to files. */
import assert from 'node:assert/strict';
import { conversation } from '../../../src/report/conversation.ts';
import type { Paint } from '../../../src/report/conversation.ts';
import { sessionFromJson, sessionJson } from '../../../src/sessions/json.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { besides, bytesOf, GET, OK, Scene, textOf } from './scene.ts';

const same = (text: string): string => text;
const PLAIN: Paint = { dim: same, bold: same, cyan: same, green: same, yellow: same, red: same };
const LOG = '/var/log/app.log';
const written = ({ appends }: Session): [string, ...string[]][] => (appends ?? []).map(({ file, writes }) => [file, ...writes.map(({ bytes }) => Buffer.from(bytes).toString())]);
const one = (scene: Scene): Session => scene.derive().sessions[0] as Session;

describe('appends', () => {
  it('are of the session that their thread works for, by file, before its answer and after it', () => {
    const scene = new Scene().workers().accept(1, 7).accept(2, 8).read(1, 7, GET('/1')).read(2, 8, GET('/2'))
      .append(8, LOG, 0, 'two\n').append(7, LOG, 4, 'one\n').append(7, '/var/log/audit.log', 0, 'audit\n').write(1, 7, OK('x')).write(2, 8, OK('x')).append(7, LOG, 8, 'one done\n');
    const [first, second] = besides(scene.close(1, 7).close(2, 8).derive().sessions);
    assert.deepEqual(written(first!), [[LOG, 'one\n', 'one done\n'], ['/var/log/audit.log', 'audit\n']]);
    assert.deepEqual(first!.appends?.[0]?.writes.map(({ attribution, certainty, afterResponse }) => [attribution, certainty, afterResponse]), [['thread', 'proven', undefined], ['thread', 'likely', true]]);
    assert.deepEqual(written(second!), [[LOG, 'two\n']]);
    assert.equal(first!.certificate.state, 'complete', 'what it wrote down is nothing that it depends on');
  });

  it('are of the session of a thread that seemed to be a loop, where it is seen soon after that its like are not', () => {
    const scene = new Scene().accept(3, 9).read(3, 9, GET('/0')).accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).wait(2_000).append(7, LOG, 0, 'one\n').write(1, 7, OK('x')).read(2, 7, GET('/2')).write(2, 7, OK('x'));
    scene.write(3, 9, OK('x')).wait(400_000).read(2, 7, GET('/3')).write(2, 7, OK('x')).wait(100_000).read(1, 8, GET('/4')).write(1, 8, OK('x')).close(1, 8).close(2, 7);
    assert.deepEqual(written(scene.derive().sessions.find(({ inbound }) => textOf(inbound.request) === GET('/1'))!), [[LOG, 'one\n']]);
  });

  it('are none of a session that its thread works for no more, nor of one of a loop that read for two, nor of who is not known', () => {
    const idle = new Scene().append(7, LOG, 0, 'nobody').accept(1, 7).read(1, 7, GET('/1')).write(1, 7, OK('x')).close(1, 7);
    const loop = new Scene().accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).append(7, LOG, 0, 'whose').write(1, 7, OK('x')).write(2, 7, OK('x')).close(1, 7).close(2, 7);
    const ring = new Scene().accept(1, 7).read(1, 7, GET('/1')).append(0, LOG, 0, 'by io_uring').write(1, 7, OK('x')).close(1, 7);
    for (const scene of [idle, loop, ring]) for (const session of scene.derive().sessions) assert.equal(session.appends, undefined);
  });

  it('are of the session that their goroutine works for, whatever thread it runs on', () => {
    const scene = new Scene().accept(1, 7).accept(2, 8).read(1, 7, GET('/1'), { context: 5 }).read(2, 8, GET('/2'), { context: 6 }).append(8, LOG, 0, 'one', { context: 5 })
      .write(2, 7, OK('x'), { context: 6 }).write(1, 8, OK('x'), { context: 5 }).close(1).close(2);
    const [first, second] = scene.derive().sessions;
    assert.deepEqual(first!.appends?.[0]?.writes.map(({ tid, goroutine, attribution }) => [tid, goroutine, attribution]), [[8, 5, 'goroutine']]);
    assert.equal(second!.appends, undefined);
  });

  it('are one write where it was told in pieces, also when another thread writes in between', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).append(7, LOG, 0, 'be', { more: true }).append(9, '/other', 0, 'not mine').append(7, LOG, 2, 'gin\n', { more: true })
      .append(7, LOG, 6, '', { length: 9000 }).append(7, LOG, 9006, 'next\n').write(1, 7, OK('x')).close(1);
    assert.deepEqual(one(scene).appends?.[0]?.writes.map(({ bytes, length }) => [Buffer.from(bytes).toString(), length]), [['begin\n', 9006], ['next\n', undefined]]);
  });

  it('show nothing behind a hole as if it came before', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).append(7, LOG, 0, 'a', { more: true }).append(7, LOG, 1, '', { length: 5, more: true, cause: 'unreadable' }).append(7, LOG, 6, 'z')
      .write(1, 7, OK('x')).close(1);
    assert.deepEqual(one(scene).appends?.[0]?.writes.map(({ bytes, length }) => [Buffer.from(bytes).toString(), length]), [['a', 7]]);
  });

  it('did not happen where the next one stands in their place', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).append(7, LOG, 0, 'kept').append(7, LOG, 4, 'refused').append(7, LOG, 4, 'again').write(1, 7, OK('x')).close(1);
    assert.deepEqual(written(one(scene)), [[LOG, 'kept', 'again']]);
  });

  it('are bounded, and say how much was written', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/'));
    for (let n = 0; n < 10_500; n += 1) scene.append(7, LOG, n * 4, 'line');
    const writes = one(scene.write(1, 7, OK('x')).close(1)).appends?.[0]?.writes ?? [];
    assert.equal(writes.length, 10_000);
    assert.equal(writes.reduce((sum, { bytes, length }) => sum + (length ?? bytes.length), 0), 10_500 * 4);
  });

  it('make a session incomplete when some may have been lost', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).append(7, LOG, 0, 'a').lost('ring-full', 3).write(1, 7, OK('x')).close(1);
    const { certificate } = one(scene.pass(1_000_000));
    assert.deepEqual([certificate.state, certificate.unseen.map(({ kind }) => kind)], ['incomplete', ['lost']]);
  });

  it('are written and read as JSON, and shown, with how much of them is there', () => {
    const scene = new Scene().accept(1).read(1, 7, GET('/')).append(7, LOG, 0, 'a line\n', { length: 9000 }).append(7, '', 0, '\xff\xfe').write(1, 7, OK('x')).close(1);
    const session = one(scene);
    const json = sessionJson(session);
    assert.deepEqual(json.appends?.map(({ file, writes }) => [file, ...writes.map(({ atUs: _, ...rest }) => rest)]), [
      [LOG, { tid: 7, length: 9000, attribution: 'thread', certainty: 'likely', text: 'a line\n' }], ['', { tid: 7, attribution: 'thread', certainty: 'likely', base64: '//4=' }],
    ]);
    assert.deepEqual(JSON.parse(JSON.stringify(sessionJson(sessionFromJson(JSON.parse(JSON.stringify(json)))))), JSON.parse(JSON.stringify(json)));
    const shown = [...conversation(session, PLAIN)].join('\n');
    assert.match(shown, /append \/var\/log\/app\.log .*tid 7 \[likely by thread\]\n {4}a line\n {4}\[the first 7 B of 8\.8 KiB\]/);
    assert.match(shown, /append \(a file whose path was lost\)/);
    assert.doesNotMatch(shown, /worked on by/, 'one thread needs no list');
  });

  it('show who worked on a session, where that was more than one', () => {
    const scene = new Scene().workers().accept(1, 7).read(1, 7, GET('/')).process('thread', 7, { childTid: 12 }).connect(2, 12).write(2, 12, GET('/up')).read(2, 12, OK('y'))
      .append(12, LOG, 0, 'called\n').append(12, LOG, 7, 'well\n').udp('egress', 7, 8125, bytesOf('n:1|c')).write(1, 7, OK('x')).close(2, 12).process('thread-exit', 12).close(1, 7);
    const session = besides(scene.derive().sessions)[0]!;
    const shown = [...conversation(session, PLAIN)];
    const at = shown.indexOf('  worked on by');
    assert.deepEqual(shown.slice(at, at + 4), [
      '  worked on by', '    tid 7            read the request, sent 1 datagram, answered', '    tid 12  by born  made 1 call, appended 2 times', '',
    ]);
  });
});
