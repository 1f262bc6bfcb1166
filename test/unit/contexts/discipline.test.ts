import assert from 'node:assert/strict';
import { besides, GET, OK, Scene, textOf } from '../sessions/scene.ts';
import type { OpenEvent } from '../../../src/events/event.ts';

const certainties = (scene: Scene): string[] => besides(scene.derive().sessions).flatMap((session) => session.outbound.map((call) => call.certainty));
/** One request with one call, all by `tid`, on a connection of its own that it closes. */
const serve = (scene: Scene, connection: number, tid: number, more: Partial<OpenEvent> = {}): Scene => {
  const call = connection + 1_000;
  scene.accept(connection, tid, more).read(connection, tid, GET(`/${connection}`)).connect(call, tid).write(call, tid, GET('/up')).read(call, tid, OK('u')).close(call, tid);
  return scene.write(connection, tid, OK('x')).close(connection, tid, 'local-fin').close(connection, tid);
};

describe('proven', () => {
  it('is no tie of a thread that was only ever seen with one client, be it a worker or an event loop', () => {
    const kept = new Scene().accept(1, 7).connect(11, 7);
    for (let n = 0; n < 40; n += 1) kept.read(1, 7, GET(`/${n}`)).write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    assert.deepEqual(new Set(certainties(kept.close(1).close(11))), new Set(['likely']));
    const closing = new Scene();
    for (let n = 1; n <= 40; n += 1) serve(closing, n, 7 + (n % 2));
    assert.deepEqual(new Set(certainties(closing)), new Set(['likely']));
  });

  it('are the ties of workers, also the first, once they have kept to one request each while others were at work', () => {
    const scene = serve(serve(new Scene(), 1, 91), 2, 91).workers();
    assert.deepEqual(certainties(scene), ['proven', 'proven']);
  });

  it('is nothing behind a listener of which one thread was seen to be an event loop', () => {
    const scene = serve(new Scene().workers(), 1, 91).accept(2, 50).accept(3, 50).read(2, 50, GET('/2')).read(3, 50, GET('/3')).write(2, 50, OK('x')).write(3, 50, OK('x'));
    assert.deepEqual(certainties(scene.close(2).close(3)), ['likely']);
  });

  it('is nothing behind another listener of the same process', () => {
    const admin = { local: { host: '10.0.0.1', port: 9_090 } };
    assert.deepEqual(certainties(serve(serve(new Scene().workers(), 1, 91, admin), 2, 91)), ['likely', 'proven']);
  });

  it('does not outlive the process that was seen', () => {
    const scene = new Scene().workers().process('exit', 91);
    assert.deepEqual(certainties(serve(scene, 1, 91)), ['likely']);
  });

  it('are the ties of a pool whose threads are handed kept-alive connections, more of them than threads', () => {
    const scene = new Scene();
    const tids = [21, 22, 23, 24];
    for (let n = 1; n <= 8; n += 1) scene.accept(n, tids[n % 4]);
    let at = 0;
    const working: [connection: number, tid: number][] = [];
    const take = (tid: number): void => {
      const connection = 1 + (at++ % 8);
      scene.read(connection, tid, GET(`/${connection}`));
      working.push([connection, tid]);
    };
    for (const tid of tids) take(tid);
    for (let n = 0; n < 41; n += 1) {
      const [[connection, tid]] = working.splice(n % 3, 1) as [[number, number]];
      const call = 100 + n;
      scene.connect(call, tid).write(call, tid, GET('/up')).read(call, tid, OK('u')).close(call, tid).write(connection, tid, OK('x'));
      take(tid);
    }
    for (const [connection, tid] of working) scene.write(connection, tid, OK('x'));
    assert.deepEqual(new Set(certainties(scene)), new Set(['proven']));
  });

  it('are the ties of workers that hold kept-alive connections of many clients, before any of these asks again', () => {
    const scene = new Scene();
    const working: [connection: number, tid: number][] = [];
    let next = 1;
    const take = (tid: number): void => {
      scene.accept(next, tid).read(next, tid, GET(`/${next}`));
      working.push([next, tid]);
      next += 1;
    };
    for (const tid of [21, 22, 23, 24]) take(tid);
    while (next <= 16) {
      const [connection, tid] = working.shift() as [number, number];
      scene.connect(100 + connection, tid).write(100 + connection, tid, GET('/up')).write(100 + connection, tid, GET('/more')).read(100 + connection, tid, OK('u') + OK('u')).close(100 + connection, tid).write(connection, tid, OK('x'));
      take(tid);
    }
    assert.deepEqual(certainties(scene), Array(24).fill('proven'));
  });

  it('is judged by what shows within two seconds', () => {
    const after = (us: number): string[] => serve(serve(new Scene(), 1, 91), 2, 91).pass(us).workers().pass(3_000_000).derive({ orderly: false })
      .sessions.filter((session) => session.outbound.length > 0).map((session) => session.outbound[0]!.certainty);
    assert.deepEqual(after(1_500_000)[0], 'proven');
    assert.deepEqual(after(2_500_000)[0], 'likely');
  });

  it('are the ties of threads that each serve one connection and end with it', () => {
    const scene = new Scene();
    for (let n = 1; n <= 6; n += 1) serve(scene, n, 30 + n).process('thread-exit', 30 + n);
    assert.deepEqual(certainties(scene), Array(6).fill('proven'));
  });
});

