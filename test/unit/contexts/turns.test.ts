/** Whose turn it was, of calls that pooled threads took out of a queue. */
import assert from 'node:assert/strict';
import { turns } from '../../../src/contexts/turns.ts';
import type { Errand, Served } from '../../../src/contexts/turns.ts';

const ENDLESS = 1_000_000;
/** Two prices, and once these are answered, a total. */
const SHOP = { shapes: ['price', 'price', 'total'], after: [0, 0, 0b11] };
const PAIR = { shapes: ['price', 'price'], after: [0, 0] };
const ONE = { shapes: ['price'], after: [0] };
const errand = (askedUs: number, respondedUs = ENDLESS, routine: Errand['routine'] = SHOP): Errand => ({ askedUs, respondedUs, routine });
const call = (beganUs: number, answeredUs: number, of?: number, shape = 'price'): Served => ({ beganUs, answeredUs, shape, of, strangers: false });
const whose = (errands: readonly Errand[], calls: readonly Served[]): (number | undefined)[] | undefined => turns(errands, calls)?.map((turn) => turn?.errand);

describe('turns', () => {
  it('gives each session its handfuls, in the order in which they were put in', () => {
    const errands = [errand(0, 60_000), errand(10_000, 80_000), errand(20_000, 90_000)];
    const calls = [25_000, 26_000, 27_000, 28_000, 29_000, 30_000].map((at) => call(at, at + 20_000)).concat([call(50_000, 55_000, undefined, 'total'), call(51_000, 56_000, undefined, 'total'), call(52_000, 57_000, undefined, 'total')]);
    assert.deepEqual(whose(errands, calls), [0, 0, 1, 1, 2, 2, 0, 1, 2]);
    for (const turn of turns(errands, calls) ?? []) assert.ok((turn?.probability ?? 0) > 0.99, JSON.stringify(turn));
  });

  it('is unsure of calls of two sessions that were ready at the same time, and names the other', () => {
    const [first] = turns([errand(0, ENDLESS, ONE), errand(20, ENDLESS, ONE)], [call(30_000, 40_000), call(31_000, 41_000)]) ?? [];
    assert.ok(first !== undefined && first.probability < 0.95, JSON.stringify(first));
    assert.equal(first.second, 1);
  });

  it('is the surer the longer the one had waited when the other came', () => {
    const sure = (laterUs: number): number => turns([errand(0, ENDLESS, ONE), errand(laterUs, ENDLESS, ONE)], [call(30_000, 40_000), call(31_000, 41_000)])?.[0]?.probability ?? 0;
    assert.ok(sure(100) < sure(1_000) && sure(1_000) < sure(10_000), [100, 1_000, 10_000].map(sure).join());
  });

  it('lets what is known of one call say whose the others are', () => {
    const errands = [errand(0, ENDLESS, ONE), errand(20, ENDLESS, ONE)];
    assert.deepEqual(whose(errands, [call(30_000, 40_000, 1), call(31_000, 41_000)]), [1, 0]);
  });

  it('gives no session a call that began before it could be put in, or was answered after its response began', () => {
    assert.deepEqual(whose([errand(1_000, 9_000, ONE)], [call(500, 2_000)]), [undefined]);
    assert.deepEqual(whose([errand(1_000, 9_000, ONE)], [call(5_000, 9_500)]), [undefined]);
    assert.deepEqual(whose([errand(0, 60_000)], [call(1_000, 9_000), call(2_000, 9_000), call(5_000, 9_500, undefined, 'total')]), [0, 0, undefined]);
  });

  it('gives no session more calls than it makes', () => {
    const found = turns([errand(0, 60_000, ONE)], [call(1_000, 2_000), call(3_000, 4_000)]) ?? [];
    for (const turn of found) assert.ok((turn?.probability ?? 0) < 0.6, JSON.stringify(found));
  });

  it('is less sure where sessions were at work of which it is not known what they do', () => {
    const served = call(30_000, 40_000);
    const sure = (strangers: boolean): number => turns([errand(0, ENDLESS, ONE)], [{ ...served, strangers }])?.[0]?.probability ?? 0;
    assert.ok(sure(true) < 0.99 && sure(false) > 0.999);
  });

  it('says nothing where too many wait at a time, and has nothing to say of nothing', () => {
    assert.equal(turns(Array.from({ length: 129 }, () => errand(0)), [call(1_000, 2_000)]), undefined);
    assert.deepEqual(turns([], []), []);
  });

  it('finds its way through a long line in which none waits long', () => {
    const errands = Array.from({ length: 400 }, (_, at) => errand(at * 3_000, at * 3_000 + 40_000, PAIR));
    const calls = errands.flatMap((_, at) => [call(at * 3_000 + 10_000, at * 3_000 + 12_000), call(at * 3_000 + 10_100, at * 3_000 + 12_100)]);
    assert.deepEqual(whose(errands, calls), errands.flatMap((_, at) => [at, at]));
  });
});
