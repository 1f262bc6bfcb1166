import assert from 'node:assert/strict';
import { FIRST_TASK, FIRST_VIRTUAL_THREAD } from '../../../src/events/event.ts';
import { GET, OK, pathIn, Scene, SECOND, strays, textOf, told } from '../sessions/scene.ts';

/** An event loop of Python's, on thread 7: what it reads it reads in no context that is known, as asyncio's transports do. */
class Loop extends Scene {
  /** Context `number` is made within `parent`; 0: in none that is known. */
  make(number: number, parent = 0, tid = 7): this {
    this.nowUs += 10;
    return this.add({
      kind: 'goroutine', atUs: this.nowUs, tgid: this.tgid, tid, context: FIRST_TASK + number, snapshot: false, parent: parent === 0 ? 0 : FIRST_TASK + parent, function: '', role: 'task', began: true,
    });
  }

  /** Context `number` is older than the recorder, and is met now. */
  meet(number: number): this {
    this.nowUs += 10;
    return this.add({ kind: 'goroutine', atUs: this.nowUs, tgid: this.tgid, tid: 7, context: FIRST_TASK + number, snapshot: false, parent: 0, function: '', role: 'task', began: false });
  }

  call(connection: number, context: number, target: string, tid = 7): this {
    return this.write(connection, tid, GET(target), { context: FIRST_TASK + context });
  }

  answer(connection: number, context: number): this {
    return this.write(connection, 7, OK('x'), { context: FIRST_TASK + context });
  }

  end(...connections: readonly number[]): this {
    for (const connection of connections) this.close(connection);
    return this;
  }
}

/** Two clients whose connections are served in contexts 1 and 2, and two connections to a dependency. */
const two = (): Loop => new Loop().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).make(1).make(2);

