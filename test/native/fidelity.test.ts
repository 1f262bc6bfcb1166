/**
 * Byte truth on this kernel: what was recorded of each scenario equals, byte for byte, what the two ends wrote down.
 * KOALA_TEST_PROBE names the backend, KOALA_TEST_SIZE=small the quick set, KOALA_TEST_ONLY a pattern of titles;
 * KOALA_TEST_RESULTS a file to which each verdict is appended as a JSON line {kernel, probe, scenario, verdict}.
 */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { release } from 'node:os';
import { runBatch, type Batch } from './batch.ts';
import { whyNoRecorder } from './recorder.ts';
import { allScenarios } from './scenarios.ts';
import { skipIf } from '../skip.ts';

describe(`recording byte for byte (${process.env['KOALA_TEST_PROBE'] ?? 'the backend that fits'})`, () => {
  const scenarios = allScenarios();
  let batch: Batch | undefined;

  before(async function () {
    this.timeout(3_600_000);
    skipIf(this, whyNoRecorder());
    batch = await runBatch(scenarios, false);
    const results = process.env['KOALA_TEST_RESULTS'];
    if (results === undefined) return;
    for (const [number, scenario] of scenarios.entries()) {
      const line = { kernel: release(), probe: batch.probe, scenario: scenario.title, ...batch.verdicts[number] };
      appendFileSync(results, `${JSON.stringify(line)}\n`);
    }
  });
  after(() => {
    if (process.env['KOALA_TEST_KEEP'] === undefined) batch?.remove();
    else console.log(`      kept: ${batch?.recording ?? ''}`);
  });

  it('ends with status 0 and a summary of what was lost', () => {
    assert.equal(batch?.code, 0);
    assert.equal(typeof batch?.summary?.lost.bytes, 'number');
    console.log(`      lost: ${JSON.stringify([batch?.summary?.lost, batch?.summary?.lostEvents])}`);
  });

  for (const [number, scenario] of scenarios.entries()) {
    it(scenario.title, function () {
      const result = batch?.verdicts[number];
      if (result?.verdict === 'skipped') {
        console.log(`      skipped, not on this kernel: ${result.problems.join('; ')}`);
        this.skip();
      }
      assert.deepEqual(result?.problems, []);
    });
  }
});
