import assert from 'node:assert/strict';
import { CallBook, neverConnected, type Judge } from '../../../src/replay/calls.ts';
import { bytes, call, session } from './build.ts';

/** Equal but for case; as similar as their lengths. */
const judge: Judge = {
  equal: (a, b) => Buffer.from(a).toString().toLowerCase() === Buffer.from(b).toString().toLowerCase(),
  similarity: (a, b) => Math.min(a.length, b.length) / Math.max(a.length, b.length, 1),
};
const at = '10.0.0.5:80';

describe('the recorded calls of a session', () => {
  it('give equal requests their answers in recorded order, each once', () => {
    const calls = ['one', 'two', 'three'].map((response, index) => call({ to: at, request: 'next', response, atMs: index }));
    const book = new CallBook(session({ request: 'r', response: 'a', calls }), judge);
    const answers = [1, 2, 3].map(() => {
      const found = book.exact(at, bytes('next'));
      assert.ok(found);
      book.use(found);
      return Buffer.from(found.response).toString();
    });
    assert.deepEqual(answers, ['one', 'two', 'three']);
    assert.equal(book.exact(at, bytes('next')), undefined);
  });

  it('are found only at their own destination', () => {
    const book = new CallBook(session({ request: 'r', response: 'a', calls: [call({ to: at, request: 'x' })] }), judge);
    assert.equal(book.exact('10.0.0.6:80', bytes('x')), undefined);
    assert.equal(book.equal('10.0.0.6:80', bytes('X')), undefined);
    assert.equal(book.nearest('10.0.0.6:80', bytes('x')), undefined);
  });

  it('are found however the destination is written', () => {
    const book = new CallBook(session({ request: 'r', response: 'a', calls: [call({ to: '[::ffff:10.0.0.5]:80', request: 'x' })] }), judge);
    assert.equal(book.exact('10.0.0.5:80', bytes('x'))?.index, 0);
  });

  it('tell long requests apart that differ in one byte', () => {
    const long = 'x'.repeat(10_000);
    const book = new CallBook(session({ request: 'r', response: 'a', calls: [call({ to: at, request: `${long}1` })] }), judge);
    assert.equal(book.exact(at, bytes(`${long}2`)), undefined);
    assert.ok(book.exact(at, bytes(`${long}1`)));
  });

  it('are told apart by a value that looks made, among many that differ in nothing else, whatever order they are asked for in', () => {
    const ids = Array.from({ length: 50 }, (_, n) => `0000${String(n % 40).padStart(4, '0')}-3f61-4c2e-9d0a-5b1c7e8f9a0b`);
    const request = (id: string, rest: readonly string[]): string => `GET /items/${id} HTTP/1.1\r\n${rest.join('\r\n')}\r\n\r\n`;
    const head = ['Host: a', 'Accept: b'];
    for (const count of [3, 50]) {
      const book = new CallBook(session({ request: 'r', response: 'a', calls: ids.slice(0, count).map((id) => call({ to: at, protocol: 'http', request: request(id, head) })) }), judge);
      for (let n = count - 1; n >= 0; n -= 1) {
        // Ten ids come twice: these in recorded order.
        const wanted = n + 40 < count ? n + 40 : n >= 40 ? n - 40 : n;
        const live = bytes(request(ids[n] ?? '', [...head].reverse()));
        const found = book.equal(at, live);
        assert.equal(found?.index, wanted, `${n} of ${count}`);
        book.use(found as NonNullable<typeof found>);
        assert.ok(book.repeats(at, live), 'there is such a call, used or not');
      }
      assert.equal(book.equal(at, bytes(request(ids[1] ?? '', head))), undefined, 'all are used');
      assert.equal(book.repeats(at, bytes(request('00009999-3f61-4c2e-9d0a-5b1c7e8f9a0b', head))), false);
    }
  });

  it('prefer the most similar, and among equals the earliest', () => {
    const calls = ['ab', 'abcd', 'abce'].map((request) => call({ to: at, request }));
    const book = new CallBook(session({ request: 'r', response: 'a', calls }), judge);
    const found = book.nearest(at, bytes('abcx'));
    assert.equal(found?.call.index, 1);
    assert.equal(found.score, 1);
  });

  it('know when a request that is whole might still go on', () => {
    const book = new CallBook(session({ request: 'r', response: 'a', calls: [call({ to: at, request: 'ab' }), call({ to: at, request: 'abc' })] }), judge);
    assert.equal(book.goesOn(at, bytes('ab')), true);
    assert.equal(book.goesOn(at, bytes('abc')), false);
  });

  it('leave out connections that never came to be', () => {
    const refused = call({ to: at, end: { kind: 'refused', by: 'remote', errno: 111 } });
    assert.equal(neverConnected(refused), true);
    assert.deepEqual([...new CallBook(session({ request: 'r', response: 'a', calls: [refused] }), judge).unused], []);
  });
});