describe('a context of Python\'s', () => {
  it('makes the calls of the session that it answers, whatever its thread read last, also where nothing else would tell', () => {
    const scene = two().read(1, 7, GET('/1')).read(2, 7, GET('/2'));
    scene.call(11, 1, '/up1').call(12, 2, '/up2').read(11, 7, OK('u')).read(12, 7, OK('u')).answer(1, 1).answer(2, 2).end(1, 2, 11, 12);
    const wanted = ['/1: /up1 runtime likely; complete', '/2: /up2 runtime likely; complete'];
    assert.deepEqual(told(scene.derive()), wanted);
    assert.deepEqual(told(scene.pass(SECOND).pass(SECOND).derive()), wanted, 'when they had waited');
  });

  it('is believed where the call was the first thing after another session\'s request or answer was read, and that one is named', () => {
    const scene = two().read(1, 7, GET('/1')).call(11, 1, '/up1').read(2, 7, GET('/2')).call(12, 1, '/queued1').read(11, 7, OK('u')).read(12, 7, OK('u'));
    const found = scene.answer(2, 2).answer(1, 1).end(1, 2, 11, 12).derive();
    assert.deepEqual(told(found), ['/1: /up1 thread likely, /queued1 runtime likely; complete', '/2: ; complete']);
    assert.deepEqual(found.sessions[0]!.outbound[1]!.alternatives, [found.sessions[1]!.id]);
  });

  it('that answers nobody says nothing, and what its thread read last is not believed in its place, where others were at work', () => {
    const scene = two().make(3).read(1, 7, GET('/1')).call(11, 3, '/queued').read(2, 7, GET('/2')).read(11, 7, OK('u')).answer(1, 1).answer(2, 2).end(1, 2, 11, 12);
    const found = scene.derive();
    assert.deepEqual(told(found), ['/1: ; incomplete', '/2: ; complete']);
    assert.deepEqual(strays(found), ['/queued']);
  });

  it('works for its maker\'s session, also where one between them does nothing that is seen, and on another thread', () => {
    const scene = two().read(1, 7, GET('/1')).make(3, 1).read(2, 7, GET('/2')).make(4, 2).make(5, 3).make(6, 4);
    scene.call(12, 6, '/up2').call(11, 5, '/up1', 8).read(11, 8, OK('u')).read(12, 7, OK('u')).answer(2, 2).answer(1, 1).end(1, 2, 11, 12);
    assert.deepEqual(told(scene.derive()), ['/1: /up1 runtime likely; complete', '/2: /up2 runtime likely; complete']);
  });

  it('is believed of a pool\'s worker too, that was started for the session and lives on', () => {
    const scene = new Loop().accept(1, 7).make(1).read(1, 7, GET('/1')).make(2, 1).process('fork', 7, { childTgid: 100, childTid: 31 }).connect(11, 31);
    scene.call(11, 2, '/first', 31).read(11, 31, OK('u')).answer(1, 1);
    const found = scene.read(1, 7, GET('/2')).make(3, 1).call(11, 3, '/second', 31).read(11, 31, OK('u')).answer(1, 1).wait(5 * SECOND).end(1, 11).derive();
    assert.deepEqual(told(found), ['/1: /first runtime likely; complete', '/2: /second runtime likely; complete']);
  });

  it('may take its time with the answer, while others come and go: its first call waits for it', () => {
    const scene = two().read(1, 7, GET('/slow')).read(2, 7, GET('/beside')).wait(2_000).call(11, 1, '/up1').read(11, 7, OK('u')).answer(2, 2);
    for (let second = 0; second < 10; second += 1) scene.wait(SECOND).read(2, 7, GET(`/${second}`)).answer(2, 2);
    const found = scene.answer(1, 1).end(1, 2, 11, 12).derive();
    assert.equal(told(found).find((line) => line.startsWith('/slow')), '/slow: /up1 runtime likely; complete');
    assert.deepEqual(told(found).filter((line) => !line.endsWith('complete') || line.endsWith('incomplete')), ['/beside: ; incomplete']);
  });

  it('makes its calls for what it has answered, also where others that were open then stay so for longer than anyone waits', () => {
    const scene = two().read(1, 7, GET('/quick')).read(2, 7, GET('/long-poll')).wait(2_000).call(11, 1, '/up1').read(11, 7, OK('u')).answer(1, 1).close(1);
    for (let second = 0; second < 10; second += 1) scene.wait(SECOND).accept(20 + second, 7).read(20 + second, 7, GET(`/${second}`)).answer(20 + second, 3 + second).close(20 + second);
    const found = scene.answer(2, 2).end(2, 11, 12).derive();
    assert.deepEqual([told(found).filter((line) => line.startsWith('/quick')), strays(found)], [['/quick: /up1 runtime likely; complete'], []]);
  });

  it('is waited for also while its answer is being written, of which nothing is known yet', () => {
    const scene = two().read(2, 7, GET('/beside')).read(1, 7, GET('/slow')).wait(2_000).call(11, 1, '/up1').read(11, 7, OK('u')).wait(SECOND).answer(2, 2).close(2).intent(1, 7, OK('x').length);
    for (let second = 0; second < 5; second += 1) scene.wait(SECOND).accept(20 + second, 7).read(20 + second, 7, GET(`/${second}`)).answer(20 + second, 3 + second).close(20 + second);
    const found = scene.answer(1, 1).end(1, 11, 12).derive();
    assert.deepEqual([told(found).filter((line) => line.startsWith('/slow')), strays(found)], [['/slow: /up1 runtime likely; complete'], []]);
  });

  it('makes no call for the request before, which waits for one that it left, while its next one has no answer', () => {
    const scene = two().read(2, 7, GET('/long-poll')).read(1, 7, GET('/first')).wait(2_000).call(12, 1, '/left').answer(1, 1).wait(2_000).read(1, 7, GET('/second')).wait(2_000)
      .call(11, 1, '/up').read(11, 7, OK('u')).read(12, 7, OK('v'));
    for (let second = 0; second < 10; second += 1) scene.wait(SECOND).accept(20 + second, 7).read(20 + second, 7, GET(`/${second}`)).answer(20 + second, 3 + second).close(20 + second);
    const found = scene.answer(1, 1).answer(2, 2).end(1, 2, 11, 12).derive();
    assert.deepEqual([told(found).filter((line) => /^.(?:first|second)/.test(line)), strays(found)], [['/first: /left runtime likely; complete', '/second: /up runtime likely; complete'], []]);
  });

  it('that never answers, though asked, does not keep its calls for ever', () => {
    const scene = two().read(1, 7, GET('/slow')).read(2, 7, GET('/beside')).wait(2_000).call(11, 1, '/up1').read(11, 7, OK('u')).answer(2, 2);
    for (let second = 0; second < 70; second += 1) scene.wait(SECOND).read(2, 7, GET(`/${second}`)).answer(2, 2);
    const order: string[] = [];
    scene.derive({ onSession: ({ inbound }) => order.push(pathIn(textOf(inbound.request))), onAmbient: ({ request }) => order.push(`stray ${pathIn(textOf(request))}`) });
    assert.match(order[order.indexOf('stray /up1') - 1] ?? '', /^\/5\d$/, 'after a minute');
  });

  it('that answers one request after the other makes each call for the one that it answers next', () => {
    const scene = two().read(1, 7, GET('/1')).read(2, 7, GET('/2')).call(11, 1, '/first').read(11, 7, OK('u')).answer(1, 1);
    scene.read(1, 7, GET('/3')).wait(2_000).call(11, 1, '/second').read(11, 7, OK('u')).answer(1, 1).answer(2, 2).end(1, 2, 11, 12);
    assert.deepEqual(told(scene.derive()), ['/1: /first runtime likely; complete', '/2: ; complete', '/3: /second runtime likely; complete']);
  });

  it('that was made for one request does nothing for its maker\'s next', () => {
    const scene = two().read(1, 7, GET('/1')).make(3, 1).read(2, 7, GET('/2')).answer(1, 1);
    scene.read(1, 7, GET('/3')).wait(2_000).call(11, 3, '/left-over').read(11, 7, OK('u')).answer(1, 1).answer(2, 2).end(1, 2, 11, 12);
    const found = scene.derive();
    assert.equal(found.sessions.find(({ inbound }) => pathIn(textOf(inbound.request)) === '/3')?.outbound.length, 0);
  });

  it('that was made for the request makes calls for it also where the answer is written in one that was made in it, as streams are', () => {
    const scene = new Loop().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).make(1).read(1, 7, GET('/1')).make(2, 1).read(2, 7, GET('/2')).make(3, 1);
    scene.call(12, 3, '/up2').call(11, 2, '/up1').read(11, 7, OK('u')).read(12, 7, OK('u')).make(4, 2).make(5, 3).make(6, 5).answer(2, 6).answer(1, 4).end(1, 2, 11, 12);
    assert.deepEqual(told(scene.derive()), ['/1: /up1 runtime likely; complete', '/2: /up2 runtime likely; complete']);
  });

  it('that is older than the request is not taken to be at it by an answer that is written in one that was made in it', () => {
    const scene = two().make(3).read(1, 7, GET('/1')).call(11, 3, '/own').read(2, 7, GET('/2')).read(11, 7, OK('u')).make(4, 3).answer(1, 4).answer(2, 2).end(1, 2, 11, 12);
    const found = scene.derive();
    assert.deepEqual(told(found), ['/1: ; incomplete', '/2: ; complete']);
    assert.deepEqual(strays(found), ['/own']);
  });

  it('that is older than the recorder counts as every other, and does not make those forgotten which are made then', () => {
    const scene = new Loop().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).meet(9_001).make(3, 9_001).meet(9_002).make(4, 9_002).wait(2_000);
    scene.call(12, 4, '/up2').call(11, 3, '/up1').read(11, 7, OK('u')).read(12, 7, OK('u')).answer(1, 9_001).answer(2, 9_002).end(1, 2, 11, 12);
    assert.deepEqual(told(scene.derive()), ['/1: /up1 runtime likely; complete', '/2: /up2 runtime likely; complete']);
  });

  it('that answers requests of several connections at a time tells nothing', () => {
    const scene = two().read(1, 7, GET('/1')).read(2, 7, GET('/2')).wait(2_000).call(11, 1, '/up1').call(12, 1, '/up2').read(11, 7, OK('u')).read(12, 7, OK('u'));
    const found = scene.answer(1, 1).answer(2, 1).end(1, 2, 11, 12).derive();
    assert.deepEqual([told(found), strays(found)], [['/1: ; incomplete', '/2: ; incomplete'], ['/up1', '/up2']]);
  });

  it('that answers nobody, as a worker\'s, and none of whose makers does, tells nothing', () => {
    const scene = two().make(9).read(1, 7, GET('/1')).read(2, 7, GET('/2')).wait(2_000).call(11, 9, '/worker').read(11, 7, OK('u')).answer(1, 1).answer(2, 2).end(1, 2, 11, 12);
    const found = scene.derive({ reasons: true });
    assert.deepEqual([told(found), strays(found)], [['/1: ; incomplete', '/2: ; incomplete'], ['/worker']]);
    assert.ok(found.ambient[0]!.whyNot?.includes('task-answers-none'), String(found.ambient[0]!.whyNot));
  });

  it('of a program is not one of what its process runs after an exec, though they are numbered alike', () => {
    const scene = two().read(1, 7, GET('/1')).read(2, 7, GET('/2')).make(3, 1).process('exec', 7).make(1).make(2).wait(2_000);
    const found = scene.call(11, 3, '/other').read(11, 7, OK('u')).answer(1, 1).answer(2, 2).end(1, 2, 11, 12).derive();
    assert.deepEqual(strays(found), ['/other']);
  });

  it('whose maker is too far away, or was made too long ago, counts as one that answers nobody', () => {
    const calls = (scene: Loop, context: number): string[] => strays(scene.wait(2_000).call(11, context, '/up').read(11, 7, OK('u')).answer(1, 1).answer(2, 2).end(1, 2, 11, 12).derive());
    const chain = (length: number): Loop => Array.from({ length }).reduce<Loop>((scene, _, at) => scene.make(3 + at, at === 0 ? 1 : 2 + at), two().read(1, 7, GET('/1')).read(2, 7, GET('/2')));
    assert.deepEqual([calls(chain(31), 33), calls(chain(32), 34)], [[], ['/up']]);
    const crowd = (length: number): Loop => Array.from({ length }).reduce<Loop>((scene, _, at) => scene.make(4 + at), two().read(1, 7, GET('/1')).read(2, 7, GET('/2')).make(3, 1));
    assert.deepEqual([calls(crowd(65_535), 3), calls(crowd(65_536), 3)], [[], ['/up']]);
  });

  it('leaves alone what is proven: a thread that takes one request at a time', () => {
    const scene = new Loop().workers();
    for (const n of [1, 2]) scene.make(n).accept(n, 1).connect(10 + n, 20 + n).read(n, 20 + n, GET(`/${n}`));
    scene.write(11, 21, GET('/up1'), { context: FIRST_TASK + 2 }).read(11, 21, OK('u'));
    for (const n of [1, 2]) scene.write(n, 20 + n, OK('x'), { context: FIRST_TASK + n }).close(n);
    assert.match(told(scene.end(11, 12).derive())[0] ?? '', /^\/1: \/up1 thread/);
  });
});

