import assert from 'node:assert/strict';
import { Marks } from '../../../src/record/marks.ts';

/** A recorder that looks every 20 ms, and to which `eventsAtMs` happen. When it made marks. */
function marksOf(eventsAtMs: readonly number[], untilMs: number): number[] {
  const marks = new Marks();
  const made: number[] = [];
  let left = eventsAtMs;
  let events = 0;
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 20) {
    while (left[0] !== undefined && left[0] <= nowMs) {
      left = left.slice(1);
      events += 1;
    }
    if (!marks.due(events, nowMs)) continue;
    made.push(nowMs);
    events += 1;
    marks.made(events);
  }
  return made;
}

describe('when a recording says that time has passed', () => {
  it('does so a few times after what was written last, and then no more', () => {
    assert.deepEqual(marksOf([500], 3_600_000), [1_500, 3_500, 9_500]);
  });

  it('begins anew when something is written', () => {
    assert.deepEqual(marksOf([500, 5_000], 20_000), [1_500, 3_500, 6_000, 8_000, 14_000]);
  });

  it('says nothing while something is written at least once a second', () => {
    assert.deepEqual(marksOf(Array.from({ length: 100 }, (_, n) => n * 980), 98_000), []);
  });
});
