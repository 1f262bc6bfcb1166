import assert from 'node:assert/strict';
import type { Session, Unseen } from '../../../src/sessions/session.ts';
import { maxVirtualThreads } from '../../../src/contexts/virtual-threads.ts';
import { besides, bytesOf, GET, OK, Scene, SECOND, textOf } from '../sessions/scene.ts';
import * as frames from '../talks/frames.ts';

const path = (chunks: Parameters<typeof textOf>[0]): string => /\/\S*/.exec(textOf(chunks))?.[0] ?? '';
const told = (sessions: readonly Session[]): string[] => besides(sessions).map((session) =>
  `${path(session.inbound.request)}: ${session.outbound.map((call) => `${path(call.request)} ${call.attribution} ${call.certainty}`).join(', ')}`);
const refused = (session: Session | undefined): Unseen | undefined => session?.certificate.unseen.find(({ kind }) => kind === 'helper');

/** One call of `tid`, on a connection of its own. */
const call = (scene: Scene, connection: number, tid: number): Scene =>
  scene.connect(connection, tid).write(connection, tid, GET(`/up${connection}`)).read(connection, tid, OK('u')).close(connection, tid);
const answer = (scene: Scene, connection: number, tid: number): Scene => scene.write(connection, tid, OK('x')).close(connection, tid, 'local-fin').close(connection, tid);
const work = (scene: Scene, tid: number, name: number | string): Scene =>
  (typeof name === 'number' ? scene.helper(tid, 'set-delegated-from-thread-id', { flags: name }) : scene.helper(tid, 'set-delegated-from-thread-id', { body: name }));

