/** What keeps calls of sessions that ran side by side from being shared out by what such sessions do alone; and a loop's wake from being believed. */
import assert from 'node:assert/strict';
import { besides, GET, marked, OK, pathIn, Scene, SECOND, textOf } from '../sessions/scene.ts';

/** One kind of call that each session makes. */
interface Step {
  readonly path: string;
  /** On which connection each session makes it. */
  readonly on: (at: number) => number;
  /** Sessions up to this one say whose they are. */
  readonly named?: number;
  /** All are made before one is answered. */
  readonly atOnce?: true;
  /** A timer puts it off. */
  readonly late?: true;
}

const ALL = Array.from({ length: 12 }, (_, at) => at + 1);
const HEX = '0123456789abcdef';
const ask = (path: string, at: number, named = 0): string => (at <= named ? marked(`${path}?of=${at}`, HEX[at]!) : GET(`${path}?of=${at}`));
const connections = (steps: readonly Step[], crowd: readonly number[]): number[] => [...new Set(steps.flatMap(({ on }) => crowd.map(on)))];

/** So many sessions one after the other, by one loop. */
function alone(times: number, steps: readonly Step[], scene = new Scene()): Scene {
  for (const connection of connections(steps, ALL)) scene.connect(connection, 7);
  for (let at = 0; at < times; at += 1) {
    scene.accept(1_000 + at, 7).read(1_000 + at, 7, GET(`/shop/a${at}`));
    for (const { path, on, late } of steps) scene.wait(late === true ? 5_000 : 0).write(on(1), 7, ask(path, 0)).read(on(1), 7, OK('u'));
    scene.write(1_000 + at, 7, OK('x')).close(1_000 + at, 7).pass(3 * SECOND);
  }
  return scene;
}

/** Side by side: each step of all sessions, then all answers. */
function together(scene: Scene, steps: readonly Step[], crowd = ALL, also: (scene: Scene) => void = () => undefined): Scene {
  const named = Math.max(0, ...steps.map((step) => step.named ?? 0));
  for (const at of crowd) scene.accept(at, 7);
  for (const at of crowd) scene.read(at, 7, ask(`/shop/c${at}`, at, named));
  also(scene);
  steps.forEach(({ path, on, named: told, atOnce, late }, place) => {
    const last = place === steps.length - 1;
    if (late === true) scene.wait(5_000);
    for (const at of crowd) {
      scene.write(on(at), 7, ask(path, at, told));
      if (atOnce !== true) scene.read(on(at), 7, OK('u'));
      if (last && atOnce !== true) scene.write(at, 7, OK('x'));
    }
    if (atOnce === true) for (const at of crowd) {
      scene.read(on(at), 7, OK('u'));
      if (last) scene.write(at, 7, OK('x'));
    }
  });
  for (const at of crowd) scene.close(at, 7);
  scene.accept(99, 7).read(99, 7, GET('/next')).pass(3 * SECOND);
  for (const connection of [...connections(steps, ALL), 99]) scene.close(connection, 7);
  return scene;
}

/** How many calls to `path` a pattern ties; it may tie none wrongly. */
function tied(scene: Scene, path: string): number {
  let count = 0;
  for (const { inbound, outbound } of besides(scene.derive().sessions)) {
    const of = /^\/shop\/c(\d+)/.exec(pathIn(textOf(inbound.request)))?.[1];
    for (const call of outbound) {
      const target = pathIn(textOf(call.request));
      if (of === undefined || !target.startsWith(path) || call.attribution !== 'pattern') continue;
      assert.equal(/of=(\d+)/.exec(target)?.[1], of, `${target} in the session of ${of}`);
      count += 1;
    }
  }
  return count;
}

const one = (connection: number) => (): number => connection;
const own = (from: number) => (at: number): number => from + at;
const USER: Step = { path: '/user', on: one(101) };

