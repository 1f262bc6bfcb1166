import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const script = path.resolve(import.meta.dirname, '../../../scripts/test-summary.mjs');

/** Runs the summary over what suites left behind; undefined: no report. */
function summary(suites: Record<string, { report?: object; status: number }>): { lines: string[]; status: number | null } {
  const dir = mkdtempSync(path.join(tmpdir(), 'koala-summary-'));
  try {
    for (const [name, { report, status }] of Object.entries(suites)) {
      if (report !== undefined) writeFileSync(path.join(dir, `${name}.json`), JSON.stringify(report));
      writeFileSync(path.join(dir, `${name}.end.json`), JSON.stringify({ suite: name, status, seconds: 1 }));
    }
    const run = spawnSync(process.execPath, [script, dir, Object.keys(suites).join(' ')], { encoding: 'utf8' });
    return { lines: run.stdout.trimEnd().split('\n'), status: run.status };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

describe('the closing line of scripts/test', () => {
  it('adds the suites up, stands last and alone, and every reason for a skip stands above it', () => {
    const skip = { title: 'a b', reason: 'needs root' };
    const { lines, status } = summary({
      unit: { report: { passed: 3, failed: 0, skipped: [] }, status: 0 },
      vm: { report: { passed: 1, failed: 0, skipped: [skip, skip] }, status: 0 },
    });
    assert.equal(lines.at(-1), '4 passed, 0 failed, 2 skipped');
    assert.equal(lines.at(-2), 'skipped    2 × vm: needs root');
    assert.equal(status, 0);
  });

  it('says again at the end what failed and how, for those who see only the end', () => {
    const failures = [{ title: 'a loss is declared', message: `Error: 3 !== 4\n${'    at x\n'.repeat(50)}` }];
    const { lines } = summary({ native: { report: { passed: 3, failed: 1, failures, skipped: [] }, status: 1 } });
    const at = lines.indexOf('failed   native: a loss is declared');
    assert.equal(lines[at + 1], '    Error: 3 !== 4');
    assert.ok(at > 0 && lines.length - at < 20, lines.join('\n'));
    assert.equal(lines.at(-1), '3 passed, 1 failed, 0 skipped');
  });

  const cases: [string, Parameters<typeof summary>[0], string][] = [
    ['a failed test', { unit: { report: { passed: 3, failed: 1, skipped: [] }, status: 1 } }, '3 passed, 1 failed, 0 skipped'],
    ['a suite that ran no test', { unit: { report: { passed: 0, failed: 0, skipped: [] }, status: 0 } }, '0 passed, 1 failed, 0 skipped'],
    ['a suite that left no report', { unit: { status: 1 } }, '0 passed, 1 failed, 0 skipped'],
    ['a suite that hung after its last test', { e2e: { report: { passed: 9, failed: 0, skipped: [] }, status: 124 } }, '9 passed, 1 failed, 0 skipped'],
    ['a suite that broke after its last test', { e2e: { report: { passed: 9, failed: 0, skipped: [] }, status: 7 } }, '9 passed, 1 failed, 0 skipped'],
    [
      'a skip that gives no reason',
      { e2e: { report: { passed: 9, failed: 0, skipped: [{ title: 'x', reason: 'no reason was printed' }] }, status: 0 } },
      '9 passed, 1 failed, 1 skipped',
    ],
  ];
  for (const [what, suites, closing] of cases) {
    it(`counts ${what} as a failure`, () => {
      const { lines, status } = summary(suites);
      assert.equal(lines.at(-1), closing);
      assert.equal(status, 1);
    });
  }
});
