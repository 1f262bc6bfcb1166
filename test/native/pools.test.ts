/** Whose calls those of a Node program are, by its memory (bpf/node.bpf.c), held against what the program says (programs/pools.mjs). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readNodeFile } from '../../src/kernel/node/executable.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';

const script = fileURLToPath(new URL('contexts.mjs', import.meta.url));
const pools = fileURLToPath(new URL('programs/pools.mjs', import.meta.url));

/** Why its memory can't be read. */
function whyUnknown(): string | undefined {
  const file = readNodeFile(process.execPath);
  return file !== undefined && 'types' in file ? undefined : `this Node's V8 is not known (${process.versions.v8})`;
}

describe('the memory of Node programs', function () {
  this.timeout(120_000);

  it('tells whose each call is, of 16 requests at a time whose calls are written in the wake of each other and say nothing of it', async function () {
    skipIf(this, await whyNotRecordable() ?? whyUnknown());
    const ran = spawnSync(process.execPath, [script, '/usr/bin/python3', 'auto', process.execPath, pools], {
      encoding: 'utf8', timeout: 100_000, env: { ...process.env, KOALA_TEST_FLAGS: '--read-memory node' },
    });
    const { byContext, ...found } = JSON.parse(ran.stdout || `{"problems":[${JSON.stringify(ran.stderr.slice(-2_000))}]}`) as { byContext: number };
    assert.deepEqual(found, { sessions: 64, calls: 320, tied: 320, right: 320, problems: [] });
    assert.ok(byContext >= 160, `${byContext} by the memory`);
  });
});