describe('what a pool of Python\'s is given to do by a thread that runs in no context', () => {
  /** Threads 7 and 8 have read a request each, and a pool's thread 31 has two connections. */
  const threads = (): Loop => new Loop().accept(1, 7).accept(2, 8).connect(11, 31).connect(12, 31).read(1, 7, GET('/1')).read(2, 8, GET('/2'));
  const ended = (scene: Loop): Loop => scene.read(11, 31, OK('u')).write(1, 7, OK('x')).write(2, 8, OK('x')).end(1, 2, 11, 12);

  it('is done for the request that the thread is at, in whatever order, also where it is handed on', () => {
    const scene = threads().make(1, 0, 7).make(2, 0, 8).make(3, 1, 31).wait(2_000).call(11, 2, '/up2', 31).call(12, 3, '/up1', 32).read(12, 32, OK('u'));
    assert.deepEqual(told(ended(scene).derive()), ['/1: /up1 runtime likely; complete', '/2: /up2 runtime likely; complete']);
  });

  it('is done for nobody that is known once that request has its answer, though the thread has read no other', () => {
    const scene = threads().write(1, 7, OK('x')).make(1, 0, 7).wait(2_000).accept(3, 9).read(3, 9, GET('/3')).call(11, 1, '/late', 31).read(11, 31, OK('u'));
    const found = scene.write(2, 8, OK('x')).write(3, 9, OK('x')).end(1, 2, 3, 11, 12).derive();
    assert.deepEqual([told(found).map((line) => line.split(';')[0]), strays(found)], [['/1: ', '/2: ', '/3: '], ['/late']]);
  });

  it('is done for nobody that is known where the thread has read others before that one was answered, even later on', () => {
    const scene = threads().make(1, 0, 7).accept(3, 7).read(3, 7, GET('/3')).wait(2_000).call(11, 1, '/up', 31).write(3, 7, OK('x'));
    const found = ended(scene).end(3).derive();
    assert.deepEqual(strays(found), ['/up']);
  });

  it('is done for nobody where its thread reads no requests: a timer\'s', () => {
    const scene = threads().make(1, 0, 9).wait(2_000).call(11, 1, '/tick', 31);
    assert.deepEqual(strays(ended(scene).derive()), ['/tick']);
  });

  it('may be to serve a connection: the thread that does is known by itself', () => {
    const scene = new Loop().workers();
    for (const n of [1, 2]) scene.make(n, 0, 9).accept(n, 9).connect(10 + n, 20 + n).read(n, 20 + n, GET(`/${n}`), { context: FIRST_TASK + n });
    for (const n of [1, 2]) scene.call(10 + n, n, `/up${n}`, 20 + n).read(10 + n, 20 + n, OK('u'));
    for (const n of [1, 2]) scene.write(n, 20 + n, OK('x'), { context: FIRST_TASK + n }).close(n);
    assert.deepEqual(told(scene.end(11, 12).derive()).slice(0, 2), ['/1: /up1 thread proven; complete', '/2: /up2 thread proven; complete']);
  });
});

