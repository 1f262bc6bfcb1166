import assert from 'node:assert/strict';
import { commonness, wordsOf } from '../../../src/contexts/words.ts';

describe('words', () => {
  it('are ids with their parts, numbers from three digits on without zeros in front, and names, in lower case', () => {
    assert.deepEqual([...wordsOf('GET /Orders/rid-0aB1?n=007&m=0042&k=12 by Mia')], ['orders', 'rid-0ab1', '0ab1']);
    assert.deepEqual([...wordsOf('00481216 550e8400-e29b-41d4-a716-446655440000 Müller'.normalize())], ['481216', '550e8400-e29b-41d4-a716-446655440000', 'müller']);
  });

  it('are no more than 128 of a text, and of a long one its end', () => {
    assert.equal(wordsOf(Array.from({ length: 1_000 }, (_, n) => 10_000 + n).join(' ')).size, 128);
    assert.deepEqual([...wordsOf('a'.repeat(1_000))], ['a'.repeat(48)]);
  });

  it('are the less common the more they can tell apart', () => {
    const shares = ['orders', '123', 'k7f3', 'k7f3aa', '1234567', '550e8400-e29b'].map(commonness);
    assert.deepEqual(shares, [...shares].sort((a, b) => b - a));
    assert.ok((shares[0] as number) < 1 && (shares.at(-1) as number) > 0);
  });
});
