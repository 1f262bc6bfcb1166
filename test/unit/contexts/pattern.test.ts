/** Calls of sessions that ran side by side, shared out by what such sessions did alone. */
import assert from 'node:assert/strict';
import { besides, OK, Scene, SECOND, textOf } from '../sessions/scene.ts';
import type { Findings } from '../sessions/scene.ts';

const path = (text: string): string => /\/\S*/.exec(text)?.[0] ?? '';
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
/** The sessions of the crowd, and whose calls they are said to be. */
const crowd = ({ sessions }: Findings): string[] => besides(sessions).filter(({ inbound }) => textOf(inbound.request).includes('/shop/c')).map(({ inbound, outbound }) =>
  `${path(textOf(inbound.request))}: ${outbound.map((call) => `${path(textOf(call.request))} ${call.attribution} ${call.certainty}`).join(', ')}`);

const USER = 101;
const PRICE = [111, 112, 113];

/** One loop (thread 7) asks for the user, then for two prices at a time, then answers. Alone, so many times. */
function alone(times: number, pauseUs = 0): Scene {
  const scene = new Scene().connect(USER, 7).connect(PRICE[0]!, 7).connect(PRICE[1]!, 7).connect(PRICE[2]!, 7);
  for (let at = 0; at < times; at += 1) {
    scene.accept(1_000 + at, 7).read(1_000 + at, 7, get(`/shop/a${at}`)).wait(pauseUs);
    scene.write(USER, 7, get('/user?of=0')).read(USER, 7, OK('u'));
    scene.write(PRICE[0]!, 7, get('/price?of=0')).write(PRICE[1]!, 7, get('/price?of=0')).read(PRICE[0]!, 7, OK('p')).read(PRICE[1]!, 7, OK('p'));
    scene.write(1_000 + at, 7, OK('x')).close(1_000 + at, 7).wait(SECOND);
  }
  return scene;
}

/** Three requests are read before anything is done for them; the prices wait for a free connection. `order`: of the users' calls. */
function together(scene: Scene, order: readonly number[] = [1, 2, 3]): Scene {
  for (const at of [1, 2, 3]) scene.accept(at, 7);
  for (const at of [1, 2, 3]) scene.read(at, 7, get(`/shop/c${at}`));
  for (const at of order) scene.write(USER, 7, get(`/user?of=${at}`)).read(USER, 7, OK('u'));
  scene.write(PRICE[0]!, 7, get('/price?of=1')).write(PRICE[1]!, 7, get('/price?of=1')).write(PRICE[2]!, 7, get('/price?of=2'));
  scene.read(PRICE[1]!, 7, OK('p')).write(PRICE[1]!, 7, get('/price?of=2')).read(PRICE[0]!, 7, OK('p')).write(PRICE[0]!, 7, get('/price?of=3')).write(1, 7, OK('x'));
  scene.read(PRICE[2]!, 7, OK('p')).write(PRICE[2]!, 7, get('/price?of=3')).read(PRICE[1]!, 7, OK('p')).write(2, 7, OK('x'));
  scene.read(PRICE[0]!, 7, OK('p')).read(PRICE[2]!, 7, OK('p')).write(3, 7, OK('x'));
  for (const at of [1, 2, 3]) scene.close(at, 7);
  scene.accept(9, 7).read(9, 7, get('/next')).pass(3 * SECOND);
  for (const connection of [USER, ...PRICE, 9]) scene.close(connection, 7);
  return scene;
}

const rightly = (found: readonly string[]): void => {
  for (const told of found) {
    const of = /c(\d)/.exec(told)?.[1];
    for (const [, call] of told.matchAll(/of=(\d)/g)) assert.equal(call, of, told);
  }
};

describe('a pattern', () => {
  it('shares the calls of sessions side by side out as each made them alone, and says so', () => {
    const found = crowd(together(alone(6)).derive());
    rightly(found);
    for (const told of found) assert.equal([...told.matchAll(/\/price\S* pattern likely/g)].length, 2, told);
  });

  it('says nothing of an endpoint that ran alone less than four times', () => {
    for (const told of crowd(together(alone(3)).derive())) assert.ok(!told.includes('pattern'), told);
  });

  it('says nothing of calls that a timer may have put off: whose is first is not known then', () => {
    const found = crowd(together(alone(6, 5_000), [3, 1, 2]).derive());
    for (const told of found) assert.doesNotMatch(told, /\/user\S* pattern/);
  });
});
