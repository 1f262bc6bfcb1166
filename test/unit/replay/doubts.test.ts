import assert from 'node:assert/strict';
import { Doubts, type Finished } from '../../../src/replay/doubts.ts';

const finished = (number: number, began: number, ended: number, more: Partial<Finished> = {}): Finished =>
  ({ number, began, ended, differs: false, unproven: true, ...more });

function decided(all: readonly Finished[], oldest = Infinity): { sure: readonly number[]; again: readonly number[] } {
  const doubts = new Doubts();
  for (const one of all) doubts.add(one);
  return doubts.decide(oldest);
}

describe('doubts', () => {
  it('are none where nothing differs', () => {
    assert.deepEqual(decided([finished(1, 1, 3), finished(2, 2, 4)]), { sure: [1, 2], again: [] });
  });

  it('are none of a session that was in play alone, or with others whose calls were proven', () => {
    assert.deepEqual(decided([finished(1, 1, 2, { differs: true }), finished(2, 3, 4)]).again, []);
    assert.deepEqual(decided([finished(1, 1, 3, { differs: true, unproven: false }), finished(2, 2, 4, { unproven: false })]).again, []);
  });

  it('concern all that were in play with one that differs and had calls that were not proven', () => {
    const all = [
      finished(1, 1, 3, { differs: true, unproven: false }), finished(2, 2, 5), finished(3, 4, 6, { unproven: false }), finished(4, 7, 8),
    ];
    assert.deepEqual(decided(all), { sure: [3, 4], again: [1, 2] }, 'what 2 got may have been 1\'s; 3 is proven; 4 came later');
  });

  it('wait until all that overlap have ended', () => {
    const doubts = new Doubts();
    doubts.add(finished(1, 1, 3));
    assert.deepEqual(doubts.decide(2), { sure: [], again: [] }, 'one that began at 2 is in play');
    doubts.add(finished(2, 2, 4, { differs: true }));
    assert.deepEqual(doubts.decide(5), { sure: [], again: [1, 2] });
    assert.deepEqual(doubts.decide(9), { sure: [], again: [] }, 'each is decided once');
  });

  it('reach one that is decided later than what it overlaps', () => {
    const doubts = new Doubts();
    doubts.add(finished(1, 2, 3, { differs: true }));
    doubts.add(finished(3, 6, 7));
    assert.deepEqual(doubts.decide(1), { sure: [], again: [] });
    doubts.add(finished(0, 1, 8));
    assert.deepEqual(doubts.decide(9), { sure: [3], again: [1, 0] });
  });
});
