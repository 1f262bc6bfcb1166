import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ConnectionAccount, StreamAccount } from '../../../src/sessions/session.ts';
import { Scene } from '../sessions/scene.ts';

const sha = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');
const account = (scene: Scene, orderly = true): ConnectionAccount => scene.derive({ digests: true, orderly }).connections.get('1')!;
const total = (stream: StreamAccount): number => stream.bytes + stream.gaps.reduce((sum, gap) => sum + gap.bytes, 0);

describe('connection accounts', () => {
  it('say what each stream carried, with its digest, and that it ended', () => {
    const found = account(new Scene().accept(1).read(1, 7, 'ask').write(1, 7, 'answer').read(1, 7, 'more').close(1, 7, 'done', { byRemote: true }));
    assert.deepEqual(found.ingress, { from: 0, bytes: 7, sha256: sha('askmore'), gaps: [] });
    assert.deepEqual(found.egress, { from: 0, bytes: 6, sha256: sha('answer'), gaps: [] });
    assert.deepEqual([found.role, found.learnt, found.end, found.local, found.remote], ['inbound', 'accept', 'fin', '10.0.0.1:80', '10.0.0.9:50001']);
    assert.ok(found.closedAtUs! > found.openedAtUs);
  });

  it('count only what the kernel took of a short send', () => {
    const found = account(new Scene().accept(1).write(1, 7, 'abcdefgh').accepted(1, 7, 0, 5).write(1, 7, 'fgh').close(1));
    assert.deepEqual(found.egress, { from: 0, bytes: 8, sha256: sha('abcdefgh'), gaps: [] });
  });

  it('count nothing of a send that took nothing, and the retry once', () => {
    const found = account(new Scene().accept(1).write(1, 7, 'abc').accepted(1, 7, 0, 0).wait(50).write(1, 7, 'abc').close(1));
    assert.deepEqual(found.egress, { from: 0, bytes: 3, sha256: sha('abc'), gaps: [] });
  });

  it('let a send at a lower position replace what lay beyond, also where the accepted event was lost', () => {
    const scene = new Scene().accept(1).write(1, 7, 'abcdefgh').read(1, 7, 'x');
    scene.write(1, 7, 'DEF', { position: 3 });
    scene.of(1).egress = 6;
    assert.deepEqual(account(scene.close(1)).egress, { from: 0, bytes: 6, sha256: sha('abcDEF'), gaps: [] });
  });

  it('take back what the close says was never handed over', () => {
    const found = account(new Scene().accept(1).write(1, 7, 'abcdefgh').close(1, 7, 'done', { egressFinal: 5 }));
    assert.deepEqual(found.egress, { from: 0, bytes: 5, sha256: sha('abcde'), gaps: [] });
  });

  it('keep a send whole in the midst of which the other side says that it is done', () => {
    const scene = new Scene().accept(1).read(1, 7, 'ask').write(1, 7, 'answer').close(1, 7, 'remote-fin', { egressFinal: 0 });
    const found = account(scene.close(1, 7, 'local-fin', { egressFinal: 6 }).close(1, 7, 'done', { egressFinal: 6 }));
    assert.deepEqual(found.egress, { from: 0, bytes: 6, sha256: sha('answer'), gaps: [] });
  });

  it('put a big send together from its pieces', () => {
    const scene = new Scene().accept(1).intent(1, 7, 6).write(1, 7, 'abc', { more: true }).write(1, 7, 'def').read(1, 7, 'x').write(1, 7, 'g');
    assert.deepEqual(account(scene.close(1)).egress, { from: 0, bytes: 7, sha256: sha('abcdefg'), gaps: [] });
  });

  it('forget an intent that moved nothing', () => {
    const scene = new Scene().accept(1).intent(1, 7, 600_000).accepted(1, 7, 0, 0).write(1, 7, 'abc').close(1);
    assert.deepEqual(account(scene).egress, { from: 0, bytes: 3, sha256: sha('abc'), gaps: [] });
  });

  it('put packets in order, each byte once, whatever repeats and overlaps', () => {
    const scene = new Scene().accept(1).write(1, 7, 'head').packet(1, 8, 'CCCC').packet(1, 4, 'BBBB').packet(1, 6, 'BBCCCCDD').packet(1, 4, 'BBBB').sent(1, 7, 4, 10);
    scene.close(1, 7, 'local-fin').packet(1, 8, 'CCCC').packet(1, 14, 'E').close(1, 7, 'done', { egressFinal: 15 });
    const { egress } = account(scene);
    assert.equal(total(egress), 15);
    assert.equal(egress.sha256, sha('headBBBBCCCCDDE'), JSON.stringify(egress));
  });

  it('keep a later send waiting for the packets before it', () => {
    const scene = new Scene().accept(1).write(1, 7, 'head').sent(1, 7, 4, 4).write(1, 7, 'tail').packet(1, 4, 'file').close(1);
    assert.deepEqual(account(scene).egress, { from: 0, bytes: 12, sha256: sha('headfiletail'), gaps: [] });
  });

  it('call what sendfile queued and no packet carried a gap', () => {
    const { egress } = account(new Scene().accept(1).sent(1, 7, 0, 4).write(1, 7, 'tail').close(1));
    assert.deepEqual(egress.gaps, [{ from: 0, bytes: 4, cause: 'not-transmitted' }]);
    assert.deepEqual([egress.bytes, egress.sha256], [4, sha('tail')]);
  });

  it('name every jump of position: unknown, or what was lost since the stream was last seen', () => {
    const scene = new Scene().accept(1).read(1, 7, 'ab').skip(1, 'ingress', 3).read(1, 7, 'c').lost('ring-full', 2).skip(1, 'ingress', 4).read(1, 7, 'd');
    const { ingress } = account(scene.lost('map-full', 1).skip(1, 'ingress', 1).skip(1, 'egress', 9).close(1));
    assert.deepEqual(ingress.gaps, [{ from: 2, bytes: 3, cause: 'ring-full' }, { from: 6, bytes: 4, cause: 'ring-full' }, { from: 11, bytes: 1, cause: 'map-full' }]);
    assert.equal(ingress.sha256, sha('abcd'));
  });

  it('name a jump that was seen before the loss was reported, and not one of long before', () => {
    const causes = (waitMs: number): string[] => {
      const scene = new Scene().accept(1).read(1, 7, 'ab').skip(1, 'ingress', 3);
      for (const text of 'cdefg') scene.read(1, 7, text);
      return account(scene.wait(waitMs * 1_000).lost('ring-full', 2).wait(10).read(1, 7, 'h').close(1)).ingress.gaps.map(({ cause }) => cause);
    };
    assert.deepEqual(causes(300), ['ring-full']);
    assert.deepEqual(causes(60_000), ['unknown']);
  });

  it('put two reads in order that were told in the other order', () => {
    const scene = new Scene().accept(1).read(1, 7, 'ab').read(1, 8, 'fgh', { position: 5 }).read(1, 7, 'cde', { position: 2 }).write(1, 7, 'x');
    assert.deepEqual(account(scene.close(1)).ingress, { from: 0, bytes: 8, sha256: sha('abcdefgh'), gaps: [] });
    const more = new Scene().accept(1).read(1, 7, 'c', { position: 2 }).read(1, 8, 'd', { position: 3 }).read(1, 9, 'b', { position: 1 }).read(1, 6, 'a', { position: 0 });
    assert.deepEqual(account(more.close(1)).ingress, { from: 0, bytes: 4, sha256: sha('abcd'), gaps: [] });
  });

  it('wait for what is missing before a read no longer than until something is sent, or four reads lie ahead', () => {
    const sent = account(new Scene().accept(1).read(1, 7, 'b', { position: 1 }).write(1, 7, 'x').read(1, 8, 'a', { position: 0 }).close(1));
    assert.deepEqual(sent.ingress, { from: 0, bytes: 1, sha256: sha('b'), gaps: [{ from: 0, bytes: 1, cause: 'unknown' }] });
    const scene = new Scene().accept(1).skip(1, 'ingress', 1);
    for (const text of ['b', 'c', 'd', 'e', 'f']) scene.read(1, 7, text);
    assert.deepEqual(account(scene.read(1, 8, 'a', { position: 0 }).close(1)).ingress, { from: 0, bytes: 5, sha256: sha('bcdef'), gaps: [{ from: 0, bytes: 1, cause: 'unknown' }] });
  });

  it('leave a jump unknown when nobody ever said why', () => {
    const { ingress } = account(new Scene().accept(1).skip(1, 'ingress', 3).read(1, 7, 'c').close(1));
    assert.deepEqual(ingress.gaps, [{ from: 0, bytes: 3, cause: 'unknown' }]);
  });

  it('merge gaps that touch and have one cause, and keep declared causes', () => {
    const scene = new Scene().accept(1).gap(1, 'ingress', 7, 5, 'splice').gap(1, 'ingress', 7, 2, 'splice').gap(1, 'ingress', 7, 1, 'discarded').read(1, 7, 'x');
    assert.deepEqual(account(scene.close(1)).ingress.gaps, [{ from: 0, bytes: 7, cause: 'splice' }, { from: 7, bytes: 1, cause: 'discarded' }]);
  });

  it('declare the end of a truncated message', () => {
    const { ingress } = account(new Scene().accept(1).read(1, 7, 'abc', { length: 10, cause: 'unreadable' }).close(1));
    assert.deepEqual([ingress.bytes, ingress.gaps], [3, [{ from: 3, bytes: 7, cause: 'unreadable' }]]);
  });

  it('name the process of a connection that is older than the recorder, whichever of the two is told first', () => {
    const nameless = { command: '' };
    const before = new Scene().process('seen', 100).open(1, 7, 'seen', nameless).close(1).derive();
    const after = new Scene().open(1, 7, 'seen', nameless).process('seen', 100).process('exit', 100).close(1).derive();
    for (const { connections } of [before, after]) assert.equal(connections.get('1')?.command, 'service');
  });

  it('begin where the recorder began to see a connection', () => {
    const { ingress, egress } = account(new Scene().open(1, 0, 'seen', { ingressFrom: 1000, egressFrom: 50 }).read(1, 7, 'abc').close(1));
    assert.deepEqual([ingress.from, ingress.bytes, egress.from, egress.bytes], [1000, 3, 50, 0]);
  });

  it('begin at the first kept byte where older segments were dropped', () => {
    const scene = new Scene().accept(1, 1, { snapshot: true }).skip(1, 'ingress', 70).skip(1, 'egress', 30).read(1, 7, 'abc').write(1, 7, 'xy').close(1);
    const { ingress, egress } = account(scene);
    assert.deepEqual([ingress.from, ingress.bytes, ingress.gaps, egress.from, egress.bytes], [70, 3, [], 30, 2]);
  });

  it('ignore an open that repeats what is known at the head of a segment', () => {
    const scene = new Scene().accept(1).read(1, 7, 'abc');
    const open = scene.events[0]!;
    scene.add({ ...open, snapshot: true } as typeof open).read(1, 7, 'def').close(1);
    assert.deepEqual([account(scene).ingress.bytes, account(scene).ingress.from], [6, 0]);
  });

  it('name a pause where a position jumped over it, and nothing where it did not', () => {
    const scene = new Scene().accept(1).accept(2).read(1, 7, 'abc').read(2, 8, 'abc').pause(1_000_000).skip(1, 'ingress', 2).read(1, 7, 'd').read(2, 8, 'd').close(1).close(2);
    const { connections } = scene.derive();
    assert.deepEqual(connections.get('1')!.ingress.gaps, [{ from: 3, bytes: 2, cause: 'pause' }]);
    assert.deepEqual(connections.get('2')!.ingress.gaps, []);
  });

  it('are open where the recording ends first, with what was seen until then', () => {
    const found = account(new Scene().accept(1).read(1, 7, 'abc').write(1, 7, 'x'), false);
    assert.deepEqual([found.end, found.closedAtUs, found.ingress.bytes, found.egress.bytes], ['open', undefined, 3, 1]);
  });

  it('know refused, timed out and reset connections', () => {
    const end = (scene: Scene): string => account(scene).end;
    assert.equal(end(new Scene().connect(1).close(1, 1, 'failed', { error: 111 })), 'refused');
    assert.equal(end(new Scene().connect(1).close(1, 1, 'failed', { error: 110 })), 'timeout');
    assert.equal(end(new Scene().connect(1).close(1, 1, 'failed', { error: 113 })), 'unreachable');
    assert.equal(end(new Scene().connect(1).write(1, 1, 'x').close(1, 1, 'done', { reset: true, byRemote: true, error: 104 })), 'reset');
  });

  it('take the role of a connection that was there before from who listens on its local port', () => {
    const role = (listens: string, port: number): string => {
      const scene = new Scene();
      scene.add({ kind: 'listen', atUs: scene.nowUs, tgid: 100, tid: 1, context: 0, snapshot: false, local: { host: listens, port }, netns: 1, open: true });
      return account(scene.open(1, 0, 'seen', { local: { host: '10.0.0.1', port: 80 } }).read(1, 7, 'x').close(1)).role;
    };
    assert.equal(role('0.0.0.0', 80), 'inbound');
    assert.equal(role('::', 80), 'inbound');
    assert.equal(role('10.0.0.1', 80), 'inbound');
    assert.equal(role('10.0.0.7', 80), 'outbound');
    assert.equal(role('0.0.0.0', 81), 'outbound');
  });

  it('count a connection whose open was lost from its first byte', () => {
    const scene = new Scene().read(1, 7, 'abc', { position: 10 }).close(1, 7, 'done', { ingressFinal: 13, egressFinal: 4 });
    const { ingress, egress } = account(scene);
    assert.deepEqual([ingress.from, total(ingress), ingress.bytes], [0, 13, 3]);
    assert.deepEqual([egress.from, total(egress), egress.bytes], [0, 4, 0]);
  });

  it('give up the old one where another socket has its number', () => {
    const scene = new Scene().accept(1).read(1, 7, 'abc').accept(1, 1, { socketInode: 99, remote: { host: '10.0.0.9', port: 1 } }).read(1, 7, 'de').close(1);
    const ends: string[] = [];
    scene.derive({ onConnection: (found) => ends.push(`${found.end} ${found.ingress.bytes}`) });
    assert.deepEqual(ends, ['open 3', 'fin 2']);
  });

  it('write IPv6 and unix endpoints as the contract has them', () => {
    const found = account(new Scene().accept(1, 1, { local: { host: '::1', port: 8080 }, remote: { host: 'unix:/run/x.sock', port: 0 } }).close(1));
    assert.deepEqual([found.local, found.remote], ['[::1]:8080', 'unix:/run/x.sock']);
  });
});
