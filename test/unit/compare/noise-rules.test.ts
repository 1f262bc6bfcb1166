import assert from 'node:assert/strict';
import { compareTalk, NoiseRules, parseNoise, type NoiseRule, type TalkComparison } from '../../../src/compare/index.ts';
import { UserError } from '../../../src/errors.ts';

const request = Buffer.from('GET /orders/7 HTTP/1.1\r\nHost: x\r\n\r\n');
const answer = (body: unknown): Buffer => {
  const text = JSON.stringify(body);
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
};
const compared = (rules: readonly NoiseRule[], recorded: unknown, live: unknown, summary = 'GET /orders/7'): TalkComparison =>
  compareTalk({ request, response: answer(recorded) }, { request, response: answer(live) }, 'http', new NoiseRules(rules).for(summary));
const left = (...args: Parameters<typeof compared>): string[] => compared(...args).differences.map(({ path, kind }) => `${kind} ${path}`);

describe('noise that a user declares', () => {
  it('is what its path names and what lies beneath, and nothing beside it', () => {
    const [a, b] = [{ at: 1, meta: { by: 'x', n: [1] }, 'odd key': 1, items: [{ at: 1, v: 1 }, { at: 2, v: 2 }] }, { at: 2, meta: { by: 'y', n: [2] }, 'odd key': 2, items: [{ at: 8, v: 1 }, { at: 9, v: 3 }] }];
    const all = ['changed response.body.$.at', 'changed response.body.$.meta.by', 'changed response.body.$.meta.n[0]', 'changed response.body.$["odd key"]',
      'changed response.body.$.items[0].at', 'changed response.body.$.items[1].at', 'changed response.body.$.items[1].v'];
    const without = (...gone: string[]): string[] => all.filter((one) => !gone.includes(one.replace(/^changed response\.body\.\$/, '')));
    assert.deepEqual(left([], a, b), all);
    assert.deepEqual(left([{ path: 'response.body.$.at' }], a, b), without('.at'));
    assert.deepEqual(left([{ path: 'response.body.$.meta' }], a, b), without('.meta.by', '.meta.n[0]'));
    assert.deepEqual(left([{ path: 'response.body.$["odd key"]' }], a, b), without('["odd key"]'));
    assert.deepEqual(left([{ path: 'response.body.$.items[*].at' }], a, b), without('.items[0].at', '.items[1].at'));
    assert.deepEqual(left([{ path: 'response.body.$.items[1]' }], a, b), without('.items[1].at', '.items[1].v'));
    assert.deepEqual(left([{ path: 'response.body.$..at' }], a, b), without('.at', '.items[0].at', '.items[1].at'));
    assert.deepEqual(left([{ path: 'response.body.$.*.by' }], a, b), without('.meta.by'));
    assert.deepEqual(left([{ path: 'response.body.$.a' }], a, b), all, 'at is not beneath a');
    assert.equal(compared([{ path: 'response.body.$.at' }], a, b).noise[0]?.rule, 'ignored at response.body.$.at');
  });

  it('holds only for the sessions that it names', () => {
    const rules = [{ path: 'response.body.$.at', of: 'GET /orders/*' }];
    assert.deepEqual(left(rules, { at: 1 }, { at: 2 }), []);
    assert.deepEqual(left(rules, { at: 1 }, { at: 2 }, 'GET /users/7').length, 1);
    assert.deepEqual(left(rules, { at: 1 }, { at: 2 }, 'POST GET /orders/7').length, 1);
  });

  it('of values only is never a type, nor whether it is there', () => {
    const rules = [{ path: 'response.body.$.at', values: true }];
    assert.deepEqual(left(rules, { at: 'x' }, { at: 'y' }), []);
    for (const live of [{ at: 7 }, {}, { at: null }]) assert.equal(left(rules, { at: 'x' }, live).length, 1);
  });

  it('compares lists by key, or in any order, and finds what is really another', () => {
    const by = [{ path: 'response.body.$', list: { key: 'id' } }];
    assert.deepEqual(left(by, [{ id: 1, v: 1 }, { id: 2, v: 2 }], [{ id: 2, v: 2 }, { id: 1, v: 9 }]), ['changed response.body.$[0].v']);
    assert.deepEqual(left(by, [{ id: 1 }, { id: 2 }], [{ id: 2 }, { id: 3 }]), ['removed response.body.$[0]', 'added response.body.$[1]']);
    const any = [{ path: 'response.body.$', list: 'unordered' as const }];
    assert.deepEqual(left(any, [3, 1, 2], [1, 2, 3]), []);
    assert.equal(compared(any, [3, 1, 2], [1, 2, 3]).ignored, 1, 'and it is counted');
    assert.deepEqual(left(any, [1, 1, 2], [1, 2, 2]), ['removed response.body.$[1]', 'added response.body.$[2]']);
  });

  it('is a number within a tolerance, or a time for a time', () => {
    const near = [{ path: 'response.body.$.n', tolerance: 0.5 }];
    assert.deepEqual(left(near, { n: 1 }, { n: 1.5 }), []);
    assert.equal(left(near, { n: 1 }, { n: 1.6 }).length, 1);
    const time = [{ path: 'response.body.$.t', time: true }];
    assert.deepEqual(left(time, { t: '2026-11-25T10:00:00Z' }, { t: 1_795_600_000 }), []);
    assert.equal(left(time, { t: '2026-11-25T10:00:00Z' }, { t: 'yesterday' }).length, 1);
  });

  it('asks the live value to match a pattern, a type or a range, and says so apart', () => {
    const pattern = [{ path: 'response.body.$.a', pattern: '^ord-\\d+$' }];
    assert.deepEqual(left(pattern, { a: 'ord-1' }, { a: 'ord-22' }), []);
    assert.equal(left(pattern, { a: 'ord-1' }, { a: 'ord-x' }).length, 1);
    assert.match(compared(pattern, { a: 'ord-1' }, { a: 'ord-2' }).noise[0]?.rule ?? '', /^as asked: matches/);
    const type = [{ path: 'response.body.$.a', type: 'number' as const }];
    assert.deepEqual(left(type, { a: 'x' }, { a: 1 }), []);
    assert.equal(left(type, { a: 'x' }, { a: 'y' }).length, 1);
    const range = [{ path: 'response.body.$.a', range: [1, 5] as const }];
    assert.deepEqual(left(range, { a: 9 }, { a: 5 }), []);
    assert.equal(left(range, { a: 9 }, { a: 6 }).length, 1);
  });

  it('is read from a file, which says what is wrong with it', () => {
    const file = (rules: unknown): string => JSON.stringify({ format: 'koala-bpf/noise@1', rules });
    assert.deepEqual(parseNoise(file([{ path: 'response.body.$.a', why: 'x' }]), 'f'), [{ path: 'response.body.$.a', why: 'x' }]);
    const bad: [string, RegExp][] = [['{', /Cannot read f: it is not JSON/], ['{}', /expected/], [file([{ path: 'a b' }]), /rule 1: "a b" is no path/], [file([{ path: 'response', rang: 1 }]), /"rang" is no field/],
      [file([{ path: 'response', pattern: '(' }]), /no regular expression/], [file([{ path: 'response', list: 7 }]), /list is/], [file([{ path: 'response', range: [1] }]), /range is/]];
    for (const [text, message] of bad) assert.throws(() => parseNoise(text, 'f'), (error) => error instanceof UserError && message.test(error.message), text);
  });
});
