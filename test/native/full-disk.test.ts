/** A disk that fills up stops the recording, clearly and with what came before readable, and never harms the service. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connections, patience, startRecorder, whyNoRecorder, within } from './recorder.ts';
import { certificateProblems, prefixProblems, startLoad } from './turns.ts';
import { skipIf } from '../skip.ts';

describe('a full disk', function () {
  this.timeout(300_000 * patience);

  before(function () {
    skipIf(this, whyNoRecorder());
  });

  const ways = [
    { title: 'stops the recording before the space that is to stay free', flags: [], room: 32, keeps: true },
    { title: 'stops the recording at the last byte where none is to stay free', flags: ['--min-free', '0'], room: 16, keeps: false },
  ] as const;
  for (const { title, flags, room, keeps } of ways) {
    it(`${title}: exit 3, one clear line, a readable recording, a service unharmed`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'koala-disk-'));
      const disk = mkdtempSync(join(tmpdir(), 'koala-tmpfs-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${room}m`, 'none', disk]);
      const load = await startLoad(folder, 8, 800, 4); // 118 MB
      try {
        const dir = join(disk, 'recording');
        const recorder = await startRecorder(dir, ['--pid', String(load.service.pid)], flags);
        const running = load.run();
        const code = await within(recorder.ended, 120_000 * patience, 'it went on recording');
        assert.deepEqual(await running, [], 'the service was harmed');
        assert.equal(code, 3, recorder.errors());
        assert.match(recorder.errors(), /disk|space|full/i);
        assert.doesNotMatch(recorder.errors(), /\n\s+at /);
        const { bfree, blocks } = statfsSync(disk);
        if (keeps) assert.ok(bfree >= blocks * 0.05, `${bfree} of ${blocks} blocks are free`);
        const accounts = await connections(dir);
        assert.ok(accounts.length > 0, 'nothing was recorded');
        assert.ok(accounts.some((account) => account.ingress.bytes > 0), 'no byte was recorded');
        assert.deepEqual(prefixProblems(accounts, load).slice(0, 5), []);
        // The index goes beside the segments, where there is no room: sessions must be listed all the same.
        assert.deepEqual((await certificateProblems(dir, load)).problems.slice(0, 5), []);
      } finally {
        load.end();
        execFileSync('umount', ['-l', disk]);
        rmSync(disk, { recursive: true, force: true });
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
