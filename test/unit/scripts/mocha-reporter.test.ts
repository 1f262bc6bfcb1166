import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../../..');

describe('the reporter of scripts/test', function () {
  this.timeout(60_000);

  it('does not wait for what a failed test left running', () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'koala-reporter-'));
    try {
      const file = path.join(dir, 'left.cjs');
      writeFileSync(file, "it('leaves a timer', () => { setInterval(() => undefined, 1000); throw new Error('wrong'); });");
      const run = spawnSync(path.join(root, 'node_modules/.bin/mocha'), ['--no-config', '--reporter', path.join(root, 'scripts/mocha-reporter.mjs'), file],
        { encoding: 'utf8', timeout: 50_000, cwd: root });
      assert.equal(run.status, 1, run.stderr);
      assert.match(run.stdout, /1 failing/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