describe('a virtual thread of Java\'s', () => {
  /** Two carriers, threads 7 and 8, and two connections of a pool. */
  const scene = (): Scene => new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 8);
  const on = (id: number): { context: number } => ({ context: FIRST_VIRTUAL_THREAD + id });

  it('makes the calls of the session that it answers, whichever threads carry it, also before others go on there', () => {
    const found = scene().read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(11, 7, GET('/up2'), on(31)).write(12, 8, GET('/up1'), on(30))
      .read(11, 8, OK('u')).read(12, 7, OK('u')).write(1, 8, OK('x'), on(30)).write(2, 7, OK('x'), on(31)).close(1).close(2).close(11).close(12).derive();
    assert.deepEqual(told(found), ['/1: /up1 runtime likely; complete', '/2: /up2 runtime likely; complete']);
  });

  describe('at a moment when nothing can be read of it', () => {
    /** One connection, whose two requests it serves; beside it another. What `seen` says of reading and answering the second. */
    const served = (reads: object, answers: object): Scene => scene().read(1, 7, GET('/1'), on(30)).write(1, 7, OK('x'), on(30)).read(2, 7, GET('/beside'), on(31))
      .read(1, 8, GET('/2'), reads).wait(2_000).write(11, 9, GET('/up2'), on(30)).read(11, 8, OK('u')).write(1, 8, OK('x'), answers).write(2, 7, OK('x'), on(31)).close(1).close(2).close(11).close(12);
    const CALLED = '/2: /up2 runtime likely; complete';

    it('is known by what it read, or by what it answered', () => {
      for (const some of [served(on(30), on(30)), served(on(30), {}), served({}, on(30))]) assert.ok(told(some.derive()).includes(CALLED));
    });

    it('is not taken to be at the request before, which is answered', () => {
      assert.deepEqual(strays(served({}, {}).derive()), ['/up2']);
    });
  });

  const ended = (some: Scene): Scene => some.wait(2_000).write(1, 8, OK('x'), on(30)).write(2, 7, OK('x'), on(31)).close(1).close(2).close(11).close(12);

  describe('that another waits for', () => {
    /** While requests 1 and 2 are at work, which virtual threads 30 and 31 serve, virtual thread 32 makes a call; that `by` waits for it is told where it has been answered. */
    const waited = (by: number, then: (some: Scene) => Scene = (some) => some): string[] => {
      const some = scene().read(1, 7, GET('/1')).read(2, 7, GET('/2')).wait(2_000).write(11, 7, GET('/up'), on(32)).read(11, 8, OK('u'));
      return told(ended(then(waits(some, 32, by))).derive());
    };
    const waits = (some: Scene, who: number, by: number): Scene => some.add({
      kind: 'goroutine', atUs: some.nowUs, tgid: some.tgid, tid: 8, ...on(who), snapshot: false, parent: on(by).context, function: '', role: 'task', began: false,
    });
    const FIRST = ['/1: /up runtime likely; complete', '/2: ; complete'];

    it('was begun by that one, and works for its session', () => {
      assert.deepEqual(waited(30), FIRST);
    });

    it('works for whom that one works for that waits for the one in between', () => {
      assert.deepEqual(waited(33, (some) => waits(some, 33, 30)), FIRST);
    });

    it('was begun by who was seen to wait first', () => {
      assert.deepEqual(waited(30, (some) => waits(some, 32, 31)), FIRST);
    });

    it('is another one once its process runs another program', () => {
      const before = waits(scene(), 32, 31).process('exec', 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).wait(2_000).write(11, 7, GET('/up'), on(32)).read(11, 8, OK('u'));
      assert.deepEqual(told(ended(waits(before, 32, 30)).derive()), FIRST);
    });

    it('works for nobody where that one does not', () => {
      assert.deepEqual(waited(33), ['/1: ; incomplete', '/2: ; incomplete']);
    });
  });

  it('that answers nobody, and that nobody is seen to wait for, tells nothing', () => {
    const found = scene().read(1, 7, GET('/1')).read(2, 7, GET('/2')).wait(2_000).write(11, 7, GET('/up'), on(32)).read(11, 8, OK('u'))
      .write(1, 8, OK('x'), on(30)).write(2, 7, OK('x'), on(31)).close(1).close(2).close(11).close(12).derive();
    assert.deepEqual(strays(found), ['/up']);
  });

  /** Virtual thread 32 makes two calls, of which the first names `first`, while requests 1 and 2 are at work. */
  const child = (first: string): Scene => scene().read(1, 7, GET('/1?id=abc-1234567')).read(2, 7, GET('/2?id=xyz-7654321')).wait(2_000)
    .write(11, 7, GET(`/${first}`), on(32)).read(11, 8, OK('u')).wait(2_000).write(11, 8, GET('/and'), on(32)).read(11, 7, OK('u'));

  it('that answers nobody makes all its calls for the session that one of them names', () => {
    const found = ended(child('abc-1234567')).derive({ reasons: true });
    assert.deepEqual([told(found), strays(found)], [['/1?id=abc-1234567: /abc-1234567 content likely, /and runtime likely; complete', '/2?id=xyz-7654321: ; complete'], []]);
    assert.ok(found.sessions[0]!.outbound[1]!.reasons?.for.includes('same-virtual-thread'));
  });

  it('that makes calls for several is a worker: of one that names nobody nothing is known', () => {
    const worker = child('abc-1234567').wait(2_000).write(12, 8, GET('/xyz-7654321'), on(32)).read(12, 7, OK('u'));
    assert.deepEqual(strays(ended(worker).derive()), ['/and']);
  });
});
