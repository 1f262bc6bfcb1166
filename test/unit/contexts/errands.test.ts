import assert from 'node:assert/strict';
import { FIRST_VIRTUAL_THREAD } from '../../../src/events/event.ts';
import { GET, OK, Scene, strays } from '../sessions/scene.ts';

const on = (id: number): { context: number } => ({ context: FIRST_VIRTUAL_THREAD + id });
const POOL = 0x7_0000_0000;
const [ONE, OTHER] = [0x6_0000_0000, 0x6_4000_0000];
const LAST = 50_000;

class Jvm extends Scene {
  #connections = 100;
  collections = 1;

  /** `by` waits for virtual thread `who`. */
  waits(who: number, by: number): this {
    return this.add({ kind: 'goroutine', atUs: this.nowUs, tgid: this.tgid, tid: 8, ...on(who), snapshot: false, parent: on(by).context, function: '', role: 'task', began: false });
  }

  /** A call of virtual thread `who`, which was given what holds `objects`. */
  calls(who: number, objects: readonly number[], to = `/up${who}`): this {
    const connection = this.#connections++;
    this.add({ kind: 'given', atUs: this.nowUs, tgid: this.tgid, tid: 8, ...on(who), snapshot: false, class: 77, objects, collections: this.collections });
    return this.connect(connection, 1).wait(2_000).write(connection, 8, GET(to), on(who)).read(connection, 8, OK('u'), on(who)).close(connection);
  }

  /** Two requests at a time, each of which waits for two threads that hold the pool and something of its own; of `mixed` of them, the other's. */
  pairs(count: number, mixed = 0): this {
    for (let n = 1; n <= count; n += 1) {
      const [one, other] = [n * 20, n * 20 + 10];
      const [its, others] = [ONE + n * 64, OTHER + (n <= mixed ? ONE - OTHER : 0) + n * 64];
      this.accept(1, 1).accept(2, 1).read(1, 7, GET(`/one/${n}`), on(one)).read(2, 8, GET(`/other/${n}`), on(other));
      for (const who of [one + 1, one + 5]) this.calls(who, [POOL, its]).waits(who, one);
      for (const who of [other + 1, other + 5]) this.calls(who, [POOL, others]).waits(who, other);
      this.write(1, 7, OK('x'), on(one)).write(2, 8, OK('x'), on(other)).close(1).close(2);
    }
    return this;
  }

  /** Two more, of which the first waits for one that holds `known`; then one that holds `objects` calls, for which nobody waits. */
  last(known: readonly number[], objects: readonly number[]): readonly string[] {
    this.accept(1, 1).accept(2, 1).read(1, 7, GET('/last'), on(LAST)).read(2, 8, GET('/beside'), on(60_000));
    this.calls(LAST + 2, known, '/known').waits(LAST + 2, LAST).calls(LAST + 5, objects, '/asked');
    const found = this.write(1, 7, OK('x'), on(LAST)).write(2, 8, OK('x'), on(60_000)).close(1).close(2).derive({ reasons: true });
    const calls = found.sessions.slice(-2).flatMap(({ outbound }) => outbound.map(({ attribution, certainty, reasons }) => `${attribution} ${certainty}${reasons?.for.includes('holds-the-same') === true ? ', holds the same' : ''}`));
    return [...calls, ...strays(found).slice(-3)];
  }
}

describe('what a virtual thread of Java\'s was given to do', () => {
  const TIED = ['runtime likely', 'runtime likely, holds the same'];
  const UNTIED = ['runtime likely', '/asked'];
  const [ITS, ANOTHERS] = [ONE + 64_000, ONE + 128_000];

  it('holds what another\'s holds that was begun for the same request: its calls are that one\'s', () => {
    assert.deepEqual(new Jvm().pairs(17).last([POOL, ITS], [POOL, ITS]), TIED);
    assert.deepEqual(new Jvm().pairs(17).last([POOL, ITS], [POOL, ANOTHERS]), UNTIED);
  });

  it('tells nothing by what all requests share', () => {
    assert.deepEqual(new Jvm().pairs(17).last([POOL, ITS], [POOL, 0]), UNTIED);
  });

  it('tells nothing before enough were seen, or where now and then threads of two requests hold the same', () => {
    assert.deepEqual(new Jvm().pairs(16).last([POOL, ITS], [POOL, ITS]), UNTIED);
    assert.deepEqual(new Jvm().pairs(100, 1).last([POOL, ITS], [POOL, ITS]), UNTIED);
    assert.deepEqual(new Jvm().pairs(102, 1).last([POOL, ITS], [POOL, ITS]), TIED);
  });

  it('tells nothing by an address once objects were moved', () => {
    const jvm = new Jvm().pairs(17);
    jvm.accept(1, 1).accept(2, 1).read(1, 7, GET('/last'), on(LAST)).read(2, 8, GET('/beside'), on(60_000)).calls(LAST + 2, [POOL, ITS]).waits(LAST + 2, LAST);
    jvm.collections += 1;
    const found = jvm.calls(LAST + 5, [POOL, ITS], '/asked').write(1, 7, OK('x'), on(LAST)).write(2, 8, OK('x'), on(60_000)).close(1).close(2).derive();
    assert.deepEqual(strays(found), ['/asked']);
  });

  it('is not believed where only one request\'s was seen between two times that objects were moved: others may hold the same', () => {
    const jvm = new Jvm();
    for (let n = 1; n <= 40; n += 1, jvm.collections += 1) {
      jvm.accept(1, 1).read(1, 7, GET(`/${n}`), on(n * 20));
      for (const who of [n * 20 + 1, n * 20 + 5]) jvm.calls(who, [POOL]).waits(who, n * 20);
      jvm.write(1, 7, OK('x'), on(n * 20)).close(1);
    }
    assert.deepEqual(jvm.last([POOL], [POOL]), UNTIED);
  });
});
