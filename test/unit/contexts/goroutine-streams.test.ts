import assert from 'node:assert/strict';
import { OK } from '../sessions/scene.ts';
import { GET, OK as OK2, PREFACE, reset, SETTINGS } from '../talks/frames.ts';
import { GoScene } from './go-scene.ts';

/** A Go program that speaks HTTP/2. */
class StreamsScene extends GoScene {
  #dialled: number | undefined;

  /** Connection 11 to whom it asks: goroutine 51 reads it, 52 writes for whoever asks. */
  dialled(by = 1): this {
    this.#dialled = 11;
    this.begin(50, { parent: by }).connect(11, this.thread(), { context: 50 }).begin(51, { parent: 50, runs: 'aa' }).begin(52, { parent: 50, runs: 'bb' });
    return this.write(11, this.thread(), PREFACE + SETTINGS, { context: 50 }).read(11, this.thread(), SETTINGS, { context: 51 });
  }

  /** Goroutine 52 is about to open `stream` for goroutine `whose`. */
  opensFor(stream: number, whose: number): this {
    this.nowUs += 10;
    return this.add({ kind: 'on-behalf', atUs: this.nowUs, tgid: this.tgid, tid: this.thread(), context: 52, snapshot: false, whose, stream });
  }

  sends(...paths: readonly (readonly [stream: number, path: string])[]): this {
    return this.write(11, this.thread(), paths.map(([stream, path]) => GET(stream, path)).join(''), { context: 52 });
  }

  areAnswered(...streams: readonly number[]): this {
    return this.read(11, this.thread(), streams.map((stream) => OK2(stream, 'u')).join(''), { context: 51 });
  }

  /** Two requests at work, of goroutines 21 and 22. */
  two(): this {
    return this.serve(1, 21).serve(2, 22).gets(1, 21, '/a').gets(2, 22, '/b');
  }

  /** Connection 3 of HTTP/2, accepted by 30; it is read by 31, and 32 writes its answers. */
  comesIn(): this {
    return this.begin(30, { runs: 'c0' }).accept(3, this.thread(), { context: 30 }).begin(31, { parent: 30, runs: 'c1' }).begin(32, { parent: 30, runs: 'c2' });
  }

  takes(...paths: readonly (readonly [stream: number, path: string])[]): this {
    return this.read(3, this.thread(), paths.map(([stream, path]) => GET(stream, path)).join(''), { context: 31 });
  }

  serves(context: number, stream: number, reader = 31): this {
    this.nowUs += 10;
    return this.add({ kind: 'serves', atUs: this.nowUs, tgid: this.tgid, tid: this.thread(), context, snapshot: false, reader, stream });
  }

  gives(...streams: readonly number[]): this {
    return this.write(3, this.thread(), streams.map((stream) => OK2(stream, 'x')).join(''), { context: 32 });
  }

