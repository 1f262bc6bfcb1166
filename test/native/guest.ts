/**
 * The quick set without mocha, for an emulated machine, where every start of a compiler costs half a minute: guest.sh
 * compiles this on the host and runs it in the guest. Ends with 1 unless every scenario has a verdict and none is wrong.
 */
import { appendFileSync } from 'node:fs';
import { release } from 'node:os';
import { runBatch } from './batch.ts';
import { join } from 'node:path';
import { helperTitle, runHelper } from './helper.ts';
import { project } from './mover.ts';
import { allScenarios } from './scenarios.ts';
import { runWakes, wakesTitle } from './wakes.ts';

/** What is compiled for the guest is the tests alone: recordings are read by what koala-bpf itself is made of. */
async function readRecordings(): Promise<Parameters<typeof runHelper>[0]> {
  const { openRecording } = await import(join(project, 'dist/index.js')) as { openRecording: (dir: string) => { events(): ReturnType<Parameters<typeof runHelper>[0]> } };
  return (dir) => [...openRecording(dir).events()];
}

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
const eventsOf = await readRecordings();
const told = await runHelper(eventsOf);
const helper = { verdict: told.problems.length === 0 ? 'recorded' : 'wrong', problems: told.problems };
if (told.problems.length > 0) wrong++;
console.log(`${helper.verdict}: ${helperTitle}: ${told.sent} sent, failed by errno ${JSON.stringify(told.failed)}`);
for (const problem of told.problems) console.log(`    ${problem}`);
if (process.env['KOALA_TEST_RESULTS'] !== undefined) {
  appendFileSync(process.env['KOALA_TEST_RESULTS'], `${JSON.stringify({ kernel: release(), probe: told.probe, scenario: helperTitle, ...helper })}\n`);
}
const wakes = await runWakes(eventsOf);
if (wakes.problems.length > 0) wrong++;
console.log(`${wakes.problems.length === 0 ? 'recorded' : 'wrong'}: ${wakesTitle}`);
for (const problem of wakes.problems) console.log(`    ${problem}`);
if (process.env['KOALA_TEST_RESULTS'] !== undefined) {
  appendFileSync(process.env['KOALA_TEST_RESULTS'], `${JSON.stringify({ kernel: release(), probe: wakes.probe, scenario: wakesTitle, verdict: wakes.problems.length === 0 ? 'recorded' : 'wrong', problems: wakes.problems })}\n`);
}
if (batch.code !== 0) console.log(`koala-bpf attach ended with ${batch.code}`);
console.log(`${scenarios.length + 2} scenarios, ${wrong} wrong, ${JSON.stringify(batch.summary)}`);
if (process.env['KOALA_TEST_KEEP'] === undefined) batch.remove();
process.exitCode = wrong > 0 || batch.code !== 0 || scenarios.length === 0 ? 1 : 0;
