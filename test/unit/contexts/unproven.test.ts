/** What keeps a tie from being proven, one thing at a time, where all else is as it should be; and by what an event loop shows. */
import assert from 'node:assert/strict';
import { besides, GET, OK, pathIn, Scene, SECOND, textOf } from '../sessions/scene.ts';
import * as frames from '../talks/frames.ts';
import type { OpenEvent } from '../../../src/events/event.ts';

const told = (scene: Scene): string[] => besides(scene.derive().sessions).map(({ inbound, outbound }) =>
  `${pathIn(textOf(inbound.request))}: ${outbound.map((call) => `${pathIn(textOf(call.request))} ${call.attribution} ${call.certainty}`).join(', ')}`);
const close = (scene: Scene, ...connections: number[]): Scene => connections.reduce((one, connection) => one.close(connection), scene);
const ADMIN: Partial<OpenEvent> = { local: { host: '10.0.0.1', port: 9_090 } };

describe('a tie by a thread that is seen to take one request at a time', () => {
  it('is proven', () => {
    const scene = new Scene().workers().accept(1).connect(11, 7).read(1, 7, GET('/1')).write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    assert.deepEqual(told(close(scene, 1, 11)), ['/1: /up thread proven']);
  });

  it('is not proven of pipelined requests, neither of the one ahead nor of the one behind', () => {
    const scene = new Scene().workers().accept(1).connect(11, 7).read(1, 7, GET('/1') + GET('/2')).write(11, 7, GET('/up1')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    scene.write(11, 7, GET('/up2')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    assert.deepEqual(told(close(scene, 1, 11)), ['/1: /up1 thread likely', '/2: /up2 thread likely']);
  });

  it('is not proven where another thread read of the request, and answered it', () => {
    const request = GET('/1');
    const scene = new Scene().workers().accept(1).connect(11, 7).read(1, 8, request.slice(0, 9)).read(1, 7, request.slice(9)).write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 8, OK('x'));
    assert.deepEqual(told(close(scene, 1, 11)), ['/1: /up thread likely']);
  });

  it('is not proven where another thread wrote of the call', () => {
    const request = GET('/up');
    const scene = new Scene().workers().accept(1).connect(11, 7).read(1, 7, GET('/1')).write(11, 7, request.slice(0, 9)).write(11, 8, request.slice(9)).read(11, 7, OK('u')).write(1, 7, OK('x'));
    assert.deepEqual(told(close(scene, 1, 11)), ['/1: /up thread likely']);
  });

  it('is not proven where that thread turned out to be a loop behind another listener', () => {
    const scene = new Scene().accept(1, 7).connect(11, 7).read(1, 7, GET('/1')).write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    scene.accept(2, 8, ADMIN).accept(3, 8, ADMIN).read(2, 7, GET('/2')).read(3, 7, GET('/3')).write(2, 7, OK('x')).write(3, 7, OK('x'));
    assert.deepEqual(told(close(scene, 1, 2, 3, 11).workers().pass(3 * SECOND)), ['/1: /up thread likely', '/2: ', '/3: ']);
  });
});

describe('a tie of a call on a connection that carries several at a time', () => {
  it('is not proven, of whatever thread: who writes there may write for others', () => {
    const scene = new Scene().workers().accept(1).read(1, 7, GET('/1')).connect(11, 7).write(11, 7, frames.PREFACE + frames.SETTINGS + frames.GET(1, '/up')).read(11, 7, frames.SETTINGS + frames.OK(1, 'u'));
    const [session] = besides(close(scene.write(1, 7, OK('x')), 1, 11).derive({ reasons: true }).sessions);
    assert.deepEqual(session!.outbound.map(({ attribution, certainty, reasons }) => [attribution, certainty, reasons!.against]), [['thread', 'likely', ['multiplexed']]]);
  });
});

describe('a thread is an event loop', () => {
  it('where it accepts a connection while the request that it read has no answer, and then nothing behind its listener is proven', () => {
    const scene = (busy: boolean): string[] => {
      const scene = new Scene().workers().accept(5).accept(1, 8).connect(11, 7).connect(12, 8).read(5, 9, GET('/5')).read(1, 8, GET('/1')).write(12, 8, GET('/up1')).read(12, 8, OK('u')).write(1, 8, OK('x'));
      if (busy) scene.accept(2, 9);
      scene.write(5, 9, OK('x'));
      if (!busy) scene.accept(2, 9);
      return told(close(scene, 1, 2, 5, 11, 12));
    };
    assert.deepEqual(scene(false), ['/5: ', '/1: /up1 thread proven']);
    assert.deepEqual(scene(true), ['/5: ', '/1: /up1 thread likely']);
  });

  it('where it reads the answer to another session\'s call meanwhile: what it does next is nobody\'s for sure', () => {
    const scene = (busy: boolean): string[] => {
      const scene = new Scene().accept(1).accept(2).connect(11, 7).connect(12, 8).read(1, 7, GET('/1')).read(2, 8, GET('/2')).write(12, 8, GET('/up2'));
      scene.read(12, busy ? 7 : 8, OK('u')).write(11, 7, GET('/whose')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 8, OK('x'));
      return told(close(scene, 1, 2, 11, 12));
    };
    assert.deepEqual(scene(false), ['/1: /whose thread likely', '/2: /up2 thread likely']);
    assert.deepEqual(scene(true), ['/1: ', '/2: /up2 thread likely']);
  });

  it('where it writes another session\'s response meanwhile: what it does next is nobody\'s for sure', () => {
    const scene = (busy: boolean): string[] => {
      const scene = new Scene().accept(1).accept(2).accept(3).connect(11, 7).read(1, 7, GET('/1')).read(2, 8, GET('/2')).read(3, 9, GET('/3'));
      scene.write(2, busy ? 7 : 8, OK('x')).write(11, 7, GET('/whose')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(3, 9, OK('x'));
      return told(close(scene, 1, 2, 3, 11));
    };
    assert.deepEqual(scene(false), ['/1: /whose thread likely', '/2: ', '/3: ']);
    assert.deepEqual(scene(true), ['/1: ', '/2: ', '/3: ']);
  });
});

describe('a tie by birth', () => {
  it('is not proven where another thread of the program that was run wrote of the call', () => {
    const request = GET('/up');
    const scene = (second: number): string[] => {
      const scene = new Scene().workers().accept(1, 91).read(1, 91, GET('/1')).process('fork', 91, { childTgid: 300, childTid: 300 });
      scene.tgid = 300;
      scene.process('exec', 300).process('thread', 300, { childTid: 301 }).connect(11, 300).write(11, 300, request.slice(0, 9)).write(11, second, request.slice(9)).read(11, 300, OK('u')).close(11, 300);
      scene.process('thread-exit', 301).process('thread-exit', 300).process('exit', 300);
      scene.tgid = 100;
      return told(scene.write(1, 91, OK('x')).close(1, 91, 'local-fin').close(1, 91));
    };
    assert.deepEqual(scene(300), ['/1: /up born proven']);
    assert.deepEqual(scene(301), ['/1: /up born likely']);
  });

  it('is none where what was started turned out to be an event loop', () => {
    const scene = (loops: boolean): string[] => {
      const scene = new Scene().workers().accept(4, 92).accept(1, 91).read(4, 92, GET('/4')).read(1, 91, GET('/1')).process('thread', 91, { childTid: 31 });
      scene.connect(11, 31).write(11, 31, GET('/up')).read(11, 31, OK('u')).close(11, 31).accept(2, 1, ADMIN).accept(3, 1, ADMIN).read(2, 31, GET('/2'));
      if (loops) scene.read(3, 31, GET('/3')).write(3, 31, OK('x'));
      return told(close(scene.write(2, 31, OK('x')).process('thread-exit', 31).write(1, 91, OK('x')).write(4, 92, OK('x')), 1, 2, 3, 4).pass(3 * SECOND));
    };
    assert.deepEqual(scene(false), ['/4: ', '/1: /up born likely', '/2: ']);
    assert.deepEqual(scene(true), ['/4: ', '/1: ', '/2: ', '/3: ']);
  });
});