  over(): string[] {
    for (const connection of [1, 2, 3, 12, 13, ...(this.#dialled === undefined ? [] : [11])]) if (this.of(connection).ingress > 0) this.close(connection);
    return this.told();
  }
}

const ambient = (scene: StreamsScene): string[] => scene.derive().ambient.map(({ fields }) => fields?.request.find(([name]) => name === ':path')?.[1] ?? '');

describe('streams of HTTP/2 that a goroutine opens for others', () => {
  it('are each the work of whoever asked for it, also when one write opens them all', () => {
    const scene = new StreamsScene().two().dialled().opensFor(1, 22).opensFor(3, 21).opensFor(5, 22).sends([1, '/ub'], [3, '/ua'], [5, '/vb']).areAnswered(5, 3, 1).answers(1, 21).answers(2, 22);
    assert.deepEqual(scene.over(), ['/a: /ua goroutine proven', '/b: /ub goroutine proven, /vb goroutine proven']);
  });

  it('are likewise where the write could not be looked at beforehand', () => {
    const scene = new StreamsScene().two().dialled().opensFor(1, 22).opensFor(3, 21);
    const both = GET(1, '/ub') + GET(3, '/ua');
    const { nowUs: atUs, tgid } = scene;
    scene.add({ kind: 'intent', connection: 11, direction: 'egress', atUs, tgid, tid: 501, context: 52, snapshot: false, position: scene.of(11).egress, length: both.length });
    scene.sends([1, '/ub'], [3, '/ua']).areAnswered(3, 1).answers(1, 21).answers(2, 22);
    assert.deepEqual(scene.over(), ['/a: /ua goroutine proven', '/b: /ub goroutine proven']);
  });

  it('are nobody\'s where that was not told: neither of who asked before, nor of who began the one that writes', () => {
    const scene = new StreamsScene().two().dialled(21).opensFor(1, 22).sends([1, '/ub'], [3, '/whose']).areAnswered(1, 3).sends([5, '/whose too']).areAnswered(5).answers(1, 21).answers(2, 22);
    assert.deepEqual(scene.over(), ['/a: ', '/b: /ub goroutine proven']);
    assert.deepEqual(ambient(scene), ['/whose', '/whose too']);
  });

  it('are no more than likely once the answer is out', () => {
    const scene = new StreamsScene().two().dialled().answers(1, 21).opensFor(1, 21).sends([1, '/late']).areAnswered(1).answers(2, 22);
    assert.deepEqual(scene.over(), ['/a: /late goroutine likely', '/b: ']);
  });
});

describe('streams of HTTP/2 that goroutines serve', () => {
  const calling = (): StreamsScene => new StreamsScene().ended().comesIn().connect(12, 501, { context: 41 }).connect(13, 501, { context: 43 });

  it('have the calls of the one that was given each, and of those that it begins', () => {
    const scene = calling().read(3, 501, PREFACE + SETTINGS, { context: 31 }).takes([1, '/a'], [3, '/b']).begin(41, { parent: 31, runs: 'c3' }).serves(41, 1).begin(43, { parent: 31, runs: 'c3' }).serves(43, 3);
    scene.begin(53, { parent: 43 }).calls(12, 41, '/ua').calls(13, 53, '/ub').gives(3, 1);
    assert.deepEqual(scene.over(), ['/a: /ua goroutine proven', '/b: /ub goroutine proven']);
  });

  it('are found by who began the one that reads the connection, too', () => {
    const scene = calling().read(3, 501, PREFACE + SETTINGS + GET(1, '/a'), { context: 30 }).begin(41, { parent: 30, runs: 'c3' }).serves(41, 1, 30);
    scene.takes([3, '/b']).begin(43, { parent: 30, runs: 'c3' }).serves(43, 3, 30).calls(12, 41, '/ua').calls(13, 43, '/ub').gives(3, 1);
    assert.deepEqual(scene.over(), ['/a: /ua goroutine proven', '/b: /ub goroutine proven']);
  });

  it('are found where the first requests came with the preface, and were read by the one that then began the reader', () => {
    const scene = new StreamsScene().ended().begin(30, { runs: 'c0' }).accept(3, 501, { context: 30 }).connect(12, 501, { context: 41 }).connect(13, 501, { context: 43 });
    scene.read(3, 501, PREFACE + SETTINGS + GET(1, '/a'), { context: 30 }).begin(31, { parent: 30, runs: 'c1' }).begin(32, { parent: 30, runs: 'c2' });
    scene.begin(41, { parent: 31, runs: 'c3' }).serves(41, 1).takes([3, '/b']).begin(43, { parent: 31, runs: 'c3' }).serves(43, 3).calls(12, 41, '/ua').calls(13, 43, '/ub').gives(3, 1);
    assert.deepEqual(scene.over(), ['/a: /ua goroutine proven', '/b: /ub goroutine proven']);
  });

  it('have no calls of a goroutine of which that was not told, whoever began it', () => {
    const scene = calling().read(3, 501, PREFACE + SETTINGS, { context: 30 }).takes([1, '/a']).begin(41, { parent: 31, runs: 'c3' }).calls(12, 41, '/u').gives(1);
    scene.takes([3, '/b']).begin(43, { parent: 30, runs: 'c3' }).calls(13, 43, '/v').gives(3);
    assert.deepEqual(scene.over(), ['/a: ', '/b: ']);
  });

  it('have no calls of a goroutine that was begun when the preface alone was read: its request is not the first that is seen', () => {
    const scene = calling().read(3, 501, PREFACE + SETTINGS, { context: 30 }).begin(41, { parent: 30, runs: 'c3' }).calls(12, 41, '/u');
    scene.takes([3, '/b']).begin(43, { parent: 30, runs: 'c3' }).serves(43, 3, 30).calls(13, 43, '/v').gives(3);
    assert.deepEqual(scene.over(), ['/b: /v goroutine proven']);
    assert.deepEqual(ambient(scene).length, 1);
  });

  it('have no call of a goroutine that was given one that is over, or one of a connection that is not known', () => {
    const scene = calling().read(3, 501, PREFACE + SETTINGS, { context: 31 }).takes([1, '/a']).read(3, 501, reset(1), { context: 31 }).serves(41, 1).calls(12, 41, '/u');
    scene.takes([3, '/b']).serves(43, 3, 99).calls(13, 43, '/v').gives(3);
    assert.deepEqual(scene.over(), ['/a: ', '/b: ']);
  });

  it('have the calls of a pool\'s goroutine each, from when that was given one until it is given the next', () => {
    const scene = calling().begin(41, { runs: 'f11' }).begin(43, { runs: 'f11' }).read(3, 501, PREFACE + SETTINGS, { context: 31 }).takes([1, '/a'], [3, '/b']).serves(41, 3).serves(43, 1);
    scene.calls(12, 41, '/ub').calls(13, 43, '/ua').gives(3).takes([5, '/c']).serves(41, 5).begin(53, { parent: 41 }).calls(12, 53, '/uc').calls(13, 41, '/vc').gives(5, 1);
    assert.deepEqual(scene.over().sort(), ['/a: /ua goroutine proven', '/b: /ub goroutine proven', '/c: /uc goroutine proven, /vc goroutine proven']);
  });

  it('have no call of a pool\'s goroutine that was given the next, which is not known, nor where it was not told that it was', () => {
    const scene = calling().begin(41, { runs: 'f11' }).begin(43, { runs: 'f11' }).read(3, 501, PREFACE + SETTINGS, { context: 31 }).takes([1, '/a'], [3, '/b']).serves(41, 1).serves(43, 3);
    scene.serves(41, 7).calls(12, 41, '/whose').gives(3).takes([5, '/c']).calls(13, 43, '/whose too').gives(5, 1);
    assert.deepEqual(scene.over().sort(), ['/a: ', '/b: ', '/c: ']);
    assert.equal(ambient(scene).length, 2);
  });

  it('say nothing of what their connection\'s goroutines do besides', () => {
    const scene = calling().read(3, 501, PREFACE + SETTINGS, { context: 31 }).takes([1, '/a']).begin(41, { parent: 31 }).serves(41, 1).write(12, 501, 'GET /own HTTP/1.1\r\n\r\n', { context: 32 }).read(12, 501, OK('x'), { context: 32 }).gives(1);
    assert.deepEqual(scene.over(), ['/a: ']);
  });
});
