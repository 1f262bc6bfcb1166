/** The comparison itself: it must see what is wrong, or the fidelity tests could not fail. */
import assert from 'node:assert/strict';
import { forgiveOne, type Verdict } from './batch.ts';
import type { AccountHalf } from './recorder.ts';
import { streamHash } from './stream.ts';
import { streamProblems, type StreamTruth } from './verdict.ts';

describe('the verdict on a recorded stream', () => {
  const truth: StreamTruth = { bytes: 1000, seed: 5, from: 0, mayMiss: ['splice'], missing: undefined };
  const right: AccountHalf = { from: 0, bytes: 1000, sha256: streamHash(5, 0, 1000), gaps: [] };
  const hole = { from: 100, bytes: 50, cause: 'splice' };
  const holed: AccountHalf = { from: 0, bytes: 950, sha256: streamHash(5, 0, 1000, [hole]), gaps: [hole] };

  const wrongs: readonly [string, AccountHalf, StreamTruth][] = [
    ['one byte too few', { ...right, bytes: 999, sha256: streamHash(5, 0, 999) }, truth],
    ['one byte too many', { ...right, bytes: 1001, sha256: streamHash(5, 0, 1001) }, truth],
    ['other bytes', { ...right, sha256: streamHash(6, 0, 1000) }, truth],
    ['a gap for another cause', { ...holed, gaps: [{ ...hole, cause: 'ring-full' }] }, truth],
    ['a gap at another place', { ...holed, gaps: [{ ...hole, from: 101 }] }, truth],
    ['a gap of another size', { ...holed, gaps: [{ ...hole, bytes: 49 }] }, truth],
    ['another first position', { ...right, from: 1, bytes: 999, sha256: streamHash(5, 1, 1000) }, truth],
    ['bytes before a known first position', right, { ...truth, from: 10 }],
    ['less missing than was thrown away', holed, { ...truth, missing: 51 }],
  ];
  for (const [what, account, of] of wrongs) {
    it(`is wrong for ${what}`, () => assert.notDeepEqual(streamProblems('x', account, of), []));
  }

  it('is right for every byte', () => assert.deepEqual(streamProblems('x', right, truth), []));
  it('is right for a declared gap and the bytes around it', () => assert.deepEqual(streamProblems('x', holed, truth), []));
  it('is right from a first position on', () => {
    const late = { from: 10, bytes: 990, sha256: streamHash(5, 10, 1000), gaps: [] };
    assert.deepEqual(streamProblems('x', late, { ...truth, from: 10 }), []);
  });
});

describe('the verdicts on a batch of which the kernel skipped some', () => {
  const verdicts = (...all: readonly Verdict['verdict'][]): Verdict[] => all.map((verdict) => ({ verdict, problems: verdict === 'wrong' ? ['x'] : [], ms: 1 }));

  it('forgive one scenario what it declares', () => {
    assert.deepEqual(forgiveOne(verdicts('recorded', 'wrong', 'declared'), verdicts('recorded', 'declared', 'declared')), verdicts('recorded', 'declared', 'declared'));
  });

  it('forgive none where there are two', () => {
    const strictly = verdicts('wrong', 'recorded', 'wrong');
    assert.deepEqual(forgiveOne(strictly, verdicts('declared', 'recorded', 'declared')), strictly);
  });

  it('leave wrong what is not declared, also beside one that is forgiven', () => {
    assert.deepEqual(forgiveOne(verdicts('wrong', 'wrong'), verdicts('wrong', 'declared')), verdicts('wrong', 'declared'));
  });
});
