/**
 * Every test of test/vm/*.guest on every kernel that scripts/vm knows. KOALA_VM_ONLY limits the kernels ("5.10 7.2").
 * What each of them shows is kept for docs/kernels.md (scripts/kernel-table).
 */
import assert from 'node:assert/strict';
import { listed, reasonToSkip, vm } from './machine.ts';

const only = process.env['KOALA_VM_ONLY']?.split(/\s+/);

describe('matrix', function () {
  this.timeout(1_800_000);
  for (const series of listed('kernels').filter((name) => only === undefined || only.includes(name))) {
    for (const name of listed('tests', series)) {
      it(`passes ${name} on ${series}`, async function () {
        const run = await vm(['test', series, name]);
        const reason = reasonToSkip(run);
        if (reason !== undefined) {
          console.log(`      skipped: ${reason}`);
          this.skip();
        }
        assert.equal(run.status, 0, `status ${run.status}\n${run.stderr.slice(-4000)}\n${run.stdout.toString().slice(-4000)}`);
      });
    }
  }
});
