import assert from 'node:assert/strict';
import { Derivation } from '../../../src/sessions/derivation.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { besides, GET, OK, Scene, SECOND, textOf } from '../sessions/scene.ts';

const path = (chunks: Parameters<typeof textOf>[0]): string => /\/\S*/.exec(textOf(chunks))?.[0] ?? '';
const told = (sessions: readonly Session[]): string[] => besides(sessions).map((session) =>
  `${path(session.inbound.request)}: ${session.outbound.map((call) => `${path(call.request)} ${call.attribution} ${call.certainty}`).join(', ')}`);

/** One call of `tid`, on a connection of its own. */
const call = (scene: Scene, connection: number, tid: number, to = `/up${connection}`): Scene =>
  scene.connect(connection, tid).write(connection, tid, GET(to)).read(connection, tid, OK('u')).close(connection, tid);
const start = (scene: Scene, tid: number, child: number): Scene => scene.process('thread', tid, { childTid: child });
const end = (scene: Scene, tid: number): Scene => scene.process('thread-exit', tid);
const answer = (scene: Scene, connection: number, tid: number): Scene => scene.write(connection, tid, OK('x')).close(connection, tid, 'local-fin').close(connection, tid);
/** So that whoever read before is free, and losses would have been told. */
const later = (scene: Scene, ...tids: number[]): Scene => {
  for (const tid of tids) answer(scene.accept(8_000 + tid, tid).read(8_000 + tid, tid, GET('/worked')), 8_000 + tid, tid);
  return scene.pass(SECOND);
};

