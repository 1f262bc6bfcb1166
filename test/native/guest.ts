/**
 * The quick set without mocha, for an emulated machine, where every start of a compiler costs half a minute: guest.sh
 * compiles this on the host and runs it in the guest. Ends with 1 unless every scenario has a verdict and none is wrong.
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBatch, type Verdict } from './batch.ts';
import { helperTitle, startHelper } from './helper.ts';
import { project } from './compiled.ts';
import { startRecorder } from './recorder.ts';
import { allScenarios } from './scenarios.ts';
import { startWakes, wakesTitle } from './wakes.ts';

const results = process.env['KOALA_TEST_RESULTS'];

/** What is compiled for the guest is the tests alone: recordings are read by what koala-bpf itself is made of. */
async function eventsOf(dir: string): Promise<object[]> {
  const { openRecording } = await import(join(project, 'dist/index.js')) as { openRecording: (dir: string) => { events(): Iterable<object> } };
  return [...openRecording(dir).events()];
}

/** What is said of each that is wrong: said again at the end, which is what a log that is cut keeps. */
const wrong: string[] = [];
function say(probe: string, scenario: string, { verdict, problems, ms }: Omit<Verdict, 'ms'> & Partial<Verdict>, more = ''): void {
  const said = [`${verdict}${ms === undefined ? '' : ` (${ms} ms)`}: ${scenario}${more}`, ...problems.map((problem) => `    ${problem}`)];
  console.log(said.join('\n'));
  if (verdict === 'wrong') wrong.push(said.join('\n'));
  if (results !== undefined) appendFileSync(results, `${JSON.stringify({ kernel: release(), probe, scenario, verdict, problems, ms })}\n`);
}

/** By one recorder: to load its programs takes an emulated machine half a minute. */
async function helperAndWakes(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'koala-guest-'));
  const [helper, wakes] = [await startHelper(), await startWakes()];
  try {
    const recorder = await startRecorder(join(folder, 'rec'), ['--pid', String(helper.pid), '--pid', String(wakes.pid), '--wakeups', 'on']);
    await helper.send();
    await wakes.run();
    const { code } = await recorder.stop();
    const events = await eventsOf(recorder.dir);
    const { problems, sent, failed } = helper.judge(events);
    const ended = code === 0 ? [] : [`attach ended with ${code}: ${recorder.errors()}`];
    say(recorder.probe, helperTitle, judged([...problems, ...ended]), `: ${sent} sent, failed by errno ${JSON.stringify(failed)}`);
    say(recorder.probe, wakesTitle, judged([...wakes.judge(events), ...ended]));
  } finally {
    helper.end();
    wakes.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

const judged = (problems: readonly string[]): Omit<Verdict, 'ms'> => ({ verdict: problems.length === 0 ? 'recorded' : 'wrong', problems });

const scenarios = allScenarios();
const batch = await runBatch(scenarios, false);
for (const [number, scenario] of scenarios.entries()) say(batch.probe, scenario.title, batch.verdicts[number] ?? { verdict: 'wrong', problems: ['not run'], ms: 0 });
await helperAndWakes();
for (const again of wrong) console.log(again);
if (batch.code !== 0) console.log(`koala-bpf attach ended with ${batch.code}`);
console.log(`${scenarios.length + 2} scenarios, ${wrong.length} wrong, ${JSON.stringify(batch.summary)}`);
if (process.env['KOALA_TEST_KEEP'] === undefined) batch.remove();
process.exitCode = wrong.length > 0 || batch.code !== 0 || scenarios.length === 0 ? 1 : 0;
