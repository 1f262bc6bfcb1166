import assert from 'node:assert/strict';
import { besides, GET, marked, OK, pathIn, Scene, SECOND, strays, textOf, told } from '../sessions/scene.ts';
import { GoScene } from './go-scene.ts';

/** An event loop that reads two requests before it acts: nothing but what they carry tells whose its calls are. */
const both = (one: string, two: string): Scene => new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, one).read(2, 7, two);
const answered = (scene: Scene): Scene => {
  scene.read(11, 7, OK('u')).read(12, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
  for (const connection of [1, 2, 11, 12]) scene.close(connection);
  return scene;
};

describe('a trace id', () => {
  it('ties a call to the one session that has it, and that session and the others are complete then', () => {
    const scene = answered(both(marked('/1', 1), marked('/2', 2)).write(11, 7, marked('/up2', 2)).write(12, 7, marked('/up1', 1)));
    const wanted = ['/1: /up1 trace likely; complete', '/2: /up2 trace likely; complete'];
    assert.deepEqual(told(scene.derive()), wanted);
    assert.deepEqual(told(scene.pass(SECOND).pass(SECOND).derive()), wanted, 'not at the end of the recording, but when they had waited');
  });

  it('ties no call that it names two sessions for: both count it', () => {
    const found = answered(both(marked('/1', 1), marked('/2', 1)).write(11, 7, marked('/up', 1)).write(12, 7, marked('/up', 1))).derive();
    assert.deepEqual([told(found), strays(found)], [['/1: ; incomplete', '/2: ; incomplete'], ['/up', '/up']]);
  });

  it('that two sessions have leaves it to what else the call says, among these', () => {
    const scene = both(marked('/orders/481216', 1), marked('/orders/990017', 1)).accept(3, 7).read(3, 7, GET('/about/990017')).wait(2_000);
    scene.write(11, 7, marked('/stock/990017', 1)).read(11, 7, OK('u')).write(3, 7, OK('x')).close(3);
    assert.deepEqual(told(answered(scene).derive()).slice(0, 2), ['/orders/481216: ; complete', '/orders/990017: /stock/990017 content likely; complete']);
  });

  it('that no session has says nothing, and leaves the call to what else it says', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/orders/481216')).write(12, 7, GET('/first')).read(2, 7, GET('/orders/990017')).wait(2_000);
    scene.write(11, 7, marked('/stock/990017', 5));
    assert.deepEqual(told(answered(scene).derive()), ['/orders/481216: /first thread likely; complete', '/orders/990017: /stock/990017 content likely; complete']);
  });

  it('of a call without a tie is a reason only where several sessions have it, and others don\'t', () => {
    const why = (id: number): boolean => answered(both(marked('/1', 1), marked('/2', 1)).accept(3, 7).read(3, 7, GET('/3')).wait(2_000).write(11, 7, marked('/up', id))).derive({ reasons: true })
      .ambient.some((talk) => talk.whyNot?.includes('named-by-several') === true);
    assert.deepEqual([why(1), why(5)], [true, false]);
  });

  it('ties no call to a session that was over before, or began after', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/0')).read(2, 7, GET('/0')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    scene.read(1, 7, marked('/1', 1)).write(1, 7, OK('x')).read(1, 7, GET('/2')).read(2, 7, GET('/3')).wait(10_000).write(11, 7, marked('/old', 1)).read(11, 7, OK('u'));
    scene.write(12, 7, marked('/new', 4)).read(12, 7, OK('u')).write(1, 7, OK('x')).read(1, 7, marked('/4', 4)).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    assert.deepEqual(strays(scene.derive()), ['/old', '/new']);
  });

  it('is stronger than what an event loop read last; that session is named as the alternative', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, marked('/1', 1)).write(11, 7, marked('/up1', 1)).read(2, 7, marked('/2', 2));
    // It was queued for a connection, and is written in the wake of another request.
    scene.write(12, 7, marked('/queued1', 1));
    const found = answered(scene).derive();
    assert.deepEqual(told(found), ['/1: /up1 thread likely, /queued1 trace likely; complete', '/2: ; complete']);
    assert.deepEqual(found.sessions[0]!.outbound[1]!.alternatives, [found.sessions[1]!.id]);
  });

  it('does not move a call that its thread proves: the other session is named, and it is likely', () => {
    const scene = new Scene().workers();
    for (const n of [1, 2]) scene.accept(n, 1).connect(10 + n, 20 + n).read(n, 20 + n, marked(`/${n}`, n));
    scene.write(11, 21, marked('/up', 2)).read(11, 21, OK('u')).write(12, 22, marked('/up', 2)).read(12, 22, OK('u'));
    for (const n of [1, 2]) scene.write(n, 20 + n, OK('x')).close(n).close(10 + n);
    const found = scene.derive();
    assert.deepEqual(told(found), ['/1: /up thread likely; complete', '/2: /up thread proven; complete']);
    assert.deepEqual(besides(found.sessions)[0]!.outbound[0]!.alternatives, [besides(found.sessions)[1]!.id]);
  });

  /** Sessions /1 and /2, and `/up2`, which carries the id of the latter and is thought to be the former's: whose it is in the end, and who else it may be of. */
  const whose = (scene: Scene): string => {
    const { sessions } = scene.derive();
    const found = besides(sessions).flatMap(({ inbound, outbound }) => outbound.filter((call) => textOf(call.request).includes('/up2')).map(({ attribution, certainty, alternatives = [] }) =>
      [pathIn(textOf(inbound.request)), attribution, certainty, ...alternatives.map((id) => `or ${pathIn(textOf(sessions.find((one) => one.id === id)!.inbound.request))}`)].join(' ')));
    assert.equal(found.length, 1);
    return found[0]!;
  };
  const up2 = (scene: Scene, tid: number): Scene => scene.connect(12, tid).write(12, tid, marked('/up2', 2)).read(12, tid, OK('u')).close(12, tid);
  const end = (scene: Scene, ...tids: number[]): Scene => {
    tids.forEach((tid, at) => scene.write(1 + at, tid, OK('x')).close(1 + at, tid));
    return scene.pass(10 * SECOND);
  };
  /** Two threads have read a request each. */
  const two = (scene: Scene = new Scene()): Scene => scene.accept(1, 91).accept(2, 92).read(1, 91, marked('/1', 1)).read(2, 92, marked('/2', 2));

  it('is stronger than who started the thread that made the call', () => {
    assert.equal(whose(end(up2(two(new Scene().workers()).process('thread', 91, { childTid: 31 }), 31).process('thread-exit', 31), 91, 92)), '/2 trace likely or /1');
  });

  it('is stronger than which answer an event loop read before', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).read(2, 7, marked('/2', 2)).read(1, 7, marked('/1', 1)).write(2, 7, OK('x')).write(11, 7, GET('/first')).read(11, 7, OK('u')).write(11, 7, GET('/second')).read(11, 7, OK('u'));
    assert.equal(whose(up2(scene, 7).write(1, 7, OK('x')).close(1).close(2).close(11).pass(10 * SECOND)), '/2 trace likely or /1');
  });

  it('is not stronger than what the service itself said of its thread, nor than its goroutine: that session is named, and no such call is proven', () => {
    const works = (scene: Scene, tid: number, name: number): Scene => scene.helper(tid, 'set-delegated-from-thread-id', { flags: name });
    assert.equal(whose(end(up2(works(two(), 31, 91), 31), 91, 92)), '/1 delegation likely or /2');
    assert.equal(whose(end(up2(works(two(new Scene().workers()), 31, 91), 31), 91, 92)), '/1 delegation likely or /2');
    const late = works(new Scene().accept(2, 92).read(2, 92, marked('/2', 2)).accept(1, 91).read(1, 91, marked('/1', 1)), 91, 1_001);
    assert.equal(whose(end(works(up2(late, 91), 91, 0), 91, 92)), '/1 helper likely or /2');
    const virtual = works(new Scene().accept(2, 92).read(2, 92, marked('/2', 2)).accept(1, 91), 91, 1_001).read(1, 91, marked('/1', 1));
    assert.equal(whose(up2(virtual.write(1, 91, OK('x')), 91).write(2, 92, OK('x')).close(1).close(2).pass(10 * SECOND)), '/1 virtual-thread likely or /2');
    const go = new GoScene().serve(1, 10).serve(2, 20);
    go.read(1, go.thread(), marked('/1', 1), { context: 10 }).read(2, go.thread(), marked('/2', 2), { context: 20 });
    go.begin(30, { parent: 10 }).dial(12, 30).write(12, go.thread(), marked('/up2', 2), { context: 30 }).read(12, go.thread(), OK('u'), { context: 30 });
    assert.equal(whose(go.answers(1, 10).answers(2, 20).close(1).close(2).close(12).pass(10 * SECOND)), '/1 goroutine likely or /2');
  });

  it('that the service gave itself is of the session whose other call carries it', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).connect(13, 7);
    scene.read(1, 7, GET('/1')).write(11, 7, marked('/first', 5)).read(2, 7, GET('/2')).wait(5_000).write(12, 7, marked('/second', 5)).read(12, 7, OK('u'));
    assert.deepEqual(told(answered(scene).derive())[0], '/1: /first thread likely, /second trace likely; complete');
  });

  it('stands in an SQL comment as well', () => {
    const query = (text: string): string => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(text.length + 5);
      return `Q${size.toString('latin1')}${text}\0`;
    };
    const comment = `/*traceparent='00-${'2'.repeat(32)}-${'b'.repeat(16)}-01'*/`;
    const startup = Buffer.from('\0\0\0\x12\0\x03\0\0user\0me\0\0\0').toString('latin1');
    const ready = 'Z\0\0\0\x05I';
    const sql = { remote: { host: '10.0.0.2', port: 5432 } };
    const scene = new Scene().connect(11, 7, sql).write(11, 7, startup).read(11, 7, `R\0\0\0\x08\0\0\0\0${ready}`).accept(1, 7).accept(2, 7).connect(12, 7);
    scene.read(1, 7, marked('/1', 1)).read(2, 7, marked('/2', 2)).write(11, 7, query(`SELECT 1 ${comment}`)).read(11, 7, `C\0\0\0\x0dSELECT 1\0${ready}`);
    scene.write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    assert.deepEqual(scene.derive().sessions.map(({ outbound }) => outbound.map((call) => call.attribution)), [[], ['trace']]);
  });
});
