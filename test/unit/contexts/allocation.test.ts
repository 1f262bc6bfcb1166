import assert from 'node:assert/strict';
import { FIRST_VIRTUAL_THREAD } from '../../../src/events/event.ts';
import type { HeapEvent } from '../../../src/events/event.ts';
import { GET, OK, Scene, SECOND, textOf } from '../sessions/scene.ts';

/** Threads that take requests, and of a pool. */
const [ANNA, BERT] = [91, 92];
const [POOL, OTHER] = [31, 32];
/** Where each allocates: a piece of 64 KiB. */
const PIECE = 65_536;
const pieceOf = (tid: number): number => 0x6_0000_0000 + tid * PIECE;
const path = (chunks: Parameters<typeof textOf>[0]): string => /\/\S*/.exec(textOf(chunks))?.[0] ?? '';

class Jvm extends Scene {
  readonly #tops = new Map<number, number>();
  collections = 1;

  /** The kernel side tells of `tid`, which is about to read or write: it has allocated `allocated` bytes since, and works with `objects`. */
  heap(tid: number, allocated: number, objects: readonly number[] = [], more: Partial<HeapEvent> = {}): this {
    const top = (this.#tops.get(tid) ?? pieceOf(tid)) + allocated;
    this.#tops.set(tid, top);
    return this.add({
      kind: 'heap', atUs: this.nowUs + 10, tgid: this.tgid, tid, context: 0, snapshot: false, start: pieceOf(tid), top, end: pieceOf(tid) + PIECE, objects,
      collections: this.collections, held: false, ...more,
    });
  }

  /** Where `tid` allocates what comes next, when it was told of before. */
  next(tid: number): number {
    return this.#tops.get(tid) ?? pieceOf(tid);
  }

  asks(tid: number, to: string, connection: number): this {
    return this.accept(connection, 1).heap(tid, 100).read(connection, tid, GET(to));
  }

  answers(tid: number, connection: number): this {
    return this.heap(tid, 1_000).write(connection, tid, OK('x')).close(connection, tid, 'local-fin').close(connection, tid);
  }

  /** `tid` calls for the task that lies at `task`. */
  calls(tid: number, to: string, connection: number, ...task: readonly number[]): this {
    return this.heap(tid, 0, task).callsNow(tid, to, connection, task);
  }

  /** `tid` writes what `held` is written for. */
  callsFor(tid: number, to: string, connection: number, held: number): this {
    return this.heap(tid, 0, [held], { held: true }).callsNow(tid, to, connection, []);
  }

  callsNow(tid: number, to: string, connection: number, task: readonly number[]): this {
    return this.connect(connection, tid).write(connection, tid, GET(to)).heap(tid, 100, task).read(connection, tid, OK('u'));
  }

  told(): string[] {
    const { sessions } = this.pass(SECOND).derive({ reasons: true });
    return sessions.map(({ inbound, outbound }) => `${path(inbound.request)}: ${outbound.map((call) => `${path(call.request)} ${call.attribution} ${call.certainty}${call.reasons?.for.includes('allocated-for-it') === true ? '' : ', otherwise'}`).join(', ')}`).sort();
  }
}

/** Both are at work; the pool's threads have been seen. */
const atWork = (): Jvm => new Jvm().heap(POOL, 0).heap(OTHER, 0).asks(ANNA, '/anna', 1).asks(BERT, '/bert', 2);

describe('Java\'s tasks', () => {
  it('are of the request for which the thread was at work that has allocated them', () => {
    const scene = atWork();
    const [annas, berts] = [scene.next(ANNA) + 40, scene.next(BERT) + 40];
    scene.calls(POOL, '/of-bert', 11, berts).calls(POOL, '/of-anna', 12, annas).calls(OTHER, '/of-bert-too', 13, berts + 72);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(),
      ['/anna: /of-anna runtime likely', '/bert: /of-bert runtime likely, /of-bert-too runtime likely']);
  });

  it('are nobody\'s where it was allocated before the request was read, or after it was answered', () => {
    const scene = atWork();
    const before = scene.next(ANNA) - 40;
    scene.calls(POOL, '/before', 11, before).answers(ANNA, 1);
    const after = scene.next(ANNA) + 40;
    scene.calls(POOL, '/after', 12, after).heap(ANNA, 100).asks(ANNA, '/anna/2', 3);
    assert.deepEqual(scene.answers(ANNA, 3).answers(BERT, 2).told(), ['/anna/2: ', '/anna: ', '/bert: ']);
  });

  it('are told by the oldest on the stack that is another thread\'s', () => {
    const scene = atWork();
    const [annas, berts] = [scene.next(ANNA) + 40, scene.next(BERT) + 40];
    const own = scene.next(POOL) + 8;
    scene.heap(POOL, 64).calls(POOL, '/of-anna', 11, own, annas, berts);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: /of-anna runtime likely', '/bert: ']);
  });

  it('are nobody\'s where it is not known who has made the oldest, whatever stands behind it', () => {
    const scene = atWork();
    scene.calls(POOL, '/of-whom', 11, 0x7_0000_0000, scene.next(BERT) + 40);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: ', '/bert: ']);
  });

  it('are told by what stands behind an object whose maker is not known, where that stays while one task comes after the other', () => {
    for (const [tasks, expected] of [[16, '/anna: /of-anna runtime likely'], [15, '/anna: ']] as const) {
      const scene = atWork();
      const annas = scene.next(ANNA) + 40;
      for (let n = 1; n < tasks; n += 1) scene.heap(POOL, 0, [0x7_0000_0000, annas + n * 16]);
      scene.calls(POOL, '/of-anna', 11, 0x7_0000_0000, annas);
      assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), [expected, '/bert: ']);
    }
  });

  it('are not told by what stood there when the thread was begun', () => {
    const scene = new Jvm().asks(ANNA, '/anna', 1).asks(BERT, '/bert', 2);
    const worker = scene.next(ANNA) + 8;
    scene.process('thread', ANNA, { childTid: POOL }).wait(20).heap(BERT, 200);
    const berts = scene.next(BERT) + 40;
    scene.calls(POOL, '/of-bert', 11, worker, berts);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: ', '/bert: /of-bert runtime likely']);
  });

  it('are of the request for which their thread was begun, where it has ended with that, whatever others have put on its stack meanwhile', () => {
    const scene = new Jvm().asks(ANNA, '/anna', 1).asks(BERT, '/bert', 2);
    const task = scene.next(ANNA) + 8;
    scene.process('thread', ANNA, { childTid: POOL }).wait(20).heap(BERT, 200);
    const pooled = scene.next(BERT) + 40;
    scene.calls(POOL, '/of-anna', 11, task, pooled).process('thread-exit', POOL);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: /of-anna born likely, otherwise', '/bert: ']);
  });

  it('are of the request whose task it is, where the thread was begun for another that was answered by then, and lives on', () => {
    const scene = new Jvm().workers().asks(ANNA, '/anna', 1).process('thread', ANNA, { childTid: POOL }).heap(POOL, 100).heap(ANNA, 1_000).write(1, ANNA, OK('x'));
    scene.asks(BERT, '/bert', 2);
    scene.heap(BERT, 1_000).calls(POOL, '/of-bert', 10, pieceOf(BERT) + 500).answers(BERT, 2).asks(BERT, '/next', 3).answers(BERT, 3);
    scene.pass(SECOND).pass(SECOND).pass(SECOND);
    assert.deepEqual(scene.told().filter((each) => /anna|bert/.test(each)), ['/anna: ', '/bert: /of-bert runtime likely']);
  });

  it('are not told by what stands on the stack of a thread that carries virtual threads, where it is not known which', () => {
    const scene = atWork().heap(POOL, 8, [], { context: FIRST_VIRTUAL_THREAD + 7 });
    scene.calls(POOL, '/of-whom', 11, scene.next(ANNA) + 40);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: ', '/bert: ']);
  });

  it('are told by their maker\'s task, where a pool\'s thread has handed them on', () => {
    const scene = atWork();
    const annas = scene.next(ANNA) + 40;
    scene.calls(POOL, '/of-anna', 11, annas);
    const handedOn = scene.next(POOL) + 8;
    scene.calls(OTHER, '/of-anna-too', 12, handedOn).heap(POOL, 100, [annas]);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: /of-anna runtime likely, /of-anna-too runtime likely', '/bert: ']);
  });

  it('are not known where that one has begun another meanwhile', () => {
    const scene = atWork();
    const [annas, berts] = [scene.next(ANNA) + 40, scene.next(BERT) + 40];
    scene.calls(POOL, '/of-anna', 11, annas);
    const handedOn = scene.next(POOL) + 8;
    scene.calls(OTHER, '/of-whom', 12, handedOn).heap(POOL, 100, [berts]);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: /of-anna runtime likely', '/bert: ']);
  });

  it('are not told by a thread that reads answers to what others wrote, whatever stands on its own stack', () => {
    const scene = atWork();
    const annas = scene.next(ANNA) + 40;
    scene.heap(OTHER, 0, [annas]).connect(12, POOL).write(12, POOL, GET('/asked')).heap(OTHER, 8, [annas]).read(12, OTHER, OK('u'));
    const made = scene.next(OTHER) + 8;
    scene.calls(POOL, '/of-whom', 11, made).heap(OTHER, 100, [annas]);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: ', '/bert: ']);
  });

  it('are told in the rest of a piece that was given up for another, and at that one\'s beginning', () => {
    const scene = atWork();
    const [rest, begun] = [pieceOf(ANNA) + PIECE - 8, 0x7_1000_0000];
    scene.calls(POOL, '/in-rest', 11, rest).calls(OTHER, '/in-new', 12, begun);
    scene.heap(ANNA, 0, [], { start: begun, top: begun + 500, end: begun + PIECE }).write(1, ANNA, OK('x')).close(1, ANNA, 'local-fin').close(1, ANNA);
    assert.deepEqual(scene.answers(BERT, 2).told(), ['/anna: /in-rest runtime likely, /in-new runtime likely', '/bert: ']);
  });

  it('are not told by a thread that was at several requests at a time, from then on', () => {
    const scene = atWork().asks(ANNA, '/anna/2', 3);
    scene.calls(POOL, '/of-whom', 11, scene.next(ANNA) + 40).heap(ANNA, 200).write(1, ANNA, OK('x')).close(1, ANNA, 'local-fin').close(1, ANNA);
    scene.calls(POOL, '/of-whom-too', 12, scene.next(ANNA) + 40);
    assert.deepEqual(scene.answers(ANNA, 3).answers(BERT, 2).told().map((line) => line.includes('runtime')), [false, false, false]);
  });

  it('have to do with no address of before objects were moved', () => {
    const scene = atWork();
    const annas = scene.next(ANNA) + 40;
    scene.heap(ANNA, 200);
    scene.collections = 2;
    scene.calls(POOL, '/of-whom', 11, annas);
    const start = 0x7_1000_0000;
    scene.heap(ANNA, 0, [], { start, top: start + 500, end: start + PIECE }).write(1, ANNA, OK('x')).close(1, ANNA, 'local-fin').close(1, ANNA);
    assert.deepEqual(scene.answers(BERT, 2).told(), ['/anna: ', '/bert: ']);
  });

  it('are told by what was allocated up to the moment when objects were moved', () => {
    const scene = atWork();
    const annas = scene.next(ANNA) + 40;
    scene.calls(POOL, '/of-anna', 11, annas);
    scene.collections = 2;
    const start = 0x7_1000_0000;
    scene.heap(ANNA, 0, [], { start, top: start + 500, end: start + PIECE }).write(1, ANNA, OK('x')).close(1, ANNA, 'local-fin').close(1, ANNA);
    assert.deepEqual(scene.answers(BERT, 2).told(), ['/anna: /of-anna runtime likely', '/bert: ']);
  });

  it('are told by what they hold, whoever has made them, also to a thread that has begun since', () => {
    const scene = atWork();
    const [annas, berts] = [scene.next(ANNA) + 40, scene.next(BERT) + 40];
    scene.add({
      kind: 'process', what: 'thread', atUs: scene.nowUs + 10, tgid: scene.tgid, tid: BERT, context: 0, snapshot: false, childTgid: scene.tgid, childTid: POOL + 2,
      parentTgid: 0, exitCode: 0, command: '', path: '',
    });
    scene.wait(20).callsFor(POOL, '/of-anna', 11, annas).callsFor(POOL, '/of-bert', 12, berts).callsFor(POOL + 2, '/of-anna-too', 13, annas + 8);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: /of-anna runtime likely, /of-anna-too runtime likely', '/bert: /of-bert runtime likely']);
  });

  it('tell nothing of what their thread allocates by what they hold', () => {
    const scene = atWork();
    const annas = scene.next(ANNA) + 40;
    scene.callsFor(POOL, '/of-anna', 11, annas);
    const between = scene.next(POOL) + 8;
    scene.heap(POOL, 100).callsFor(POOL, '/of-anna/2', 12, annas).calls(OTHER, '/of-whom', 13, between);
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: /of-anna runtime likely, /of-anna/2 runtime likely', '/bert: ']);
  });

  it('are not told by who allocates for virtual threads, nor do these work for what stands on their carrier\'s stack', () => {
    const scene = atWork();
    const [annas, berts] = [scene.next(ANNA) + 40, scene.next(BERT) + 40];
    scene.heap(ANNA, 200, [], { context: 2 ** 49 + 7 });
    scene.calls(POOL, '/of-whom', 11, annas);
    const context = 2 ** 49 + 8;
    scene.heap(OTHER, 0, [berts], { context }).connect(12, OTHER).add({
      kind: 'data', atUs: scene.nowUs += 10, tgid: scene.tgid, tid: OTHER, context, snapshot: false, connection: 12, direction: 'egress', position: 0, length: GET('/x').length,
      cause: 'none', bytes: new TextEncoder().encode(GET('/x')), fromPacket: false, more: false,
    });
    scene.read(12, OTHER, OK('u'));
    assert.deepEqual(scene.answers(ANNA, 1).answers(BERT, 2).told(), ['/anna: ', '/bert: ']);
  });
});
