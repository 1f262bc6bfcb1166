import assert from 'node:assert/strict';
import { NoiseLearner } from '../../../src/replay/learn-noise.ts';
import type { Difference, Replayed, ReplayedCall } from '../../../src/replay/replayed.ts';
import { verdictOfTwo } from '../../../src/replay/second-run.ts';

const changed = (path: string, recorded: unknown, live: unknown): Difference => ({ path, recorded, live, kind: 'changed' });

function run(differences: readonly Difference[], calls: readonly ReplayedCall[] = [], more: Partial<Replayed> = {}): Replayed {
  const same = differences.length === 0 && calls.every(({ verdict }) => verdict === 'same');
  return {
    event: 'session', session: 'aaaa', summary: 'GET /orders/7', verdict: same ? 'same' : 'different', durationMs: 1, ignored: 0, noise: [],
    response: { verdict: differences.length === 0 ? 'same' : 'different', differences }, calls, ...more,
  };
}

function call(verdict: ReplayedCall['verdict'], more: Partial<ReplayedCall> = {}): ReplayedCall {
  return { verdict, destination: '10.0.0.5:80', summary: 'GET /x', differences: [], recorded: 0, ...more };
}

const token = (live: string): Difference => changed('response.body.$.token', 'r', live);

describe('a second run of a session', () => {
  it('makes noise of a value that is another one each time, and counts it', () => {
    const { verdict, noise, ignored, response, flaky } = verdictOfTwo(run([token('a')]), run([token('b')]), false);
    assert.deepEqual([verdict, noise, ignored, response.verdict, response.differences, flaky], ['same', [{ path: 'response.body.$.token', rule: 'another value each time' }], 1, 'same', [], undefined]);
  });

  it('leaves a value that is the same in both runs a difference, beside one that is not', () => {
    const name = changed('response.body.$.name', 'old', 'new');
    const { verdict, response, flaky } = verdictOfTwo(run([token('a'), name]), run([token('b'), name]), false);
    assert.deepEqual([verdict, response.differences, flaky], ['different', [name], undefined]);
  });

  it('makes noise of a value that is as recorded the second time only', () => {
    assert.equal(verdictOfTwo(run([token('a')]), run([]), false).verdict, 'same');
  });

  it('never excuses a status, a type, what is added or removed, a statement: they stay, and are flaky where the second run differs', () => {
    const fixed: Difference[] = [changed('response.status', 200, 500), { path: 'response.body.$.a', recorded: 1, live: 'x', kind: 'type' },
      { path: 'response.body.$.a', live: 1, kind: 'added' }, { path: 'response.body.$.a', recorded: 1, kind: 'removed' }, changed('response.errors[0].C', '1', '2')];
    for (const one of fixed) {
      assert.deepEqual([verdictOfTwo(run([one]), run([one]), false).verdict, verdictOfTwo(run([one]), run([one]), false).flaky], ['different', undefined], one.path);
      const { verdict, flaky, response } = verdictOfTwo(run([one]), run([]), false);
      assert.deepEqual([verdict, flaky, response.differences], ['different', true, [one]], one.path);
    }
    assert.equal(verdictOfTwo(run([changed('response.status', 200, 500)]), run([changed('response.status', 200, 503)]), false).flaky, true);
  });

  it('never excuses a call that is missing, new or found by likeness', () => {
    for (const one of [call('missing'), call('new', { how: 'none' }), call('reordered', { how: 'exact' }), call('different', { how: 'similar', differences: [changed('calls[0].request.query.q', '1', '2')] })]) {
      const other = { ...one, differences: one.differences.map((difference) => ({ ...difference, live: '3' })) };
      assert.deepEqual([verdictOfTwo(run([], [one]), run([], [other]), false).verdict, verdictOfTwo(run([], [one]), run([], [other]), false).flaky], ['different', undefined], one.verdict);
      assert.equal(verdictOfTwo(run([], [one]), run([], []), false).flaky, true, one.verdict);
    }
  });

  it('differs when the second run differs in what the first did not', () => {
    const { verdict, flaky, reason } = verdictOfTwo(run([token('a')]), run([token('b'), changed('response.status', 200, 500)]), false);
    assert.deepEqual([verdict, flaky], ['different', true]);
    assert.match(reason ?? '', /response\.status/);
  });

  it('excuses nothing where its list of differences was cut short', () => {
    const second = run([token('b')]);
    assert.equal(verdictOfTwo(run([token('a')]), { ...second, response: { ...second.response, more: 7 } }, false).verdict, 'different');
  });

  it('that has no answer is flaky', () => {
    assert.equal(verdictOfTwo(run([token('a')]), run([], [], { verdict: 'error', reason: 'reset' }), false).flaky, true);
  });
});

describe('noise that is learnt', () => {
  it('is a rule for each value that differs by itself, of its endpoint, for all items; what is no value is told apart', () => {
    const learner = new NoiseLearner();
    const at = (n: number, live: string): Difference => changed(`response.body.$.items[${n}].at`, '2026-11-25T10:00:00Z', live);
    learner.add(run([token('a'), at(0, '2026-11-26T10:00:00Z'), changed('response.body.$.host', 'x', 'y'), changed('response.status', 200, 500)]),
      run([token('b'), at(0, '2026-11-26T10:00:01Z'), changed('response.body.$.host', 'x', 'y'), changed('response.status', 200, 500)]));
    learner.add(run([at(1, '2026-11-26T10:00:00Z')], [], { summary: 'GET /orders/8' }), run([at(1, '2026-11-26T10:00:02Z')], [], { summary: 'GET /orders/8' }));
    learner.add(run([token('a')], [call('missing')], { summary: 'POST /login' }), run([token('c')], [call('missing')], { summary: 'POST /login' }));
    const { rules, left } = learner.learnt;
    assert.deepEqual(rules, [
      { path: 'response.body.$.host', of: 'GET /orders/*', values: true, seen: 1, why: 'another value than recorded, the same in both runs' },
      { path: 'response.body.$.items[*].at', of: 'GET /orders/*', time: true, seen: 2, why: 'another value each time' },
      { path: 'response.body.$.token', of: 'GET /orders/*', values: true, seen: 1, why: 'another value each time' },
      { path: 'response.body.$.token', of: 'POST /login', values: true, seen: 1, why: 'another value each time' },
    ]);
    assert.deepEqual([...left], [['GET /orders/*: response.status', 1], ['POST /login: missing call GET /x', 1]]);
  });

  it('is nothing of a session that had no answer, which is told apart', () => {
    const learner = new NoiseLearner();
    learner.add(run([token('a')]), run([], [], { verdict: 'error', reason: 'reset' }));
    learner.failed(run([], [], { verdict: 'error', reason: 'refused' }));
    assert.deepEqual(learner.learnt.rules, []);
    assert.deepEqual([...learner.learnt.left], [['GET /orders/*: reset', 1], ['GET /orders/*: refused', 1]]);
  });
});
