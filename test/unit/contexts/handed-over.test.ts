import assert from 'node:assert/strict';
import type { Session } from '../../../src/sessions/session.ts';
import { GET, OK, Scene, SECOND, textOf } from '../sessions/scene.ts';

/** Threads that take requests, one at a time each; and those of a pool. */
const [ANNA, BERT] = [91, 92];
const POOL = [31, 32];
const path = (chunks: Parameters<typeof textOf>[0]): string => /\/\S*/.exec(textOf(chunks))?.[0] ?? '';

class Shop extends Scene {
  #next = 100;
  readonly #known = new Set<number>();

  wake(tid: number, woken: number, waitedUs = 5_000): this {
    return this.add({ kind: 'wake', atUs: this.nowUs, tgid: this.tgid, tid, context: 0, snapshot: false, woken, waitedUs });
  }

  /** `tid` reads a request. */
  asks(tid: number, to: string): number {
    const connection = this.#next += 1;
    this.accept(connection, tid).read(connection, tid, GET(to));
    return connection;
  }

  answers(tid: number, connection: number): this {
    return this.write(connection, tid, OK('x')).close(connection, tid, 'local-fin').close(connection, tid);
  }

  /** `tid` calls, and reads the answer. */
  calls(tid: number, to: string, connection = this.#next += 1): this {
    if (!this.#known.has(connection)) this.connect(connection, tid);
    this.#known.add(connection);
    return this.write(connection, tid, GET(to)).read(connection, tid, OK('u'));
  }

  /**
   * Anna and Bert are at work at once; what they hand over is done by one thread each, in turns the one's first, and they are told.
   * `also`: what else happens once the call of the first was answered.
   */
  round(n: number, also?: (first: { readonly by: number; readonly connection: number }) => void): this {
    const inbound = [this.asks(ANNA, `/anna/${n}`), this.asks(BERT, `/bert/${n}`)] as const;
    const [one, other] = n % 2 === 0 ? POOL as [number, number] : [POOL[1] as number, POOL[0] as number];
    const connection = this.#next += 1;
    this.calls(one, `/of-anna/${n}`, connection);
    also?.({ by: one, connection });
    this.calls(other, `/of-bert/${n}`).wake(one, ANNA).wake(other, BERT);
    this.answers(ANNA, inbound[0]).answers(BERT, inbound[1]);
    return this.pass(SECOND);
  }

  rounds(count: number, also?: (first: { readonly by: number; readonly connection: number }, n: number) => void): this {
    for (let n = 0; n < count; n += 1) this.round(n, also && ((first) => also(first, n)));
    return this;
  }

  /** Each session's calls. */
  told(): string[] {
    for (const tid of [ANNA, BERT]) this.answers(tid, this.asks(tid, '/last'));
    return this.pass(SECOND).derive().sessions.filter(({ inbound }) => path(inbound.request) !== '/last').map(line);
  }
}

const line = ({ inbound, outbound }: Session): string =>
  `${path(inbound.request)}: ${outbound.map((call) => `${path(call.request)} ${call.attribution} ${call.certainty}`).join(', ')}`;

describe('handed over', () => {
  it('is the call after which a thread of a pool wakes the thread that waits, once enough were seen', () => {
    const told = new Shop().rounds(20).told();
    assert.deepEqual(told.slice(-2), ['/anna/19: /of-anna/19 handed-over likely', '/bert/19: /of-bert/19 handed-over likely']);
    assert.deepEqual(told.slice(0, 4), ['/anna/0: ', '/bert/0: ', '/anna/1: ', '/bert/1: ']);
    for (const each of told) assert.doesNotMatch(each, /anna.*bert/);
  });

  it('is only the last call before the wake-up: the one before it may have been of a task whose end nobody waited for', () => {
    const shop = new Shop().rounds(20);
    const [anna, bert] = [shop.asks(ANNA, '/anna'), shop.asks(BERT, '/bert')];
    shop.calls(31, '/of-bert').calls(31, '/of-anna').wake(31, ANNA).answers(ANNA, anna).answers(BERT, bert);
    assert.deepEqual(shop.told().slice(-2), ['/anna: /of-anna handed-over likely', '/bert: ']);
  });

  it('is not the call before one that has no answer yet: that thread woke somebody in the midst of other work', () => {
    const shop = new Shop().rounds(20);
    const [anna, bert] = [shop.asks(ANNA, '/anna'), shop.asks(BERT, '/bert')];
    shop.connect(99, 31).calls(31, '/done').write(99, 31, GET('/begun')).wake(31, ANNA).read(99, 31, OK('u')).answers(ANNA, anna).answers(BERT, bert);
    assert.deepEqual(shop.told().slice(-2), ['/anna: ', '/bert: ']);
  });

  it('says nothing of a process where one call wakes the threads of two sessions more than now and then', () => {
    const now = (often: number): string[] => {
      const shop = new Shop();
      return shop.rounds(80, ({ by }, n) => { if (n % often === 0) shop.wake(by, BERT); }).told();
    };
    assert.doesNotMatch(now(10).join(), /handed-over/);
    assert.match(now(79).at(-1) as string, /handed-over/);
  });

  it('holds wake-ups of threads that waited but shortly against these alone', () => {
    const shop = new Shop();
    shop.rounds(80, ({ by }, n) => { if (n % 10 === 0) shop.wake(by, BERT, 100); });
    const told = shop.told();
    assert.match(told.at(-1) as string, /handed-over/);
    assert.equal(told.at(140), '/anna/70: ');
    const short = new Shop();
    for (let n = 0; n < 40; n += 1) {
      const inbound = short.asks(ANNA, `/anna/${n}`);
      short.calls(31, `/of-anna/${n}`).wake(31, ANNA, 100).answers(ANNA, inbound).pass(SECOND);
    }
    assert.equal(short.told().at(-1), '/anna/39: /of-anna/39 handed-over likely');
  });

  it('holds it against both kinds where one call woke who waited long and who waited shortly, but less against the former, and is not said of that call', () => {
    /** Of so many rounds each one woke the other one, too, who waited but shortly; `short`: so did all others. */
    const told = (every: number, short = false): string[] => {
      const shop = new Shop();
      for (let n = 0; n < 80; n += 1) {
        const [anna, bert] = [shop.asks(ANNA, `/anna/${n}`), shop.asks(BERT, `/bert/${n}`)];
        shop.calls(31, `/of-anna/${n}`).calls(32, `/of-bert/${n}`).wake(31, ANNA);
        if (n % every === 0) shop.wake(31, BERT, 100);
        shop.wake(32, BERT, short ? 100 : 5_000).answers(ANNA, anna).answers(BERT, bert).pass(SECOND);
      }
      return shop.told();
    };
    const seldom = told(10);
    assert.deepEqual([seldom.at(-2), seldom.at(140)], ['/anna/79: /of-anna/79 handed-over likely', '/anna/70: ']);
    assert.doesNotMatch(told(2).at(-2)!, /handed-over/);
    assert.deepEqual([told(100, true).at(-1), told(10, true).at(-1)], ['/bert/79: /of-bert/79 handed-over likely', '/bert/79: ']);
  });

  it('says nothing where who was woken goes on with a call over the connection that the other one used: it waited for that', () => {
    const told = (same: boolean): string => {
      const shop = new Shop();
      for (let n = 0; n < 40; n += 1) {
        const [anna, bert] = [shop.asks(ANNA, '/anna'), shop.asks(BERT, '/bert')];
        // Bert calls as well, and waits for a connection; the call of Anna's is done, and its thread lets go of it.
        shop.calls(31, '/of-anna', 50).wake(31, BERT).calls(BERT, '/by-bert', same ? 50 : 60).answers(ANNA, anna).answers(BERT, bert).pass(SECOND);
      }
      return shop.told().join();
    };
    assert.doesNotMatch(told(true), /handed-over/);
    assert.match(told(false), /bert: \/of-anna handed-over likely, \/by-bert thread/, 'over another connection it goes on with what it waited for');
  });

  it('says nothing of what a thread does that takes requests itself', () => {
    const shop = new Shop();
    for (const tid of POOL) shop.answers(tid, shop.asks(tid, '/own'));
    shop.pass(6 * SECOND);
    assert.doesNotMatch(shop.rounds(20).told().join(), /handed-over/);
  });

  it('says nothing by a wake-up of a thread whose request is answered', () => {
    const shop = new Shop();
    for (let n = 0; n < 20; n += 1) {
      const inbound = shop.asks(ANNA, `/anna/${n}`);
      shop.calls(31, `/of-anna/${n}`).answers(ANNA, inbound).wake(31, ANNA).pass(SECOND / 100);
    }
    assert.doesNotMatch(shop.told().join(), /handed-over/);
  });

  it('gives way to what a call names, and says nothing more once it was wrong too often', () => {
    const shop = new Shop();
    for (let n = 0; n < 40; n += 1) {
      const [anna, bert] = [shop.asks(ANNA, `/anna/${n}`), shop.asks(BERT, `/bert/550e8400-a${1000 + n}-zzz`)];
      shop.calls(31, `/of/550e8400-a${1000 + n}-zzz`).wake(31, ANNA);
      shop.calls(32, '/of-anna').wake(32, ANNA).answers(ANNA, anna).answers(BERT, bert).pass(SECOND / 100);
    }
    const told = shop.told();
    assert.equal(told.at(-1), '/bert/550e8400-a1039-zzz: /of/550e8400-a1039-zzz content likely');
    assert.doesNotMatch(told.at(-2) as string, /handed-over/);
  });

  it('tells why it says nothing, to who asks', () => {
    const shop = new Shop().rounds(20);
    const [anna, bert] = [shop.asks(ANNA, '/anna'), shop.asks(BERT, '/bert')];
    shop.calls(31, '/unwaited').calls(32, '/both').wake(32, ANNA).wake(32, BERT).answers(ANNA, anna).answers(BERT, bert);
    shop.pass(SECOND);
    const { ambient } = shop.derive({ reasons: true });
    const why = (of: string): readonly string[] => ambient.find((talk) => path(talk.request) === of)?.whyNot ?? [];
    assert.ok(why('/unwaited').includes('woke-nobody'), why('/unwaited').join());
    assert.ok(why('/both').includes('woke-several'), why('/both').join());
    assert.ok(why('/of-anna/0').includes('wakes-unsure'), why('/of-anna/0').join());
  });
});
