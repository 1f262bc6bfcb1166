import assert from 'node:assert/strict';
import { Oldest } from '../../../src/contexts/oldest.ts';

describe('the oldest entry of a map', () => {
  it('is the one that was put in first of those that are left, also when it was put in again', () => {
    const map = new Map(['a', 'b', 'c', 'd'].map((name) => [name, name]));
    const oldest = new Oldest(map);
    assert.equal(oldest.next(), 'a');
    map.delete('a');
    map.set('a', 'a');
    map.delete('b');
    assert.equal(oldest.next(), 'c');
    map.delete('c');
    map.set('e', 'e');
    assert.deepEqual([oldest.next(), oldest.next(), oldest.next()], ['d', 'a', 'e']);
    map.clear();
    assert.equal(oldest.next(), undefined);
    map.set('f', 'f');
    assert.equal(oldest.next(), 'f');
  });

  it('is found at no more cost where many were removed before it', () => {
    const timeOf = (kept: number): number => {
      const map = new Map<number, number>();
      const oldest = new Oldest(map);
      const since = process.cpuUsage();
      for (let number = 0; number < 300_000; number++) {
        map.set(number, number);
        if (map.size > kept) map.delete(oldest.next()!);
      }
      const { user, system } = process.cpuUsage(since);
      return user + system;
    };
    timeOf(100);
    const [few, many] = [timeOf(100), timeOf(100_000)];
    assert.ok(many < 20 * few, `${many} µs with many, ${few} with few`); // from the map's beginning each time: some thousand times
  });
});
