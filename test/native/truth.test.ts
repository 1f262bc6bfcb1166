/** The tool's own truth: without any recorder the two ends' books agree, for every scenario. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { runBatch, type Batch } from './batch.ts';
import { allScenarios } from './scenarios.ts';
import { streamBytes, streamHash } from './stream.ts';

describe('mover, without a recorder', () => {
  const scenarios = allScenarios();
  let batch: Batch;

  before(async function () {
    this.timeout(900_000);
    batch = await runBatch(scenarios, true);
  });
  after(() => {
    for (const [number, { ms }] of batch.verdicts.entries()) {
      if (ms > 5000) console.log(`      ${ms} ms: ${scenarios[number]?.title ?? ''}`);
    }
    batch.remove();
  });

  for (const [number, scenario] of scenarios.entries()) {
    it(`agrees with its peer: ${scenario.title}`, function () {
      const { verdict, problems } = batch.verdicts[number] ?? { verdict: 'wrong', problems: ['not run'], ms: 0 };
      if (verdict === 'skipped') {
        console.log(`      skipped: ${problems.join('; ')}`);
        this.skip();
      }
      assert.deepEqual(problems, []);
    });
  }
});

describe('the stream of a seed', () => {
  it('is the same whether made at once or in parts cut anywhere', () => {
    const whole = streamBytes(7, 0, 50);
    for (let cut = 0; cut <= 50; cut++) {
      assert.deepEqual(Buffer.concat([streamBytes(7, 0, cut), streamBytes(7, cut, 50)]), whole);
    }
  });

  it('has a hash that leaves holes out', () => {
    const bytes = streamBytes(9, 0, 100);
    const kept = Buffer.concat([bytes.subarray(10, 20), bytes.subarray(25, 90)]);
    const expected = createHash('sha256').update(kept).digest('hex');
    assert.equal(streamHash(9, 10, 90, [{ from: 20, bytes: 5 }]), expected);
  });
});