describe('a virtual thread', () => {
  it('works for the request that was read under its name: one loop, three requests at a time, each call proven', () => {
    const scene = new Scene();
    for (const n of [1, 2, 3]) work(scene.accept(n, 7), 7, 1_000 + n).read(n, 7, GET(`/${n}`));
    for (const n of [2, 3, 1]) work(scene, 7, `${1_000 + n}`).connect(10 + n, 7).write(10 + n, 7, GET(`/up${n}`));
    for (const n of [3, 1, 2]) work(scene, 7, `${1_000 + n}\0`).read(10 + n, 7, OK('u')).close(10 + n, 7).connect(20 + n, 7).write(20 + n, 7, GET(`/more${n}`));
    for (const n of [1, 2, 3]) answer(work(scene, 7, 1_000 + n).read(20 + n, 7, OK('u')).close(20 + n, 7), n, 7);
    const { sessions } = scene.derive();
    assert.deepEqual(told(sessions), [1, 2, 3].map((n) => `/${n}: /up${n} virtual-thread proven, /more${n} virtual-thread proven`));
    assert.deepEqual(sessions.map(({ certificate }) => certificate.state), ['complete', 'complete', 'complete']);
  });

  it('serves one request after the other, and none of them by two threads that say the same name', () => {
    const scene = work(work(new Scene().accept(1, 7), 7, 5), 8, 5);
    scene.read(1, 7, GET('/1'));
    answer(call(scene, 11, 8), 1, 7).accept(2, 7).read(2, 7, GET('/2'));
    answer(call(scene, 12, 7), 2, 7);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up11 virtual-thread proven', '/2: /up12 virtual-thread proven']);
  });

  it('that gets its name when its request has been read works for that one, likely', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7);
    for (const n of [1, 2]) work(scene.read(n, 7, GET(`/${n}`)), 7, 100 + n).connect(10 + n, 7).write(10 + n, 7, GET(`/up${n}`));
    for (const n of [2, 1]) work(scene.read(10 + n, 7, OK('u')), 7, 100 + n).write(10 + n, 7, GET(`/more${n}`)).read(10 + n, 7, OK('u')).close(10 + n, 7);
    for (const n of [1, 2]) answer(work(scene, 7, 100 + n), n, 7);
    assert.deepEqual(told(scene.derive().sessions), [1, 2].map((n) => `/${n}: /up${n} helper likely, /more${n} helper likely`));
  });

  it('proves nothing of a request that came over HTTP/2: others may have come with it', () => {
    const scene = call(work(new Scene().accept(1, 7), 7, 5).read(1, 7, frames.PREFACE + frames.SETTINGS + frames.GET(1, '/1')), 11, 7).write(1, 7, frames.SETTINGS + frames.OK(1, 'x')).close(1, 7);
    assert.deepEqual(scene.derive().sessions.map(({ outbound }) => outbound.map(({ attribution, certainty }) => [attribution, certainty])), [[['virtual-thread', 'likely']]]);
  });

  it('that is at work stays at that, although its thread had read another request before it named it again', () => {
    const scene = work(work(new Scene().accept(1, 7).accept(2, 8), 7, 5).read(1, 7, GET('/1')), 7, 0).accept(3, 7).read(3, 7, GET('/3'));
    const { sessions } = answer(answer(work(call(work(scene, 7, 5), 11, 7), 7, 0), 3, 7), 1, 8).derive();
    assert.deepEqual(told(sessions).map((line) => line.replace(/ (proven|likely)/g, '')), ['/1: /up11 virtual-thread', '/3: ']);
  });

  it('has the request that it was named for: its thread works for that no more by itself', () => {
    const scene = work(work(new Scene().workers().accept(1, 91).read(1, 91, GET('/1')), 91, 5), 91, 0);
    const { sessions, ambient } = answer(call(scene, 11, 91), 1, 91).derive();
    assert.deepEqual([told(sessions), ambient.map((talk) => path(talk.request))], [['/1: '], ['/up11']]);
  });

  it('is none of another process, though a thread there has its name for a number', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    scene.tgid = 200;
    call(work(scene, 31, 91), 11, 31);
    scene.tgid = 100;
    assert.deepEqual(told(answer(scene, 1, 91).derive().sessions), ['/1: ']);
  });

  it('without a request has calls that are nobody\'s', () => {
    const scene = work(new Scene().workers().accept(1, 91).read(1, 91, GET('/1')), 31, 77);
    const { sessions, ambient } = answer(call(scene, 11, 31), 1, 91).derive({ reasons: true });
    assert.deepEqual([told(sessions), ambient.map((talk) => talk.whyNot)], [['/1: '], [['name-unread', 'no-rare-words']]]);
  });

  it('ends by thread-shutdown with its name, and whoever worked for it works for itself', () => {
    const scene = work(new Scene().accept(1, 7), 7, 5).read(1, 7, GET('/1'));
    work(call(scene, 11, 7), 8, 5).write(1, 7, OK('x')).helper(9, 'thread-shutdown', { flags: 5 }).accept(2, 8).read(2, 8, GET('/2'));
    const { sessions } = answer(call(scene, 12, 8), 2, 8).close(1, 7, 'local-fin').close(1, 7).derive();
    assert.deepEqual(told(sessions), ['/1: /up11 virtual-thread proven', '/2: /up12 thread likely']);
  });

  it('is believed no more where a second request is read under its name while the first has no answer', () => {
    const scene = work(new Scene().accept(1, 7).accept(2, 7), 7, 5).read(1, 7, GET('/1')).read(2, 7, GET('/2'));
    answer(answer(call(scene, 11, 7), 1, 7), 2, 7);
    assert.deepEqual(told(scene.derive().sessions), ['/1: ', '/2: ']);
  });

  it('that nobody uses makes room for a new one', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    for (let n = 0; n < maxVirtualThreads + 100; n += 1) work(scene, 31, 10_000 + n);
    const { sessions } = answer(call(scene, 11, 91), 1, 91).derive();
    assert.deepEqual([told(sessions), refused(besides(sessions)[0])], [['/1: /up11 thread proven'], undefined]);
  });
});