/** Two threads: so many times one of them takes up a request while the other one is at work, on a new connection or (`kept`) on one of its own. */
const inTurns = (scene: Scene, times: number, kept = false): Scene => {
  const at = [0, 0];
  let next = 500;
  const take = (who: 0 | 1): void => {
    const tid = 21 + who;
    if (!kept || at[who] === 0) scene.accept(at[who] = next += 1, tid);
    scene.read(at[who]!, tid, GET(`/${who}`)).connect(next += 1, tid).write(next, tid, GET('/up')).read(next, tid, OK('u')).close(next, tid);
  };
  const answer = (who: 0 | 1): void => {
    scene.write(at[who]!, 21 + who, OK('x'));
    if (!kept) scene.close(at[who]!, 21 + who, 'local-fin').close(at[who]!, 21 + who);
  };
  take(0);
  take(1);
  for (let turn = 0; turn < times; turn += 1) {
    const who = turn % 2 === 0 ? 0 : 1;
    answer(who);
    take(who);
  }
  answer(0);
  answer(1);
  return scene;
};

describe('one request at a time', () => {
  const found = (scene: Scene): string => [...new Set(certainties(scene))].join();

  it('is what two threads work at once they have kept to it 14 times, each of which two event loops would have with a chance of one in two', () => {
    assert.deepEqual([found(inTurns(new Scene(), 13)), found(inTurns(new Scene(), 14))], ['likely', 'proven']);
  });

  it('is not what two threads are seen to work at that have a kept connection each: two event loops would do alike', () => {
    assert.equal(found(inTurns(new Scene(), 60, true)), 'likely');
  });

  it('is what threads work at of which three have ended after one connection, and each time another one came', () => {
    const ends = (count: number, connections = 1): Scene => {
      const scene = new Scene();
      for (let n = 1; n <= count; n += 1) {
        for (let each = 0; each < connections; each += 1) serve(scene, 10 * n + each, 30 + n);
        scene.process('thread-exit', 30 + n);
      }
      return scene;
    };
    assert.deepEqual([found(ends(3)), found(ends(4))], ['likely', 'proven']);
    assert.equal(found(ends(8, 2)), 'likely', 'who has served two might have served both at once');
    // Nor do those that are gone make it less telling what the others do.
    assert.equal(found(inTurns(ends(8, 2), 14)), 'proven');
  });

  it('is not what threads work at that end in the midst of a request: nobody knows what they would have taken up', () => {
    const scene = new Scene();
    for (let n = 1; n <= 8; n += 1) scene.accept(n, 30 + n).read(n, 30 + n, GET(`/${n}`)).process('thread-exit', 30 + n);
    assert.equal(found(serve(scene, 90, 91)), 'likely');
  });
});

