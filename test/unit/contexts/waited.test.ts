import assert from 'node:assert/strict';
import { Waited } from '../../../src/contexts/waited.ts';

describe('who waits for a virtual thread of Java\'s', () => {
  it('is remembered for the last 65,536 that were told of', () => {
    const waited = new Waited();
    for (let thread = 1; thread <= 65_537; thread += 1) waited.told(thread, { parent: thread + 1, atUs: 7 });
    assert.deepEqual([waited.by(1), waited.by(2)], [undefined, { parent: 3, atUs: 7 }]);
  });
});
