/**
 * The quick set without mocha, for an emulated machine, where every start of a compiler costs half a minute: guest.sh
 * compiles this on the host and runs it in the guest. Ends with 1 unless every scenario has a verdict and none is wrong.
 */
import { appendFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { runBatch, type Verdict } from './batch.ts';
import { helperTitle, startHelper } from './helper.ts';
import { project } from './compiled.ts';
import { allScenarios } from './scenarios.ts';
import { startWakes, wakesTitle } from './wakes.ts';

const results = process.env['KOALA_TEST_RESULTS'];

/** What is compiled for the guest is the tests alone: recordings are read by what koala-bpf itself is made of. */
async function eventsOf(dir: string, kinds: ReadonlySet<string>): Promise<object[]> {
  const { openRecording } = await import(join(project, 'dist/index.js')) as { openRecording: (dir: string) => { events(): Iterable<{ readonly kind: string }> } };
  const found: object[] = [];
  for (const event of openRecording(dir).events()) if (kinds.has(event.kind)) found.push(event);
  return found;
}

/** What is said of each that is wrong: said again at the end, which is what a log that is cut keeps. */
const wrong: string[] = [];
function say(probe: string, scenario: string, { verdict, problems, ms }: Omit<Verdict, 'ms'> & Partial<Verdict>, more = ''): void {
  const said = [`${verdict}${ms === undefined ? '' : ` (${ms} ms)`}: ${scenario}${more}`, ...problems.map((problem) => `    ${problem}`)];
  console.log(said.join('\n'));
  if (verdict === 'wrong') wrong.push(said.join('\n'));
  if (results !== undefined) appendFileSync(results, `${JSON.stringify({ kernel: release(), probe, scenario, verdict, problems, ms })}\n`);
}

const judged = (problems: readonly string[]): Omit<Verdict, 'ms'> => ({ verdict: problems.length === 0 ? 'recorded' : 'wrong', problems });

const scenarios = allScenarios();
const [helper, wakes] = [await startHelper(), await startWakes()];
const batch = await runBatch(scenarios, false, {
  // By the same recorder: to load its programs takes an emulated machine half a minute.
  pids: [helper.pid, wakes.pid],
  flags: ['--wakeups', 'on', '--read-memory', 'none'],
  run: async () => { await helper.send(); await wakes.run(); },
});
helper.end();
wakes.end();
for (const [number, scenario] of scenarios.entries()) say(batch.probe, scenario.title, batch.verdicts[number] ?? { verdict: 'wrong', problems: ['not run'], ms: 0 });
const events = await eventsOf(batch.recording, new Set(['helper', 'wake']));
const { problems, sent, failed } = helper.judge(events);
say(batch.probe, helperTitle, judged(problems), `: ${sent} sent, failed by errno ${JSON.stringify(failed)}`);
say(batch.probe, wakesTitle, judged(wakes.judge(events)));
for (const again of wrong) console.log(again);
if (batch.code !== 0) console.log(`koala-bpf attach ended with ${batch.code}`);
console.log(`${scenarios.length + 2} scenarios, ${wrong.length} wrong, ${JSON.stringify(batch.summary)}`);
if (process.env['KOALA_TEST_KEEP'] === undefined) batch.remove();
process.exitCode = wrong.length > 0 || batch.code !== 0 || scenarios.length === 0 ? 1 : 0;