describe('a worker by unix sockets', () => {
  const UNIX: Partial<OpenEvent> = { family: 'unix', local: { host: 'unix:/run/app.sock', port: 0 }, remote: { host: 'unix:', port: 0 } };

  it('holds one at a time although nobody says when they were closed', () => {
    for (const told of [true, false]) {
      const scene = new Scene();
      const tids = [41, 42, 43, 44];
      let next = 1;
      const serving = new Map<number, number>();
      const take = (tid: number): void => {
        serving.set(tid, next);
        scene.accept(next, tid, UNIX).read(next, tid, GET(`/${next}`));
        next += 1;
      };
      const answer = (tid: number): void => {
        const connection = serving.get(tid) as number;
        scene.connect(500 + connection, tid).write(500 + connection, tid, GET('/up')).read(500 + connection, tid, OK('u')).write(connection, tid, OK('x'));
        if (told) scene.close(connection, tid, 'remote-fin');
      };
      tids.forEach(take);
      for (let round = 0; round < 4; round += 1) for (const tid of tids) { answer(tid); take(tid); }
      tids.forEach(answer);
      const { sessions } = scene.derive();
      assert.deepEqual([sessions.length, new Set(sessions.flatMap((session) => session.outbound.map((call) => `${textOf(call.request).length} ${call.certainty}`)))],
        [20, new Set([`${GET('/up').length} proven`])], `told ${told}`);
    }
  });

  it('holds several where it reads again from the one before', () => {
    const scene = new Scene().accept(1, 7, UNIX).read(1, 7, GET('/1')).write(1, 7, OK('x')).accept(2, 7, UNIX).read(2, 7, GET('/2')).write(2, 7, OK('x'));
    scene.connect(11, 1).connect(12, 1).read(1, 7, GET('/3')).write(11, 7, GET('/up')).write(12, 7, GET('/more')).write(1, 7, OK('x')).close(11).close(12).close(1).close(2);
    assert.deepEqual(scene.derive().sessions[2]!.outbound.map((call) => call.attribution), ['thread', 'elimination'], 'of a loop only the first act is its thread\'s');
  });
});

describe('an event loop', () => {
  /** Two requests are on their way, so that it is known for one. */
  const loop = (): Scene => new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).connect(13, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(1, 7, OK('x')).write(2, 7, OK('x'));
  const tied = (scene: Scene): string[][] => scene.close(1).close(2).close(11).close(12).close(13).derive().sessions.map((session) => session.outbound.map((call) => `${/\/\S*/.exec(textOf(call.request))?.[0]} ${call.attribution}`));

  it('has done for a request what it did first after it had read it; what it did next is that request\'s only while no other waits', () => {
    assert.deepEqual(tied(loop().read(1, 7, GET('/3')).write(11, 7, GET('/first')).write(12, 7, GET('/second')).write(1, 7, OK('x'))), [[], [], ['/first thread', '/second elimination']]);
  });

  it('goes on with the only session that can act, in its first act after the answer', () => {
    const scene = loop().read(1, 7, GET('/3')).write(11, 7, GET('/first')).read(11, 7, OK('u')).write(12, 7, GET('/then')).write(13, 7, GET('/else')).write(1, 7, OK('x'));
    assert.deepEqual(tied(scene), [[], [], ['/first thread', '/then continuation', '/else elimination']]);
  });

  it('goes on with nobody for sure where another session is without an answer', () => {
    const scene = loop().read(1, 7, GET('/3')).write(11, 7, GET('/first')).read(2, 7, GET('/4')).write(12, 7, GET('/other')).read(11, 7, OK('u')).write(11, 7, GET('/queued'));
    assert.deepEqual(tied(scene.write(1, 7, OK('x')).write(2, 7, OK('x'))), [[], [], ['/first thread'], ['/other thread']]);
  });

  it('goes on with the only session that has no answer, whatever else that waits for', () => {
    const scene = loop().read(1, 7, GET('/3')).write(11, 7, GET('/first')).write(12, 7, GET('/parallel')).read(11, 7, OK('u')).write(13, 7, GET('/timer')).read(12, 7, OK('u')).write(1, 7, OK('x'));
    assert.deepEqual(tied(scene), [[], [], ['/first thread', '/parallel elimination', '/timer elimination']]);
  });

  it('goes on with nobody where it makes such calls by itself, also when that shows later', () => {
    const scene = loop().read(1, 7, GET('/3')).write(11, 7, GET('/first')).write(12, 7, GET('/beat/1')).read(12, 7, OK('b')).read(11, 7, OK('u')).write(13, 7, GET('/then'));
    assert.deepEqual(tied(scene.read(13, 7, OK('t')).write(1, 7, OK('x')).write(12, 7, GET('/beat/2')).read(12, 7, OK('b'))), [[], [], ['/first thread', '/then continuation']]);
  });

  it('loses the ties that it was given before it was known for one, but those of a first act', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 1).connect(12, 1).read(1, 7, GET('/1')).write(11, 7, GET('/first')).read(2, 7, GET('/2')).read(11, 7, OK('u'));
    scene.write(12, 7, GET('/later')).read(12, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    const { sessions, ambient } = scene.derive();
    assert.deepEqual(sessions.map((session) => session.outbound.map((call) => textOf(call.request))), [[GET('/first')], []]);
    assert.deepEqual(ambient.map((talk) => [textOf(talk.request), talk.candidates]), [[GET('/later'), [sessions[0]!.id, sessions[1]!.id]]]);
    assert.deepEqual([sessions[0]!.ties.unknown, sessions[0]!.certificate.state], [1, 'incomplete']);
  });
});
