/** kill -9 of the recorder at random moments under load: the service notices nothing, the recording reads, its loss is stated. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killTree } from './process.ts';
import { connections, jsonLines, small, startRecorder, whyNoRecorder, within } from './recorder.ts';
import { certificateProblems, prefixProblems, startLoad } from './turns.ts';
import { skipIf } from '../skip.ts';

const times = small ? 4 : 20;

describe(`kill -9 of the recorder under load, ${times} times`, function () {
  this.timeout(300_000);

  before(function () {
    skipIf(this, whyNoRecorder());
  });

  for (let turn = 1; turn <= times; turn++) {
    // From at once to well into the load, spread evenly with a random part.
    const afterMs = Math.round((turn - 1 + Math.random()) * (small ? 300 : 40));
    it(`harms nobody and leaves a readable recording that states its end (${turn} of ${times})`, async () => {
      console.log(`      killed after ${afterMs} ms`);
      const folder = mkdtempSync(join(tmpdir(), 'koala-crash-'));
      const dir = join(folder, 'recording');
      const load = await startLoad(folder, 32, small ? 30 : 120, 8);
      try {
        const recorder = await startRecorder(dir, ['--pid', String(load.service.pid)]);
        const running = load.run();
        await sleep(afterMs);
        killTree(recorder.pid);
        assert.equal(await within(recorder.ended, 10_000, 'it did not die'), 'SIGKILL');
        assert.deepEqual(await running, [], 'the service was harmed');

        const accounts = await connections(dir);
        assert.deepEqual(prefixProblems(accounts, load).slice(0, 5), []);
        const moved = new Map(load.pairs().map(([service]) => [`${service.local} ${service.remote}`, service]));
        for (const account of accounts) {
          const service = moved.get(`${account.local} ${account.remote}`);
          if (service === undefined || account.end !== 'fin') continue;
          const whole = account.ingress.bytes + account.ingress.gaps.reduce((sum, gap) => sum + gap.bytes, 0);
          assert.equal(whole, service.ingress.bytes, `${account.id} is called ended, and is not all there`);
        }
        const { problems, states } = await certificateProblems(dir, load);
        assert.deepEqual(problems.slice(0, 5), []);
        console.log(`      ${accounts.length} connections, ${accounts.filter((one) => one.end === 'open').length} open; certificates ${JSON.stringify(states)}`);
        // A connection of which nothing but its opening was written, or that was cut off, need not have a session.
        const unfinished = accounts.filter((one) => one.end === 'open').length;
        const sessions = await jsonLines(['ls', dir, '--json']);
        assert.ok(sessions.length > 0 || unfinished === accounts.length, 'no session is listed');
      } finally {
        load.end();
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
