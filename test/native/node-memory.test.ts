/** Whose calls those of a Node program are, by V8's memory (`--read-memory node`), held against what the program says (programs/requests.mjs). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nodeOf } from '../e2e/services/node-releases.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';

const script = fileURLToPath(new URL('contexts.mjs', import.meta.url));
const program = fileURLToPath(new URL('programs/requests.mjs', import.meta.url));

describe('the memory of Node', function () {
  this.timeout(240_000);

  const found = (node: string, ...args: readonly string[]): { readonly calls: number; readonly tied: number; readonly right: number; readonly byContext: number; readonly problems: readonly string[] } => {
    const ran = spawnSync(process.execPath, [script, '/usr/bin/python3', 'auto', node, program, ...args], { encoding: 'utf8', timeout: 100_000, env: { ...process.env, KOALA_TEST_FLAGS: '--read-memory node' } });
    return JSON.parse(ran.stdout || `{"problems":[${JSON.stringify(ran.stderr.slice(-2_000))}]}`) as ReturnType<typeof found>;
  };

  for (const release of [undefined, 22, 24, 26] as const) {
    it(`tells whose each call is, of 16 requests at a time whose calls and answers say nothing of it (${release === undefined ? 'the installed one' : `Node ${release}`})`, async function () {
      skipIf(this, await whyNotRecordable());
      const had = release === undefined ? { node: process.execPath } : nodeOf(release);
      skipIf(this, 'why' in had ? had.why : undefined);
      if ('why' in had) return;
      const { byContext, ...rest } = found(had.node);
      assert.deepEqual(rest, { sessions: 64, calls: 320, tied: 320, right: 320, problems: [] });
      assert.ok(byContext >= 240, `${byContext} by its memory`);
    });
  }

  it('tells no call to be another\'s where several wait in a list, and their calls are written one by one into a corked socket', async function () {
    skipIf(this, await whyNotRecordable());
    const { calls, tied, right, byContext, problems } = found(process.execPath, 'listed');
    assert.deepEqual({ calls, problems, wrong: tied - right }, { calls: 320, problems: [], wrong: 0 });
    // All but those that are written with others: of which each is its list does not tell.
    assert.ok(right >= 256 && byContext >= 200, `${right} tied, ${byContext} by its memory`);
  });
});