describe('a pattern is believed', () => {
  it('only where eight such calls of the crowd are known otherwise, though they be more than half of them', () => {
    const steps = [{ ...USER, named: 9 }];
    assert.equal(tied(together(alone(6, [USER]), steps), '/user') > 0, true);
    const few = [{ ...USER, named: 6 }];
    assert.equal(tied(together(alone(6, [USER]), few, ALL.slice(0, 9)), '/user'), 0);
  });

  it('of what sessions do first on one connection, but of nothing that they do later there', () => {
    const first: Step = { ...USER, atOnce: true };
    const second: Step = { path: '/more', on: one(102), atOnce: true };
    assert.equal(tied(together(alone(6, [first, second]), [first, second]), '/user'), 12);
    assert.equal(tied(together(alone(6, [first, second]), [{ ...first, named: 12 }, second]), '/more'), 0);
  });

  it('of what sessions do last, by when it is answered, also where a timer put it off; but not of what something follows', () => {
    const put: Step = { path: '/done', on: own(200), atOnce: true, late: true };
    assert.equal(tied(together(alone(6, [put]), [put]), '/done'), 12);
    const audit: Step = { path: '/audit', on: own(300) };
    assert.equal(tied(together(alone(6, [put, audit]), [put, { ...audit, named: 12 }]), '/done'), 0);
  });

  it('of no calls that a session makes one when the one before is answered: those of others come between', () => {
    const [once, again] = [{ path: '/page', on: own(200) }, { path: '/page', on: own(300) }];
    assert.equal(tied(together(alone(6, [once, again]), [{ ...once, named: 10 }, { ...again, named: 9 }]), '/page'), 0);
  });

  it('of nothing where a session of an endpoint that is not known is open: what it does may be this', () => {
    const steps = [{ ...USER, named: 9 }];
    assert.equal(tied(together(alone(6, [USER]), steps, ALL, (scene) => scene.accept(98, 8).read(98, 8, GET('/unheard-of'))), '/user'), 0);
  });
});

describe('what a loop does in the wake of what it read', () => {
  const PRICE: Step = { path: '/price', on: one(102) };
  /** Calls one after the other of a session that another one runs beside, which waits for nothing. */
  const wake = (scene: Scene, ...paths: readonly string[]): string[] => {
    scene.accept(1, 7).accept(2, 7).read(1, 7, GET('/shop/c1'));
    for (const path of paths) scene.write(path === '/user' ? 101 : 102, 7, ask(path, 1)).read(path === '/user' ? 101 : 102, 7, OK('u'));
    scene.write(1, 7, OK('x'));
    for (const connection of [1, 2, 101, 102]) scene.close(connection, 7);
    return besides(scene.derive().sessions).filter(({ inbound }) => textOf(inbound.request).includes('/shop/c')).flatMap(({ outbound }) => outbound.map((call) => `${pathIn(textOf(call.request))} ${call.attribution}`));
  };

  it('is its session\'s, but for one call more than such sessions ever made alone, of eight that did', () => {
    const steps = [USER, PRICE, PRICE];
    const paths = ['/user', '/price', '/price', '/price'];
    assert.deepEqual(wake(alone(10, steps), ...paths), ['/user?of=1 thread', '/price?of=1 continuation', '/price?of=1 continuation']);
    assert.deepEqual(wake(alone(5, steps), ...paths), ['/user?of=1 thread', '/price?of=1 continuation', '/price?of=1 continuation', '/price?of=1 continuation']);
  });

  it('is its session\'s call by call, however many such sessions ran alone: also of a loop that holds two connections and was never seen to serve both at once', () => {
    const scene = new Scene().connect(101, 7).connect(102, 7).accept(1, 7).accept(2, 7);
    for (let n = 0; n < 20; n += 1) {
      const connection = 1 + (n % 2);
      scene.read(connection, 7, GET(`/shop/a${n}`)).write(101, 7, GET('/user')).read(101, 7, OK('u')).write(102, 7, GET('/price')).read(102, 7, OK('p')).write(connection, 7, OK('x')).pass(3 * SECOND);
    }
    const { sessions } = scene.derive();
    assert.deepEqual(new Set(sessions.map(({ outbound, certificate }) => [...outbound.map((call) => `${pathIn(textOf(call.request))} ${call.attribution}`), certificate.state].join(', '))), new Set(['/user thread, /price continuation, complete']));
  });

  it('is not its session\'s where the process does the like by itself, but for what such sessions begin with', () => {
    const byItself = (path: string): Scene => new Scene().connect(98, 7).write(98, 7, ask(path, 0)).read(98, 7, OK('p')).close(98, 7).wait(SECOND);
    const steps = [USER, PRICE];
    assert.deepEqual(wake(alone(5, steps, byItself('/user')), '/user'), ['/user?of=1 thread']);
    assert.deepEqual([wake(alone(5, steps), '/price'), wake(alone(5, steps, byItself('/price')), '/price')], [['/price?of=1 thread'], []]);
  });
});
