/** Calls of sessions that ran side by side, shared out by what such sessions did alone. */
import assert from 'node:assert/strict';
import { supportWords } from '../../../src/report/reason-words.ts';
import { besides, OK, pathIn, Scene, SECOND, textOf } from '../sessions/scene.ts';
import type { Findings } from '../sessions/scene.ts';

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
/** The sessions of the crowd, and whose calls they are said to be. */
const crowd = ({ sessions }: Findings): string[] => besides(sessions).filter(({ inbound }) => textOf(inbound.request).includes('/shop/c')).map(({ inbound, outbound }) =>
  `${pathIn(textOf(inbound.request))}: ${outbound.map((call) => `${pathIn(textOf(call.request))} ${call.attribution} ${call.certainty}`).join(', ')}`);

const USER = 101;
const OTHER_USER = 102;
const CROWD = Array.from({ length: 12 }, (_, at) => at + 1);
const PRICES = Array.from({ length: 2 * CROWD.length }, (_, at) => 111 + at);
/** Of the crowd, those whose calls say whose they are. */
const NAMED = 9;

/** One loop (thread 7) asks for the user, then for two prices at a time (or as `prices` says), then answers. Alone, so many times. */
function alone(times: number, pauseUs = 0, prices: (at: number) => number = () => 2, scene = new Scene()): Scene {
  scene.connect(USER, 7).connect(OTHER_USER, 7);
  for (const price of PRICES) scene.connect(price, 7);
  for (let at = 0; at < times; at += 1) {
    scene.accept(1_000 + at, 7).read(1_000 + at, 7, get(`/shop/a${at}`)).wait(pauseUs);
    scene.write(USER, 7, get('/user?of=0')).read(USER, 7, OK('u'));
    for (const price of PRICES.slice(0, prices(at))) scene.write(price, 7, get('/price?of=0'));
    for (const price of PRICES.slice(0, prices(at))) scene.read(price, 7, OK('p'));
    scene.write(1_000 + at, 7, OK('x')).close(1_000 + at, 7).wait(SECOND);
  }
  return scene;
}

/** One loop that asks for the user, and for more in the same breath. Alone, ten times. */
function atOnce(): Scene {
  const scene = new Scene().connect(USER, 7).connect(OTHER_USER, 7);
  for (let at = 0; at < 10; at += 1) {
    scene.accept(1_000 + at, 7).read(1_000 + at, 7, get(`/shop/a${at}`)).write(USER, 7, get('/user?of=0')).write(OTHER_USER, 7, get('/more?of=0'));
    scene.read(USER, 7, OK('u')).read(OTHER_USER, 7, OK('m')).write(1_000 + at, 7, OK('x')).close(1_000 + at, 7).wait(SECOND);
  }
  return scene;
}

/** All requests are read before anything is done for them. `named`: so many of them, and their calls, carry a trace id. `order`: of the users' calls; `users`: their connections, in turn; `shared`: all
 * users are asked for before one is answered. `priced`: of so many the prices carry it too. */
function together(scene: Scene, named = NAMED, order: readonly number[] = CROWD, users: readonly number[] = [USER], shared = false, priced = named): Scene {
  const marked = (target: string, of: number): string => of <= (target.startsWith('/price') ? priced : named)
    ? get(target).replace('Host: x', `Host: x\r\ntraceparent: 00-${String(of).padStart(2, '0').repeat(16)}-${'a'.repeat(16)}-01`) : get(target);
  for (const at of CROWD) scene.accept(at, 7);
  for (const at of CROWD) scene.read(at, 7, marked(`/shop/c${at}`, at));
  for (const at of order) {
    const user = users[at % users.length] as number;
    scene.write(user, 7, marked(`/user?of=${at}`, at));
    if (!shared) scene.read(user, 7, OK('u'));
  }
  if (shared) for (const at of order) scene.read(users[at % users.length] as number, 7, OK('u'));
  for (const at of CROWD) for (const price of [2 * at - 2, 2 * at - 1]) scene.write(PRICES[price] as number, 7, marked(`/price?of=${at}`, at));
  for (const at of CROWD) {
    for (const price of [2 * at - 2, 2 * at - 1]) scene.read(PRICES[price] as number, 7, OK('p'));
    scene.write(at, 7, OK('x'));
  }
  for (const at of CROWD) scene.close(at, 7);
  scene.accept(99, 7).read(99, 7, get('/next')).pass(3 * SECOND);
  for (const connection of [USER, OTHER_USER, ...PRICES, 99]) scene.close(connection, 7);
  return scene;
}

const rightly = (found: readonly string[]): void => {
  for (const told of found) {
    const of = /c(\d+)/.exec(told)?.[1];
    for (const [, call] of told.matchAll(/of=(\d+)/g)) assert.equal(call, of, told);
  }
};

