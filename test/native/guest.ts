/**
 * The quick set without mocha, for an emulated machine, where every start of a compiler costs half a minute: guest.sh
 * compiles this on the host and runs it in the guest. Ends with 1 unless every scenario has a verdict and none is wrong.
 */
import { appendFileSync } from 'node:fs';
import { release } from 'node:os';
import { runBatch } from './batch.ts';
import { allScenarios } from './scenarios.ts';

const scenarios = allScenarios();
const batch = await runBatch(scenarios, false);
let wrong = 0;
for (const [number, scenario] of scenarios.entries()) {
  const { verdict, problems, ms } = batch.verdicts[number] ?? { verdict: 'wrong', problems: ['not run'], ms: 0 };
  if (verdict === 'wrong') wrong++;
  console.log(`${verdict} (${ms} ms): ${scenario.title}`);
  for (const problem of problems) console.log(`    ${problem}`);
  const results = process.env['KOALA_TEST_RESULTS'];
  if (results === undefined) continue;
  appendFileSync(results, `${JSON.stringify({ kernel: release(), probe: batch.probe, scenario: scenario.title, verdict, problems, ms })}\n`);
}
if (batch.code !== 0) console.log(`koala-bpf attach ended with ${batch.code}`);
console.log(`${scenarios.length} scenarios, ${wrong} wrong, ${JSON.stringify(batch.summary)}`);
if (process.env['KOALA_TEST_KEEP'] === undefined) batch.remove();
process.exitCode = wrong > 0 || batch.code !== 0 || scenarios.length === 0 ? 1 : 0;