describe('born', () => {
  it('is what a thread of a session makes, until it ends: also where others are at work', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1')).read(2, 92, GET('/2'));
    start(scene, 91, 31);
    start(scene, 92, 32);
    call(call(scene, 12, 32), 11, 31);
    end(call(scene, 13, 31), 31);
    end(scene, 32);
    later(answer(answer(scene, 1, 91), 2, 92), 91, 92);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up11 born likely, /up13 born likely', '/2: /up12 born likely']);
  });

  it('is what a program makes that a session ran, and is proven where its thread is', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).process('fork', 91, { childTgid: 300, childTid: 300 });
    scene.tgid = 300;
    end(call(scene.process('exec', 300, { command: 'curl' }), 11, 300), 300).process('exit', 300);
    scene.tgid = 100;
    const { sessions } = later(answer(scene, 1, 91), 91).derive();
    assert.deepEqual(told(sessions), ['/1: /up11 born proven']);
    assert.equal(besides(sessions)[0]!.certificate.state, 'complete');
  });

  it('is no more than likely where another thread of that program wrote a part of the call', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).process('fork', 91, { childTgid: 300, childTid: 300 });
    scene.tgid = 300;
    scene.process('exec', 300, { command: 'curl' }).connect(11, 300).write(11, 300, GET('/up11').slice(0, 9)).write(11, 301, GET('/up11').slice(9)).read(11, 300, OK('u')).close(11, 300).process('exit', 300);
    scene.tgid = 100;
    assert.deepEqual(told(later(answer(scene, 1, 91), 91).derive().sessions), ['/1: /up11 born likely']);
  });

  it('is no more than likely where nobody knows that its thread serves one request at a time', () => {
    const scene = new Scene().accept(1, 91).read(1, 91, GET('/1')).process('fork', 91, { childTgid: 300, childTid: 300 });
    scene.tgid = 300;
    call(scene.process('exec', 300), 11, 300).process('exit', 300);
    scene.tgid = 100;
    assert.deepEqual(told(later(answer(scene, 1, 91)).derive().sessions), ['/1: /up11 born likely']);
  });

  it('is proven of threads once enough of them have ended with their sessions, and none lives on', () => {
    const scene = new Scene().workers();
    for (let n = 1; n <= 20; n += 1) {
      start(scene.accept(n, 91).read(n, 91, GET(`/${n}`)), 91, 200 + n);
      later(answer(end(call(scene, 100 + n, 200 + n), 200 + n), n, 91), 92);
    }
    const certainties = besides(later(scene, 91).derive().sessions).map((session) => session.outbound[0]!.certainty);
    assert.deepEqual(certainties, [...Array<string>(15).fill('likely'), ...Array<string>(5).fill('proven')]);
  });

  it('is what a thread made that had to wait for a processor before it could end', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    later(answer(call(start(scene, 91, 31), 11, 31), 1, 91).accept(2, 91).read(2, 91, GET('/2')).pass(SECOND / 2).pass(SECOND / 4).process('thread-exit', 31), 92);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up11 born likely', '/2: ']);
  });

  it('is nothing of a thread that lives on: a pool\'s worker, started in one request, works for others, also while that one is open', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1'));
    start(scene, 91, 31);
    call(scene, 11, 31).read(2, 92, GET('/2'));
    call(scene, 12, 31, '/of-2');
    later(answer(answer(scene, 2, 92), 1, 91), 91, 92);
    call(scene, 13, 31, '/of-nobody');
    const { sessions, ambient } = scene.derive();
    assert.deepEqual(told(sessions), ['/1: ', '/2: ']);
    assert.deepEqual(ambient.sort((a, b) => a.startedAtUs - b.startedAtUs).map((talk) => path(talk.request)), ['/up11', '/of-2', '/of-nobody']);
    assert.equal(besides(sessions)[0]!.certificate.state, 'incomplete');
  });

  it('lets what a pool\'s worker made be another session\'s, which waits until the one that started the worker is over', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1'));
    start(scene, 91, 31).read(2, 92, GET('/users/mia-550e8400'));
    call(call(scene, 13, 31, '/other'), 14, 31, '/another');
    answer(call(scene, 12, 31, '/of/mia-550e8400'), 2, 92);
    answer(scene.accept(3, 92).read(3, 92, GET('/worked')), 3, 92).pass(SECOND / 20);
    answer(scene, 1, 91);
    assert.deepEqual(told(later(scene, 91, 92).pass(3 * SECOND).derive().sessions), ['/1: ', '/users/mia-550e8400: /of/mia-550e8400 content likely']);
  });

  it('lets what a pool\'s worker made count for each session that may have made it, also for one that is over before the one that started the worker', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1'));
    start(scene, 91, 31).read(2, 92, GET('/2'));
    answer(call(scene, 12, 31, '/of-2'), 2, 92);
    answer(scene.accept(3, 92).read(3, 92, GET('/worked')), 3, 92).pass(SECOND / 20);
    const { sessions, ambient } = later(answer(scene, 1, 91), 91, 92).pass(3 * SECOND).derive();
    assert.deepEqual([besides(sessions).map(({ outbound, certificate }) => [outbound.length, certificate.state]), ambient.map((talk) => path(talk.request))], [[[0, 'incomplete'], [0, 'incomplete']], ['/of-2']]);
  });

  describe('of a thread that did not end by itself', () => {
    const started = (): Scene => call(start(new Scene().workers().accept(1, 91).read(1, 91, GET('/1')), 91, 31), 11, 31);
    const given = (scene: Scene): readonly (readonly (string | undefined)[])[] => {
      const { sessions, ambient } = scene.derive({ reasons: true });
      return [told(sessions), ambient.map(({ whyNot }) => whyNot?.[0])];
    };

    it('is nothing: its process ended, and with it a pool\'s worker does too', () => {
      const whole = answer(started(), 1, 91).process('thread-exit', 31, { withProcess: true }).process('thread-exit', 91, { withProcess: true }).process('exit', 92);
      assert.deepEqual(given(whole), [['/1: '], ['cut-short']]);
      assert.deepEqual(given(answer(started(), 1, 91).process('exit', 31)), [['/1: '], ['cut-short']], 'the last one that was left');
    });

    it('is what it made where it was a program\'s that the session ran', () => {
      const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).process('fork', 91, { childTgid: 300, childTid: 300 });
      scene.tgid = 300;
      call(start(start(scene.process('exec', 300), 300, 301), 301, 302), 11, 302).process('thread-exit', 301, { withProcess: true }).process('thread-exit', 302, { withProcess: true }).process('exit', 300);
      scene.tgid = 100;
      assert.deepEqual(told(later(answer(scene, 1, 91), 91).derive().sessions), ['/1: /up11 born likely']);
    });

    it('proves nothing, nor speaks against it: that others end is known as before', () => {
      const scene = new Scene().workers();
      for (let n = 1; n <= 17; n += 1) {
        if (n === 10) start(scene.accept(99, 92).read(99, 92, GET('/cut')), 92, 399);
        start(scene.accept(n, 91).read(n, 91, GET(`/${n}`)), 91, 200 + n);
        if (n === 10) answer(scene.process('thread-exit', 399, { withProcess: true }), 99, 92);
        later(answer(end(call(scene, 100 + n, 200 + n), 200 + n), n, 91), 92);
      }
      assert.deepEqual(told(later(scene, 91).derive().sessions).slice(-3), ['/15: /up115 born likely', '/16: /up116 born proven', '/17: /up117 born proven']);
    });
  });

  it('is not proven of threads behind a listener one of whose sessions started one that lived on', () => {
    const scene = new Scene().workers();
    start(scene.accept(1, 91).read(1, 91, GET('/1')), 91, 31);
    later(answer(scene, 1, 91), 91);
    for (let n = 2; n <= 22; n += 1) {
      start(scene.accept(n, 91).read(n, 91, GET(`/${n}`)), 91, 200 + n);
      later(answer(end(call(scene, 100 + n, 200 + n), 200 + n), n, 91), 91);
    }
    assert.deepEqual(new Set(besides(scene.derive().sessions).flatMap((session) => session.outbound.map((one) => one.certainty))), new Set(['likely']));
  });

  it('goes down the line: what a thread of a session starts, a program for example, is of that session too', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    start(start(scene, 91, 31), 31, 32);
    end(end(call(scene, 11, 32), 32), 31);
    assert.deepEqual(told(later(answer(scene, 1, 91), 91).derive().sessions), ['/1: /up11 born likely']);
  });

  it('is proven down the line, too, once enough were seen to end with their sessions', () => {
    const scene = new Scene().workers();
    for (let n = 1; n <= 20; n += 1) {
      start(start(scene.accept(n, 91).read(n, 91, GET(`/${n}`)), 91, 200 + n), 200 + n, 300 + n);
      later(answer(end(end(call(scene, 100 + n, 300 + n), 300 + n), 200 + n), n, 91), 92);
    }
    assert.equal(told(later(scene, 91).derive().sessions).at(-1), '/20: /up120 born proven');
  });

  it('keeps a session waiting for a second at most for the end of what it started', () => {
    const isGiven = (us: number): boolean => {
      const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
      start(scene, 91, 31).pass(SECOND);
      answer(scene, 1, 91).accept(2, 91).read(2, 91, GET('/2')).pass(us);
      const given: string[] = [];
      const derivation = new Derivation({ recordingId: 'test', onSession: ({ inbound }) => given.push(path(inbound.request)), onAmbient: () => undefined });
      for (const event of scene.events) derivation.push(event);
      return given.includes('/1');
    };
    assert.deepEqual([isGiven(0.9 * SECOND), isGiven(1.1 * SECOND)], [false, true]);
  });

  it('is not what a thread makes whose number was another\'s before, the end of which was lost', () => {
    const scene = new Scene().workers().accept(1, 31).accept(2, 92).read(1, 31, GET('/1')).read(2, 92, GET('/2'));
    start(scene, 92, 31);
    end(call(scene, 11, 31), 31);
    assert.deepEqual(told(later(answer(scene.write(1, 31, OK('x')).close(1), 2, 92), 92).derive().sessions), ['/1: ', '/2: /up11 born likely']);
  });

  it('is not given back to the session that started a pool\'s worker by what the call says', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/users/mia-550e8400'));
    start(scene, 91, 31).read(2, 92, GET('/2'));
    call(call(call(scene, 13, 31, '/other'), 14, 31, '/another'), 12, 31, '/of/mia-550e8400');
    assert.deepEqual(told(later(answer(answer(scene, 2, 92), 1, 91), 91, 92).pass(3 * SECOND).derive().sessions), ['/users/mia-550e8400: ', '/2: ']);
  });

  it('leaves what a pool\'s worker goes on with after an answer to that evidence, where it says the same', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).connect(11, 91).connect(12, 1).write(11, 91, GET('/up'));
    start(scene, 91, 31).read(11, 31, OK('u')).write(12, 31, GET('/next')).read(12, 31, OK('u'));
    assert.equal(told(later(answer(scene.close(11).close(12), 1, 91), 92).derive().sessions)[0], '/1: /up thread likely, /next continuation likely');
  });

  it('is nothing of what a pool\'s worker starts', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    start(start(scene, 91, 31), 31, 32);
    end(call(scene, 11, 32), 32);
    assert.deepEqual(told(later(answer(scene, 1, 91), 91).derive().sessions), ['/1: ']);
  });

  it('ends where the thread takes a request of its own', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    start(scene, 91, 31).accept(2, 31).read(2, 31, GET('/2'));
    call(scene, 11, 31);
    end(answer(scene, 2, 31), 31);
    assert.deepEqual(told(later(answer(scene, 1, 91), 91).derive().sessions), ['/1: ', '/2: /up11 thread proven']);
  });

  it('is not inherited from a thread that works for nobody', () => {
    const scene = new Scene().workers();
    start(scene, 1, 31).accept(1, 91).read(1, 91, GET('/1'));
    end(call(scene, 11, 31), 31);
    assert.deepEqual(told(later(answer(scene, 1, 91), 91).derive().sessions), ['/1: ']);
  });

  it('is marked where it comes after the answer, and is then no more than likely', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).process('fork', 91, { childTgid: 300, childTid: 300 }).write(1, 91, OK('x'));
    scene.tgid = 300;
    call(scene.process('exec', 300), 11, 300).process('exit', 300);
    scene.tgid = 100;
    const { sessions } = later(scene.close(1, 91, 'local-fin').close(1, 91), 91).derive();
    assert.deepEqual(told(sessions), ['/1: /up11 born likely']);
    assert.equal(besides(sessions)[0]!.outbound[0]!.afterResponse, true);
  });

  it('does not keep a session that is over alive for a worker that it started', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    start(scene, 91, 31);
    later(answer(scene, 1, 91), 91);
    call(scene, 11, 31).accept(2, 92).read(2, 92, GET('/2'));
    later(answer(scene, 2, 92), 92);
    assert.deepEqual(told(scene.derive().sessions), ['/1: ', '/2: ']);
  });

  it('gives names that a program of its own resolved to the session', () => {
    const answerOf = (name: string, address: number[]): Uint8Array => {
      const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
      return new Uint8Array([0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address]);
    };
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).process('fork', 91, { childTgid: 300, childTid: 300 });
    scene.tgid = 300;
    scene.process('exec', 300).udp('ingress', 300, 53, answerOf('upstream.test', [10, 0, 0, 2]));
    call(scene, 11, 300).process('exit', 300);
    scene.tgid = 100;
    assert.deepEqual(besides(later(answer(scene, 1, 91), 91).derive().sessions)[0]!.names, { 'upstream.test': ['10.0.0.2'] });
  });

  it('leaves no session complete that a worker may have called for, which was started for one that was answered by then', () => {
    const scene = new Scene().workers().accept(1, 91).accept(2, 92).read(1, 91, GET('/1'));
    start(scene, 91, 31).write(1, 91, OK('x')).read(2, 92, GET('/2'));
    later(answer(call(scene, 11, 31), 2, 92), 92).pass(3 * SECOND).accept(3, 93).pass(SECOND).read(1, 91, GET('/3')).write(1, 91, OK('x'));
    const { sessions } = later(scene, 91).derive();
    const [, second] = besides(sessions);
    assert.deepEqual(told(sessions), ['/1: ', '/2: ', '/3: ']);
    assert.equal(second!.certificate.state, 'incomplete');
  });

  it('is told in words for and against', () => {
    const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1'));
    start(start(scene, 91, 31), 91, 32);
    end(call(call(scene, 11, 31), 12, 32), 31);
    const { sessions, ambient } = later(answer(scene, 1, 91), 91).derive({ reasons: true });
    assert.deepEqual(besides(sessions)[0]!.outbound[0]!.reasons, { for: ['started-for-it', 'ended-by-then', 'opened-for-it', 'call-by-one-thread'], against: ['starts-unknown'] });
    assert.deepEqual(ambient.map((talk) => talk.whyNot), [['outlived', 'no-rare-words']]);
  });
});