/** Of those of the crowd that nothing names. */
const nameless = (found: readonly string[]): readonly string[] => found.filter((told) => Number(/c(\d+)/.exec(told)?.[1]) > NAMED);

describe('a pattern', () => {
  it('shares the calls of sessions side by side out as each made them alone, and says so', () => {
    const found = crowd(together(alone(6)).derive());
    rightly(found);
    assert.equal(nameless(found).length, CROWD.length - NAMED);
    for (const told of nameless(found)) assert.equal([...told.matchAll(/\/price\S* pattern likely/g)].length, 2, told);
  });

  it('tells how likely each of its ties is, never less than 99 in 100, and names the next best where that is possible at all', () => {
    const calls = together(alone(6)).derive({ reasons: true }).sessions.flatMap((session) => session.outbound.map((call) => ({ call, session })));
    const guessed = calls.filter(({ call }) => call.attribution === 'pattern');
    assert.ok(guessed.length > 0);
    for (const { call: { reasons, alternatives }, session } of guessed) {
      const probability = reasons?.probability ?? 0;
      assert.ok(probability >= 0.99 && probability <= 1, `${probability}`);
      assert.ok(alternatives === undefined || probability < 0.999);
      assert.match(supportWords('as-alone', { request: [], response: [], reasons: reasons! }, session), /likeliest by far: (99\.\d\d|100\.00) in 100$/);
    }
    for (const { call } of calls) if (call.attribution !== 'pattern') assert.equal(call.reasons?.probability, undefined);
  });

  it('leaves a call without a tie where it may be of either neighbour: alone such sessions made one call, or three, as often as two', () => {
    const found = crowd(together(alone(12, 0, (at) => 1 + (at % 3))).derive());
    rightly(found);
    const tied = nameless(found).flatMap((told) => [...told.matchAll(/\/price\S* pattern likely/g)]);
    assert.ok(tied.length < 6, `${tied.length} of 6`);
  });

  it('names the neighbour as an alternative where that made such a call, or did not, once in a while', () => {
    const { sessions } = together(alone(24, 0, (at) => at === 0 ? 1 : at === 1 ? 3 : 2)).derive();
    const guessed = sessions.flatMap(({ outbound }) => outbound).filter(({ attribution }) => attribution === 'pattern');
    assert.ok(guessed.some(({ alternatives }) => alternatives?.length === 1));
  });

  it('says nothing of calls that the process makes by itself as well', () => {
    const scene = new Scene().connect(98, 7).write(98, 7, get('/price?of=0')).read(98, 7, OK('p')).close(98, 7).wait(SECOND);
    const found = crowd(together(alone(6, 0, () => 2, scene)).derive());
    for (const told of nameless(found)) assert.doesNotMatch(told, /\/price\S* pattern/);
  });

  it('says nothing of an endpoint that ran alone less than four times', () => {
    for (const told of crowd(together(alone(3)).derive())) assert.ok(!told.includes('pattern'), told);
  });

  it('says nothing where too little is known of the crowd otherwise to see that its work is taken up in turn', () => {
    for (const scene of [together(alone(6), 2), together(alone(6), 2, CROWD, [USER, OTHER_USER], true)]) {
      for (const told of crowd(scene.derive())) assert.ok(!told.includes('pattern'), told);
    }
  });

  it('says nothing where less than half of the calls are known otherwise: those between were perhaps overtaken', () => {
    for (const told of crowd(together(alone(6), NAMED, CROWD, [USER], false, 5).derive())) assert.doesNotMatch(told, /\/price\S* pattern/);
  });

  it('needs no such witness for what sessions do first, on one connection that all share: nobody waits for it, and is overtaken', () => {
    const found = crowd(together(alone(6), 2, CROWD, [USER], true).derive());
    rightly(found);
    for (const told of found.slice(2)) assert.match(told, /: \/user\S* pattern likely/);
    for (const told of found) assert.doesNotMatch(told, /\/price\S* pattern/);
  });

  it('builds on what can be known by then of all calls of the crowd, also of those whose sessions are given out later', () => {
    // All ask at once; of the first three, which are served first, nothing tells whose calls they are.
    const named = (target: string, of: number): string => of <= 3 ? get(target)
      : get(target).replace('Host: x', `Host: x\r\ntraceparent: 00-${String(of).padStart(2, '0').repeat(16)}-${'a'.repeat(16)}-01`);
    const scene = alone(6);
    for (const at of CROWD) scene.accept(at, 7);
    for (const at of CROWD) scene.read(at, 7, named(`/shop/c${at}`, at));
    for (const group of [CROWD.slice(0, 3), CROWD.slice(3)]) {
      for (const at of group) scene.write(USER, 7, named(`/user?of=${at}`, at)).read(USER, 7, OK('u'));
      for (const at of group) for (const price of [2 * at - 2, 2 * at - 1]) scene.write(PRICES[price] as number, 7, named(`/price?of=${at}`, at));
      for (const at of group) {
        for (const price of [2 * at - 2, 2 * at - 1]) scene.read(PRICES[price] as number, 7, OK('p'));
        scene.write(at, 7, OK('x'));
      }
    }
    for (const at of CROWD) scene.close(at, 7);
    scene.accept(99, 7).read(99, 7, get('/next')).pass(3 * SECOND);
    for (const connection of [USER, ...PRICES, 99]) scene.close(connection, 7);
    const found = crowd(scene.derive());
    rightly(found);
    for (const told of found.slice(0, 3)) assert.equal([...told.matchAll(/\/price\S* pattern likely/g)].length, 2, told);
  });

  it('says nothing of calls that come in another order than they should, as far as they are known', () => {
    const found = crowd(together(alone(6), NAMED, [3, 1, 2, 6, 5, 4, 9, 12, 7, 8, 11, 10]).derive());
    for (const told of found) assert.doesNotMatch(told, /\/user\S* pattern/);
  });

  it('says nothing of calls that a timer may have put off: whose is first is not known then', () => {
    const found = crowd(together(alone(6, 5_000)).derive());
    for (const told of found) assert.doesNotMatch(told, /\/user\S* pattern/);
  });

  it('takes calls that one write carries in the order in which they stand there, also where the first of them seemed to be the last request\'s', () => {
    const scene = atOnce();
    for (const at of CROWD) scene.accept(at, 7);
    for (const at of CROWD.filter((each) => each % 3 === 1)) {
      // What it does once it has read the third looks like the third's.
      scene.read(at, 7, get(`/shop/c${at}`)).read(at + 1, 7, get(`/shop/c${at + 1}`)).connect(600 + at, 7).read(at + 2, 7, get(`/shop/c${at + 2}`));
      scene.write(OTHER_USER, 7, [at, at + 1, at + 2].map((of) => get(`/more?of=${of}`)).join(''));
    }
    for (let at = 0; at < CROWD.length; at += 1) scene.read(OTHER_USER, 7, OK('m'));
    for (const at of CROWD) scene.write(USER, 7, get(`/user?of=${at}`)).read(USER, 7, OK('u'));
    for (const at of CROWD) scene.write(at, 7, OK('x')).close(at, 7);
    scene.accept(99, 7).read(99, 7, get('/next')).pass(3 * SECOND);
    for (const connection of [USER, OTHER_USER, 99]) scene.close(connection, 7);
    const found = crowd(scene.derive());
    rightly(found);
    for (const told of found) assert.match(told, /\/more\S* pattern likely/);
  });

  it('keeps from a loop\'s wake what sessions alone never began with, though they do it in the same breath', () => {
    const scene = atOnce();
    // The second call was queued until a connection was free, which was once /shop/c2 had been read.
    scene.accept(1, 7).accept(2, 7).read(1, 7, get('/shop/c1')).write(USER, 7, get('/user?of=1')).read(2, 7, get('/shop/c2')).write(OTHER_USER, 7, get('/more?of=1'));
    scene.read(USER, 7, OK('u')).read(OTHER_USER, 7, OK('m')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, USER, OTHER_USER]) scene.close(connection, 7);
    assert.deepEqual(crowd(scene.derive()), ['/shop/c1: /user?of=1 thread likely', '/shop/c2: ']);
  });

  it('keeps from a loop\'s wake what sessions alone never did there: a queued call is not that of the request which was read last', () => {
    // Of /shop/c1 the user is asked, and a price is queued; what is written when /shop/c2 has been read is that price.
    const queued = (scene: Scene, first: string): readonly string[] => {
      scene.accept(1, 7).accept(2, 7).read(1, 7, get('/shop/c1')).write(USER, 7, get('/user?of=1')).read(2, 7, get('/shop/c2'));
      scene.write(PRICES[0] as number, 7, get(first)).read(PRICES[0] as number, 7, OK('p')).read(USER, 7, OK('u'));
      for (const at of [1, 2]) scene.write(at, 7, OK('x'));
      for (const connection of [1, 2, USER, ...PRICES]) scene.close(connection, 7);
      return crowd(scene.derive());
    };
    assert.deepEqual(queued(alone(3), '/price?of=1'), ['/shop/c1: /user?of=1 thread likely', '/shop/c2: /price?of=1 thread likely']);
    assert.deepEqual(queued(alone(10), '/price?of=1'), ['/shop/c1: /user?of=1 thread likely', '/shop/c2: ']);
    assert.deepEqual(queued(alone(10), '/never'), ['/shop/c1: /user?of=1 thread likely', '/shop/c2: ']);
    assert.deepEqual(queued(alone(10), '/user?of=2'), ['/shop/c1: /user?of=1 thread likely', '/shop/c2: /user?of=2 thread likely']);
  });
});
