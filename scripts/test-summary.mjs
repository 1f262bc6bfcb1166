// Adds up what scripts/test ran: `node scripts/test-summary.mjs DIR 'SUITE…'`. Reads DIR/SUITE.json (scripts/mocha-reporter.mjs)
// and DIR/SUITE.end.json ({suite, status, seconds}). Exit 1 if anything failed. A suite counts one failure more when it
// left no report, ran nothing, took too long, or broke after its last test; so does every skip that gave no reason.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const [dir = '.', names = ''] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const reasons = new Map();
const told = [];
const read = (name) => (existsSync(path.join(dir, name)) ? JSON.parse(readFileSync(path.join(dir, name), 'utf8')) : undefined);

/** What is kept of a failure: enough to know it again where only the end of the output is shown. */
const shownLines = 12;

console.log('\n== all');
for (const suite of names.split(' ').filter(Boolean)) {
  const report = read(`${suite}.json`);
  const { status = -1, seconds = 0 } = read(`${suite}.end.json`) ?? {};
  const { passed, failed, failures = [], skipped } = report ?? { passed: 0, failed: 0, skipped: [] };
  const faults = [];
  if (report === undefined) faults.push('it left no report');
  else if (passed + failed + skipped.length === 0) faults.push('it ran no test');
  if (status === 124 || status === 137) faults.push('it took too long');
  else if (status !== 0 && failed === 0 && report !== undefined) faults.push(`it ended with status ${status}`);
  for (const { title, reason } of skipped) {
    if (reason === 'no reason was printed') faults.push(`a skip without a reason: ${title}`);
    const key = `${suite}: ${reason}`;
    reasons.set(key, (reasons.get(key) ?? 0) + 1);
  }
  for (const { title, message } of failures) told.push(`failed   ${suite}: ${title}\n${message.split('\n').slice(0, shownLines).map((line) => `    ${line}`).join('\n')}`);
  total.passed += passed;
  total.failed += failed + faults.length;
  total.skipped += skipped.length;
  console.log(`${suite.padEnd(8)}${passed} passed, ${failed + faults.length} failed, ${skipped.length} skipped in ${seconds} s${faults.map((f) => `\n        ${f}`).join('')}`);
}
for (const failure of told) console.log(failure);
for (const [reason, count] of reasons) console.log(`skipped ${String(count).padStart(4)} × ${reason}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
