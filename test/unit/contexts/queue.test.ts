/** Calls that requests put into a queue, and pooled threads take out. */
import assert from 'node:assert/strict';
import { doubtWords, supportWords } from '../../../src/report/reason-words.ts';
import { besides, OK, pathIn, Scene, SECOND, textOf } from '../sessions/scene.ts';
import type { Findings } from '../sessions/scene.ts';

const POOL = [31, 32, 33, 34];
const [UPSTREAM, ROUNDS, SIDE_BY_SIDE] = [500, 40, 4];
const MS = 1_000;

const get = (target: string, of?: number): string => of === undefined ? `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`
  : `GET ${target} HTTP/1.1\r\nHost: x\r\ntraceparent: 00-${String(of).padStart(3, '0').repeat(11).slice(0, 32)}-${'a'.repeat(16)}-01\r\n\r\n`;

interface How {
  /** Which of those that wait side by side is served next. */
  readonly order?: (round: number) => readonly number[];
  /** Which of these say whose they are. */
  readonly named?: (at: number) => boolean;
  /** Threads that serve read requests of their own, as loops and carriers of tasks do. */
  readonly takesRequests?: true;
  /** In between a pooled thread calls with nobody waiting. */
  readonly timer?: true;
  /** What is asked by those that run alone. */
  readonly alone?: (at: number) => string;
}

/** Sessions of one endpoint: alone, then four at a time, 20 ms apart; each hands one call to four threads. The calls that are named have trace ids. */
function shop({ order = () => [0, 1, 2, 3], named = (at) => at % 2 === 0, takesRequests, timer, alone = (at) => `/shop/alone${at}` }: How = {}): Scene {
  const scene = new Scene();
  POOL.forEach((tid, at) => scene.connect(UPSTREAM + at, tid));
  const serves = (target: string, at: number, of?: number): void => {
    const which = at % POOL.length;
    const tid = POOL[which] as number;
    scene.write(UPSTREAM + which, tid, get(target, of)).wait(MS).read(UPSTREAM + which, tid, OK('u'));
  };
  if (takesRequests) for (const [at, tid] of POOL.entries()) scene.accept(900 + at, tid).read(900 + at, tid, get('/own')).write(900 + at, tid, OK('x')).close(900 + at, tid).wait(SECOND);
  if (timer) serves('/price?of=0', 0);
  for (let at = 0; at < 6; at += 1) {
    scene.wait(SECOND).accept(1_000 + at, 91).read(1_000 + at, 91, get(alone(at))).wait(MS);
    serves('/price?of=0', at);
    scene.write(1_000 + at, 91, OK('x')).close(1_000 + at, 91);
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const first = 1 + round * SIDE_BY_SIDE;
    const mark = (at: number): number | undefined => (named(at) ? first + at : undefined);
    scene.wait(SECOND);
    for (let at = 0; at < SIDE_BY_SIDE; at += 1) scene.accept(first + at, 101 + at).read(first + at, 101 + at, get(`/shop/crowd${first + at}`, mark(at))).wait(20 * MS);
    order(round).forEach((at, turn) => serves(`/price?of=${first + at}`, turn, mark(at)));
    for (let at = 0; at < SIDE_BY_SIDE; at += 1) scene.write(first + at, 101 + at, OK('x')).close(first + at, 101 + at);
  }
  return scene.pass(3 * SECOND);
}

/** Calls of the crowd that `queue` tied: whose they are said to be, and are. */
const tied = ({ sessions }: Findings): [string | undefined, string | undefined][] => besides(sessions).flatMap(({ inbound, outbound }) => outbound.filter(({ attribution }) => attribution === 'queue')
  .map((call): [string | undefined, string | undefined] => [/crowd(\d+)/.exec(pathIn(textOf(inbound.request)))?.[1], /of=(\d+)/.exec(textOf(call.request))?.[1]])).filter(([session]) => session !== undefined);

describe('a queue', () => {
  it('is taken out in the order in which its calls were put in: that ties those which nothing else tells apart', () => {
    const found = tied(shop().derive());
    assert.ok(found.length >= ROUNDS / 4, `${found.length} of ${2 * ROUNDS}`);
    for (const [session, call] of found) assert.equal(call, session);
  });

  it('says nothing where what is known of some calls contradicts the order', () => {
    // Who came last is served first.
    assert.deepEqual(tied(shop({ order: () => [3, 2, 1, 0] }).derive()), []);
    assert.deepEqual(tied(shop({ order: (round) => (round % 2 === 0 ? [0, 1, 2, 3] : [2, 3, 0, 1]) }).derive()), []);
  });

  it('says nothing where nothing else tells whether the order holds', () => {
    assert.deepEqual(tied(shop({ named: () => false }).derive()), []);
  });

  it('says nothing of calls of threads that take requests themselves', () => {
    assert.deepEqual(tied(shop({ takesRequests: true }).derive()), []);
  });

  it('says nothing of calls that the process makes by itself as well', () => {
    assert.deepEqual(tied(shop({ timer: true }).derive()), []);
  });

  it('gives a session that ran alone what its like do alone, once they are known', () => {
    const alone = besides(shop().derive().sessions).filter(({ inbound }) => textOf(inbound.request).includes('/alone'));
    assert.deepEqual(alone.map(({ outbound }) => outbound.map(({ attribution, certainty }) => `${attribution} ${certainty}`).join()).slice(4), ['queue likely', 'queue likely']);
  });

  it('gives it that too where each asks for another thing by a short number, which nobody asked for before', () => {
    const alone = besides(shop({ alone: (at) => `/item/${at}` }).derive().sessions).filter(({ inbound }) => textOf(inbound.request).includes('/item/'));
    assert.deepEqual(alone.map(({ outbound }) => outbound.map(({ attribution, certainty }) => `${attribution} ${certainty}`).join()).slice(4), ['queue likely', 'queue likely']);
  });

  it('says how likely it is, never less than 999 in 1000, and why it is never proven', () => {
    const found = shop().derive({ reasons: true }).sessions.flatMap((session) => session.outbound.filter(({ attribution }) => attribution === 'queue').map((call) => ({ call, session })));
    assert.ok(found.length > 0);
    for (const { call, session } of found) {
      const { reasons } = call;
      assert.ok(reasons?.for.includes('in-turn') === true && reasons.against.includes('never-proven'));
      const words = supportWords('in-turn', { request: [], response: [], reasons }, session);
      if (reasons.probability !== undefined) assert.match(words, /likeliest by far: (99\.[9]\d|100\.00) in 100$/);
      assert.match(doubtWords('never-proven', { attribution: call.attribution, request: [], response: [] }, session), /passed over/);
    }
  });
});
