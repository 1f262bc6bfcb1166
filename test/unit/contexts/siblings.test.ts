import assert from 'node:assert/strict';
import { FIRST_VIRTUAL_THREAD } from '../../../src/events/event.ts';
import { GET, OK, Scene, strays } from '../sessions/scene.ts';

const on = (id: number): { context: number } => ({ context: FIRST_VIRTUAL_THREAD + id });

class Jvm extends Scene {
  #connections = 100;

  /** `by` waits for virtual thread `who`. */
  waits(who: number, by: number): this {
    return this.add({ kind: 'goroutine', atUs: this.nowUs, tgid: this.tgid, tid: 8, ...on(who), snapshot: false, parent: on(by).context, function: '', role: 'task', began: false });
  }

  /** A call of virtual thread `who`. */
  calls(who: number, to = `/up${who}`): this {
    const connection = this.#connections++;
    return this.connect(connection, 1).wait(2_000).write(connection, 8, GET(to), on(who)).read(connection, 8, OK('u'), on(who)).close(connection);
  }

  /** Two at a time, of each of which three calls are known, one between two: of these `others` is how many are of the other one. */
  pairs(count: number, others = 0): this {
    for (let n = 1; n <= count; n += 1) {
      const [one, other] = [n * 20, n * 20 + 10];
      this.accept(1, 1).accept(2, 1).read(1, 7, GET(`/one/${n}`), on(one)).read(2, 8, GET(`/other/${n}`), on(other));
      for (const who of [one + 1, one + 2, one + 3]) this.calls(who).waits(who, who === one + 2 && n <= others ? other : one);
      this.write(1, 7, OK('x'), on(one)).write(2, 8, OK('x'), on(other)).close(1).close(2);
    }
    return this;
  }

  /** Virtual thread 50,001 serves a request beside another, and of the three that follow in number it waits for `waitedFor`. */
  last(...waitedFor: readonly number[]): readonly string[] {
    this.accept(1, 1).accept(2, 1).read(1, 7, GET('/last'), on(50_001)).read(2, 8, GET('/beside'), on(60_000));
    for (const who of [50_002, 50_003, 50_004]) this.calls(who, `/${who}`);
    for (const who of waitedFor) this.waits(who, 50_001);
    const found = this.write(1, 7, OK('x'), on(50_001)).write(2, 8, OK('x'), on(60_000)).close(1).close(2).derive({ reasons: true });
    const calls = found.sessions.slice(-2).flatMap(({ outbound }) => outbound.map(({ attribution, certainty, reasons }) => `${attribution} ${certainty}${reasons?.for.includes('numbered-between') === true ? ', between' : ''}`));
    return [...calls, ...strays(found).slice(-3)];
  }
}

describe('a virtual thread of Java\'s between two others in number', () => {
  const BETWEEN = ['runtime likely', 'runtime likely, between', 'runtime likely'];

  it('was begun for the request that both were begun for, or that the one before it serves, where such are seen to be', () => {
    assert.deepEqual(new Jvm().pairs(64).last(50_002, 50_004), BETWEEN);
    assert.deepEqual(new Jvm().pairs(64).last(50_003, 50_004), ['runtime likely, between', 'runtime likely', 'runtime likely']);
  });

  it('is nobody\'s where only one of the two is known', () => {
    assert.deepEqual(new Jvm().pairs(64).last(50_002), ['runtime likely', '/50003', '/50004']);
  });

  it('is nobody\'s before enough were seen, or where now and then one was another request\'s', () => {
    assert.deepEqual(new Jvm().pairs(63).last(50_002, 50_004), ['runtime likely', 'runtime likely', '/50003']);
    assert.deepEqual(new Jvm().pairs(199, 1).last(50_002, 50_004), ['runtime likely', 'runtime likely', '/50003']);
    assert.deepEqual(new Jvm().pairs(200, 1).last(50_002, 50_004), BETWEEN);
  });
});