describe('a delegation', () => {
  it('is proven where the thread that it leads to is, through a chain of three', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1')).read(2, 92, GET('/2'));
    work(work(work(scene, 33, 32), 32, 31), 31, 91);
    work(scene, 34, 92);
    call(call(call(scene, 11, 33), 12, 34), 13, 31);
    answer(answer(work(scene, 33, 92), 1, 91), 2, 92);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up11 delegation proven, /up13 delegation proven', '/2: /up12 delegation proven']);
  });

  it('that would end where it begins is refused and counted, whether by one link or by three; what was said before holds', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    work(work(work(scene, 33, 32), 32, 31), 31, 91);
    work(work(work(scene, 91, 33), 31, 32), 31, 33);
    const { sessions } = answer(call(scene, 11, 33), 1, 91).derive();
    assert.deepEqual(told(sessions), ['/1: /up11 delegation proven']);
    assert.deepEqual([refused(besides(sessions)[0]), besides(sessions)[0]!.certificate.state], [{ kind: 'helper', count: 3, detail: 'cycle' }, 'incomplete']);
  });

  it('ends by 0, by the thread\'s own id, and by a request of its own', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    call(work(work(scene, 31, 91), 31, 0), 11, 31);
    call(work(work(scene, 32, 91), 32, 32), 12, 32);
    work(scene, 92, 91).accept(2, 92).read(2, 92, GET('/2'));
    answer(answer(call(scene, 13, 92), 2, 92), 1, 91);
    assert.deepEqual(told(scene.derive().sessions), ['/1: ', '/2: /up13 thread proven']);
  });

  it('that has ended leaves its thread what it works for itself', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1')).read(2, 92, GET('/2'));
    call(work(call(work(scene, 92, 91), 11, 92), 92, 0), 12, 92);
    assert.deepEqual(told(answer(answer(scene, 2, 92), 1, 91).derive().sessions), ['/1: /up11 delegation proven', '/2: /up12 thread proven']);
  });

  it('that was forgotten does not make the other thread an event loop', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).connect(12, 92).read(1, 91, GET('/1')).read(2, 92, GET('/2')).write(12, 92, GET('/up12'));
    work(scene, 31, 91).read(12, 31, OK('u'));
    answer(answer(call(scene, 11, 91), 1, 91), 2, 92);
    assert.equal(told(scene.derive().sessions)[0], '/1: /up11 thread likely'); // work moves; its thread is still no loop
    assert.deepEqual(besides(scene.derive({ reasons: true }).sessions)[0]!.outbound[0]!.reasons?.against, ['work-moves']);
  });

  it('is not inherited by what its thread starts, but the session is', () => {
    const scene = work(new Scene().workers().accept(1, 91).accept(2, 91).read(1, 91, GET('/1')), 31, 91).process('thread', 31, { childTid: 41 });
    call(scene, 11, 41).process('thread-exit', 41);
    assert.deepEqual(told(answer(answer(scene, 1, 91).read(2, 91, GET('/2')), 2, 91).pass(SECOND).derive().sessions), ['/1: /up11 born likely', '/2: ']);
  });
});

