import assert from 'node:assert/strict';
import type { Session } from '../../../src/sessions/session.ts';
import { besides, GET, OK, Scene, SECOND, textOf } from '../sessions/scene.ts';

const told = (sessions: readonly Session[]): string[] => besides(sessions).map((session) => {
  const calls = session.outbound.map((call) => `${/\/\S*/.exec(textOf(call.request))?.[0]} ${call.attribution} ${call.certainty}`);
  return `${/\/\S*/.exec(textOf(session.inbound.request))?.[0]}: ${calls.join(', ')}`;
});

describe('ties', () => {
  it('are proven where each request has a thread of its own, however they interleave', () => {
    const scene = new Scene().workers();
    for (const n of [1, 2, 3]) scene.accept(n, 1).connect(10 + n, 20 + n);
    for (const n of [1, 2, 3]) scene.read(n, 20 + n, GET(`/${n}`));
    for (const n of [3, 1, 2]) scene.write(10 + n, 20 + n, GET(`/up${n}`));
    for (const n of [2, 3, 1]) scene.read(10 + n, 20 + n, OK('u'));
    for (const n of [1, 3, 2]) scene.write(n, 20 + n, OK('x')).close(n).close(10 + n);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up1 thread proven', '/2: /up2 thread proven', '/3: /up3 thread proven']);
  });

  it('are proven on a connection that threads share, one after the other', () => {
    const scene = new Scene().workers().connect(9, 1);
    for (const n of [1, 2]) scene.accept(n, 1).read(n, 20 + n, GET(`/${n}`)).write(9, 20 + n, GET(`/up${n}`)).read(9, 20 + n, OK('u')).write(n, 20 + n, OK('x')).close(n);
    assert.deepEqual(told(scene.close(9).derive().sessions), ['/1: /up1 thread proven', '/2: /up2 thread proven']);
  });

  it('are no more than likely in an event loop, from the moment it shows', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7);
    scene.read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(2, 7, GET('/2')).write(12, 7, GET('/up2'));
    scene.read(11, 7, OK('u')).write(1, 7, OK('x')).read(12, 7, OK('u')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up1 thread likely', '/2: /up2 thread likely']);
  });

  it('stay likely in a loop for the rest of its life', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    scene.close(1).close(2).accept(3, 7).read(3, 7, GET('/3')).write(11, 7, GET('/up3')).read(11, 7, OK('u')).write(3, 7, OK('x')).close(3).close(11);
    assert.equal(told(scene.derive().sessions)[2], '/3: /up3 thread likely');
  });

  it('are not made where a loop read several requests before it acted: unattributed, and every candidate is named', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2'));
    scene.write(11, 7, GET('/up1')).write(12, 7, GET('/up2')).read(11, 7, OK('u')).read(12, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    const { sessions, ambient } = scene.derive();
    assert.deepEqual(told(sessions), ['/1: ', '/2: ']);
    assert.deepEqual(ambient.map((talk) => talk.candidates), [sessions.map((session) => session.id), sessions.map((session) => session.id)]);
    assert.deepEqual(sessions.map((session) => [session.ties.unknown, session.certificate.state]), [[2, 'incomplete'], [2, 'incomplete']]);
  });

  it('are not made where a loop read one request and then another in two parts before it acted', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2').slice(0, 9)).read(2, 7, GET('/2').slice(9)).write(11, 7, GET('/whose')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(told(scene.derive().sessions), ['/1: ', '/2: ']);
  });

  it('are not made where a loop read several answers before it acted', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(2, 7, GET('/2')).write(12, 7, GET('/up2'));
    scene.read(11, 7, OK('u')).read(12, 7, OK('u')).write(11, 7, GET('/whose')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    const { sessions, ambient } = scene.derive();
    assert.deepEqual(told(sessions), ['/1: /up1 thread likely', '/2: /up2 thread likely']);
    assert.deepEqual(ambient.map((talk) => textOf(talk.request)), [GET('/whose')]);
  });

  it('are not made by what a loop read where it acts long after that: a timer of somebody else\'s may have woken it', () => {
    const told = (waitUs: number): string[][] => {
      const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(2, 7, OK('x'));
      scene.read(2, 7, GET('/3')).wait(waitUs).write(12, 7, GET('/up3')).read(12, 7, OK('u')).write(2, 7, OK('x')).write(1, 7, OK('x'));
      scene.read(1, 7, GET('/4')).write(11, 7, GET('/up4')).read(11, 7, OK('u')).wait(waitUs).write(12, 7, GET('/up5')).read(12, 7, OK('u')).write(1, 7, OK('x'));
      for (const connection of [1, 2, 11, 12]) scene.close(connection);
      return besides(scene.derive().sessions).map((session) => session.outbound.map((call) => `${/\/\S*/.exec(textOf(call.request))?.[0]} ${call.attribution}`));
    };
    assert.deepEqual(told(900), [[], [], ['/up3 thread'], ['/up4 thread', '/up5 continuation']]);
    assert.deepEqual(told(1_100), [[], [], [], ['/up4 thread', '/up5 elimination']]);
  });

  it('are not made for the second of two calls that were sent at once with what the loop read since: it is told apart later', () => {
    const command = (name: string): string => `*2\r\n$3\r\nGET\r\n$${name.length}\r\n${name}\r\n`;
    const asked = (sessions: readonly Session[]): string[] => besides(sessions).map(({ outbound }) => outbound.map((call) => `${textOf(call.request).split('\r\n')[4]}`).join(', '));
    const redis = { remote: { host: '10.0.0.2', port: 6379 } };
    // Nothing is heard of that connection before the loop has taken up another request.
    const loop = new Scene().accept(1, 7).accept(2, 7).accept(3, 7).connect(9, 7, redis).write(9, 7, command('k0')).read(9, 7, '$1\r\n0\r\n');
    loop.read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(9, 7, command('a') + command('b')).read(3, 7, GET('/3')).read(9, 7, '$1\r\n1\r\n$1\r\n2\r\n');
    for (const connection of [1, 2, 3]) loop.write(connection, 7, OK('x'));
    for (const connection of [1, 2, 3, 9]) loop.close(connection);
    assert.deepEqual(asked(loop.derive().sessions), ['', '', '']);
  });

  it('go by who connected where a loop opened the connection for a request and wrote on it later', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).connect(11, 7).read(2, 7, GET('/2')).connect(12, 7);
    scene.write(11, 7, GET('/up1')).write(12, 7, GET('/up2')).read(12, 7, OK('u')).write(2, 7, OK('x')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    const { sessions } = scene.derive();
    assert.deepEqual(told(sessions), ['/1: /up1 thread likely', '/2: /up2 thread likely']);
    assert.deepEqual(sessions.map((session) => session.outbound[0]!.alternatives), [[sessions[1]!.id], undefined]);
  });

  it('are not proven by a thread that accepts, reads and holds several connections, even one request at a time', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up1 thread likely']);
  });

  it('are proven in a worker process that accepts, serves and closes one connection after the other', () => {
    const scene = new Scene().workers();
    for (const n of [1, 2]) {
      scene.accept(n, 7).read(n, 7, GET(`/${n}`)).connect(10 + n, 7).write(10 + n, 7, GET(`/up${n}`)).read(10 + n, 7, OK('u')).close(10 + n, 7);
      scene.write(n, 7, OK('x')).close(n, 7, 'local-fin');
    }
    assert.deepEqual(told(scene.close(1).close(2).derive().sessions), ['/1: /up1 thread proven', '/2: /up2 thread proven']);
  });

  it('are not proven where another thread reads the answer', () => {
    const scene = new Scene().workers().accept(1).connect(11, 7).read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(11, 8, OK('u')).write(1, 7, OK('x')).close(1).close(11);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up1 thread likely']);
  });

  it('are not proven where another thread writes the response, for any session of that process from then on', () => {
    const scene = new Scene().workers().accept(1).read(1, 7, GET('/1')).write(1, 8, OK('x')).close(1).accept(2).connect(11, 7).read(2, 7, GET('/2'));
    scene.write(11, 7, GET('/up2')).read(11, 7, OK('u')).write(2, 7, OK('x')).close(2).close(11);
    assert.equal(told(scene.derive().sessions)[1], '/2: /up2 thread likely');
  });

  it('are not made by the thread that read a request once another one has answered it', () => {
    const scene = new Scene().accept(1).accept(2).connect(11, 7).read(1, 7, GET('/1')).write(1, 8, OK('x')).read(2, 8, GET('/2'));
    scene.write(11, 7, GET('/up2')).read(11, 7, OK('u')).write(2, 8, OK('x'));
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(told(scene.derive().sessions), ['/1: ', '/2: ']);
  });

  it('are not made after the answer by the thread that gave it, where another request was answered by another thread than read it', () => {
    const scene = (answeredBy: number): Scene => {
      const scene = new Scene().accept(1).accept(2).connect(11, 7).read(1, 7, GET('/1')).write(1, answeredBy, OK('x')).read(2, 7, GET('/2')).write(2, 7, OK('x'));
      scene.write(11, 7, GET('/up')).read(11, 7, OK('u'));
      for (const connection of [1, 2, 11]) scene.close(connection);
      return scene;
    };
    assert.deepEqual(told(scene(7).derive().sessions), ['/1: ', '/2: /up thread likely']);
    assert.deepEqual(told(scene(8).derive().sessions), ['/1: ', '/2: ']);
  });

  it('are not made by what a thread did first after it had read a request, where another request was answered by another thread than read it, and others wait', () => {
    const scene = (answeredBy: number): Scene => {
      const scene = new Scene().accept(1).accept(2, 7).accept(3, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/1')).write(1, answeredBy, OK('x'));
      scene.read(2, 7, GET('/2')).write(11, 7, GET('/up2')).read(3, 7, GET('/3')).write(12, 7, GET('/whose')).read(11, 7, OK('u')).read(12, 7, OK('u')).write(2, 7, OK('x')).write(3, 7, OK('x'));
      for (const connection of [1, 2, 3, 11, 12]) scene.close(connection);
      return scene;
    };
    assert.deepEqual(told(scene(7).derive().sessions), ['/1: ', '/2: /up2 thread likely', '/3: /whose thread likely']);
    assert.deepEqual(told(scene(8).derive().sessions), ['/1: ', '/2: ', '/3: ']);
  });

  it('are not made by what a loop did first after it had read a request, where it does so by itself as well', () => {
    const scene = (byItself: string): Scene => {
      const scene = new Scene().connect(11, 7).connect(12, 7).write(12, 7, GET(byItself)).read(12, 7, OK('u')).accept(1, 7).accept(2, 7);
      scene.read(1, 7, GET('/1')).write(11, 7, GET('/up')).read(2, 7, GET('/2')).write(12, 7, GET('/refresh')).read(11, 7, OK('u')).read(12, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
      for (const connection of [1, 2, 11, 12]) scene.close(connection);
      return scene;
    };
    assert.equal(told(scene('/ping').derive().sessions)[1], '/2: /refresh thread likely');
    assert.equal(told(scene('/refresh').derive().sessions)[1], '/2: ');
  });

  it('are not made by the answer that a loop read last, where it makes such calls by itself as well', () => {
    const scene = (byItself: string): Scene => {
      const scene = new Scene().connect(11, 7).connect(12, 7).write(12, 7, GET(byItself)).read(12, 7, OK('u')).accept(1, 7).accept(2, 7);
      scene.read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(1, 7, OK('x')).write(2, 7, OK('x')).accept(3, 7).read(3, 7, GET('/3')).write(11, 7, GET('/up')).read(11, 7, OK('u')).write(12, 7, GET('/refresh')).read(12, 7, OK('u')).write(3, 7, OK('x'));
      for (const connection of [1, 2, 3, 11, 12]) scene.close(connection);
      return scene;
    };
    assert.equal(told(scene('/ping').derive().sessions)[2], '/3: /up thread likely, /refresh continuation likely');
    assert.equal(told(scene('/refresh').derive().sessions)[2], '/3: /up thread likely');
  });

  it('are not proven across lost events', () => {
    const scene = new Scene().workers().accept(1).connect(11, 7).read(1, 7, GET('/1')).lost('ring-full', 1).write(11, 7, GET('/up1')).read(11, 7, OK('u')).write(1, 7, OK('x')).close(1).close(11);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up1 thread likely']);
  });

  it('go by continuation for a thread that only reads answers', () => {
    const scene = new Scene().accept(1).connect(11, 7).connect(12, 8).read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(11, 8, OK('u')).write(12, 8, GET('/up2')).read(12, 8, OK('u'));
    assert.deepEqual(told(scene.write(1, 7, OK('x')).close(1).close(11).close(12).derive().sessions), ['/1: /up1 thread likely, /up2 continuation likely']);
  });

  it('are not made by continuation while a call of nobody\'s is on its way, nor once the session has answered: then it need not be its turn', () => {
    const scene = (before: (scene: Scene) => Scene): string[] => {
      const scene = before(new Scene().accept(1).connect(10, 9).connect(11, 7).connect(12, 8).read(1, 7, GET('/1')).write(11, 7, GET('/up1'))).read(11, 8, OK('u')).write(12, 8, GET('/up2')).read(12, 8, OK('u'));
      return told(scene.read(10, 9, OK('u')).write(1, 7, OK('x')).close(1).close(10).close(11).close(12).derive().sessions);
    };
    assert.deepEqual(scene((one) => one.write(10, 9, GET('/stray')).read(10, 9, OK('u'))), ['/1: /up1 thread likely, /up2 continuation likely']);
    assert.deepEqual(scene((one) => one.write(10, 9, GET('/stray'))), ['/1: /up1 thread likely']);
    assert.deepEqual(scene((one) => one.write(1, 7, OK('x').slice(0, 20))), ['/1: /up1 thread likely']);
  });

  it('go by who writes on a connection first, where it was opened for a request that is over', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).connect(11, 7).read(2, 7, GET('/2')).write(1, 7, OK('x')).write(2, 7, OK('x')).close(1).close(2).pass(10 * SECOND);
    const { sessions } = scene.accept(3, 7).read(3, 7, GET('/3')).write(11, 7, GET('/up')).read(11, 7, OK('u')).write(3, 7, OK('x')).close(3).close(11).derive();
    assert.deepEqual([told(sessions), sessions.map(({ ties }) => ties.unknown)], [['/1: ', '/2: ', '/3: /up thread likely'], [0, 0, 0]]);
  });

  it('do not name a session that is over as what else a loop was at when it wrote first', () => {
    const told = (isOver: boolean): unknown => {
      const scene = new Scene().accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).connect(11, 7).read(2, 7, GET('/2'));
      if (isOver) scene.write(2, 7, OK('x')).close(2, 7).pass(10 * SECOND);
      scene.write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x'));
      for (const connection of isOver ? [1, 11] : [1, 2, 11]) scene.close(connection);
      return scene.derive().sessions[0]!.outbound.map(({ alternatives }) => alternatives?.length);
    };
    assert.deepEqual([told(false), told(true)], [[1], [undefined]]);
  });

  /** Thread 7 begins a call for /1, and `others` (of /2, /3 …, one each) go on with it before it is answered. */
  const continued = (...others: readonly number[]): Session[] => {
    const scene = new Scene().accept(1).accept(2).accept(3).connect(11, 7).read(1, 7, GET('/1')).read(2, 8, GET('/2')).read(3, 9, GET('/3')).write(11, 7, GET('/up').slice(0, 9));
    others.forEach((tid, at) => scene.write(11, tid, GET('/up').slice(9 + at, at === others.length - 1 ? undefined : 10 + at)));
    scene.read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 8, OK('x')).write(3, 9, OK('x'));
    for (const connection of [1, 2, 3, 11]) scene.close(connection);
    return scene.derive().sessions;
  };

  it('name every session whose thread went on with the call before it was answered, once each: it may be theirs, and their certificates say so', () => {
    const found = (...others: readonly number[]): unknown[] => {
      const sessions = continued(...others);
      const [call] = sessions[0]!.outbound;
      return [call!.certainty, call!.alternatives?.map((id) => sessions.findIndex((session) => session.id === id)), sessions.map(({ ties, outbound }) => [outbound.length, ties.unknown])];
    };
    assert.deepEqual(found(7), ['likely', undefined, [[1, 0], [0, 0], [0, 0]]]);
    assert.deepEqual(found(8), ['likely', [1], [[1, 1], [0, 1], [0, 1]]]);
    assert.deepEqual(found(8, 8), found(8));
    assert.deepEqual(found(8, 9), ['likely', [1, 2], [[1, 2], [0, 2], [0, 2]]]);
  });

  it('do not name a session that is over when the loop that had read its request last goes on with the call', () => {
    const told = (isOver: boolean): unknown[] => {
      const scene = new Scene().accept(1, 7).accept(2, 7).accept(3, 8).connect(11, 8).read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(1, 7, OK('x'));
      if (isOver) scene.write(2, 7, OK('x')).close(1, 7).close(2, 7).pass(10 * SECOND);
      scene.read(3, 8, GET('/3')).write(11, 8, GET('/up').slice(0, 9)).write(11, 7, GET('/up').slice(9)).read(11, 8, OK('u')).write(3, 8, OK('x'));
      for (const connection of isOver ? [3, 11] : [1, 2, 3, 11]) scene.close(connection);
      const { sessions } = scene.derive();
      return [sessions[2]!.outbound[0]!.alternatives?.length, sessions[2]!.ties.unknown];
    };
    assert.deepEqual([told(false), told(true)], [[1, 1], [undefined, 0]]);
  });

  it('are not made for a thread that has read nothing', () => {
    const scene = new Scene().accept(1).connect(11, 8).read(1, 7, GET('/1')).write(11, 8, GET('/metrics')).read(11, 8, OK('u')).write(1, 7, OK('x')).close(1).close(11);
    const { sessions, ambient } = scene.derive();
    assert.deepEqual([told(sessions), ambient.length, sessions[0]!.ties.unknown], [['/1: '], 1, 1]);
  });

  it('hold for the process that works, where a child took over the connection', () => {
    const scene = new Scene().workers().accept(1, 1);
    scene.tgid = 101;
    scene.process('exec', 101, { command: 'child' }).read(1, 101, GET('/1')).connect(11, 101).write(11, 101, GET('/up1')).read(11, 101, OK('u')).write(1, 101, OK('x')).close(11, 101).close(1, 101);
    const { sessions } = scene.derive();
    assert.deepEqual([told(sessions), besides(sessions)[0]!.process], [['/1: /up1 thread proven'], { tgid: 101, command: 'child' }]);
  });
});