describe('a helper datagram', () => {
  const refusal = (tell: (scene: Scene) => Scene): string => {
    const scene = tell(new Scene().workers().accept(1, 91).read(1, 91, GET('/1')));
    const [session] = besides(answer(call(scene, 11, 91), 1, 91).derive().sessions);
    assert.equal(told([session!])[0], '/1: /up11 thread proven');
    const unseen = refused(session);
    return unseen === undefined ? 'none' : `${unseen.count} ${unseen.detail}`;
  };

  it('that says nothing is refused, counted for the sessions that are open, and named', () => {
    const raw = (bytes: Uint8Array): string => refusal((scene) => scene.helper(91, '', { bytes }));
    assert.equal(raw(bytesOf('hello')), '1 garbage');
    assert.equal(raw(bytesOf('')), '1 garbage');
    assert.equal(raw(new Uint8Array(65_507).fill(0xff)), '1 garbage');
    assert.equal(raw(bytesOf('to-koala!thread-shutdown')), '1 garbage'); // the newline is mandatory
    assert.equal(raw(bytesOf('to-koala!dance\n')), '1 unknown-command');
    assert.equal(refusal((scene) => work(scene, 91, 'nine')), '1 bad-id');
    assert.equal(refusal((scene) => work(scene, 91, '-1')), '1 bad-id');
    assert.equal(refusal((scene) => scene.helper(91, 'thread-shutdown', { flags: 4_711 })), '1 unknown-id');
    assert.equal(refusal((scene) => scene.helper(91, 'set-trace-header-key', { body: 'no value' })), '1 bad-body');
    assert.equal(refusal((scene) => scene.helper(31, 'read-storage', { body: 'whose?' })), '1 no-session');
    assert.equal(refusal((scene) => scene.helper(91, 'read-storage', { body: 'a', length: 70_000 })), '1 cut');
    assert.equal(refusal((scene) => scene.helper(91, 'get-trace-header')), 'none');
  });

  it('flood is refused past what a session keeps, and nothing else is lost', () => {
    assert.equal(refusal((scene) => {
      for (let n = 0; n < 10_050; n += 1) scene.helper(91, 'read-storage', { body: `${n}` });
      return scene;
    }), '50 too-many');
    assert.equal(refusal((scene) => {
      for (let n = 0; n < 300; n += 1) scene.helper(91, 'read-storage', { body: 'x'.repeat(65_000) });
      return scene;
    }), '42 too-many');
  });

  it('puts what its thread read from storage, and the functions that it called, into its session', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1')).read(2, 92, GET('/2'));
    scene.helper(91, 'read-storage', { body: 'apcu: \xff' }).helper(92, 'call-function', { body: '{"FuncName":"f"}' });
    work(scene, 31, 92).helper(31, 'return-function', { body: '{}' }).helper(91, 'set-trace-header-key', { body: 'ti\nabc' });
    const sessions = besides(answer(answer(scene, 1, 91), 2, 92).derive().sessions);
    assert.deepEqual(sessions.map((session) => session.told?.map(({ command, tid, bytes }) => [command, tid, Buffer.from(bytes).toString('latin1')])),
      [[['read-storage', 91, 'apcu: \xff']], [['call-function', 92, '{"FuncName":"f"}'], ['return-function', 31, '{}']]]);
    assert.deepEqual(sessions.map(({ traceHeader, certificate }) => [traceHeader, certificate.state]), [[{ ti: 'abc' }, 'complete'], [undefined, 'complete']]);
  });

  it('ends its thread\'s session: what the thread does next is not that session\'s', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    call(scene, 11, 91).write(1, 91, OK('x')).helper(91, 'thread-shutdown');
    const { sessions, ambient } = call(scene, 12, 91).close(1, 91, 'local-fin').close(1, 91).derive();
    assert.deepEqual([told(sessions), ambient.length], [['/1: /up11 thread proven'], 1]);
  });

  it('keeps what its thread does out of every session until it is taken back, and no certificate misses it', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).helper(91, 'exclude');
    call(scene, 11, 91).helper(91, 'include');
    const { sessions, ambient } = answer(call(scene, 12, 91), 1, 91).derive({ reasons: true });
    assert.deepEqual([told(sessions), besides(sessions)[0]!.certificate.state], [['/1: /up12 thread proven'], 'complete']);
    assert.deepEqual(ambient.map((talk) => [path(talk.request), talk.whyNot]), [['/up11', ['excluded']]]);
  });

  it('keeps out of its session the first call on a connection that it had opened before it was excluded', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).connect(11, 91).helper(91, 'exclude').write(11, 91, GET('/up11')).read(11, 91, OK('u')).close(11, 91).helper(91, 'include');
    const { sessions, ambient } = answer(scene, 1, 91).derive();
    assert.deepEqual([told(sessions), besides(sessions)[0]!.certificate.state, ambient.map((talk) => path(talk.request))], [['/1: '], 'complete', ['/up11']]);
  });

  it('keeps a request that is read by an excluded thread from being a session', () => {
    const scene = new Scene().workers().helper(91, 'exclude').accept(1, 91).read(1, 91, GET('/health'));
    answer(scene, 1, 91).helper(91, 'include').accept(2, 91).read(2, 91, GET('/2'));
    const found = answer(scene, 2, 91).derive();
    assert.deepEqual(told(found.sessions), ['/2: ']);
    assert.equal(found.connections.get('1')?.sessions, 0);
  });
});
