/** A ring made far too small, and a recorder that is held up: every lost byte is declared, nothing incomplete is called complete. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from './process.ts';
import { connections, small, startRecorder, whyNoRecorder, type Account, type Recorder, type Summary } from './recorder.ts';
import { certificateProblems, lossProblems, startLoad, type Load } from './turns.ts';
import { skipIf } from '../skip.ts';

const causes = ['ring-full', 'unknown'];

describe('no loss', function () {
  this.timeout(600_000);

  it('under the same load in a ring of the usual size every session is complete, one a round', async function () {
    skipIf(this, whyNoRecorder());
    const folder = mkdtempSync(join(tmpdir(), 'koala-whole-'));
    const rounds = small ? 20 : 100;
    const load = await startLoad(folder, 8, rounds, 2);
    try {
      const dir = join(folder, 'recording');
      const recorder = await startRecorder(dir, ['--pid', String(load.service.pid)]);
      assert.deepEqual(await load.run(), []);
      const { summary } = await recorder.stop();
      assert.equal(summary?.lost.bytes, 0);
      assert.deepEqual(lossProblems(await connections(dir), load, []), []);
      const { problems, states } = await certificateProblems(dir, load);
      assert.deepEqual(problems.slice(0, 5), []);
      assert.deepEqual(states, { complete: 8 * rounds });
    } finally {
      load.end();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('a ring that stays full', function () {
  this.timeout(600_000);

  it('leaves every connection its account, also those that open, talk and end meanwhile', async function () {
    skipIf(this, whyNoRecorder());
    const folder = mkdtempSync(join(tmpdir(), 'koala-full-'));
    // What 200 connections say fills the ring; of the others is kept that they were there, and how much they said.
    const load = await startLoad(folder, 450, 1, 8);
    let recorder: Recorder | undefined;
    try {
      const dir = join(folder, 'recording');
      recorder = await startRecorder(dir, ['--pid', String(load.service.pid)], ['--ring-bytes', '4MiB']);
      const held = processTree(recorder.pid);
      for (const pid of held) process.kill(pid, 'SIGSTOP');
      assert.deepEqual(await load.run(), []);
      for (const pid of held) process.kill(pid, 'SIGCONT');
      const { summary } = await recorder.stop();
      const accounts = await connections(dir);
      assert.deepEqual(lossProblems(accounts, load, causes).slice(0, 10), []);
      assert.deepEqual(accounts.filter(({ end }) => end === 'open'), []);
      const lost = accounts.filter(({ ingress }) => ingress.gaps.length > 0);
      assert.ok(lost.length > 100, `${lost.length} connections lost something; in all ${summary?.lost.bytes} bytes`);
    } finally {
      recorder?.kill('SIGKILL');
      load.end();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('honest loss', function () {
  this.timeout(600_000);
  const folder = mkdtempSync(join(tmpdir(), 'koala-loss-'));
  const dir = join(folder, 'recording');
  let load: Load | undefined;
  let recorder: Recorder | undefined;
  let accounts: Account[] = [];
  let summary: Summary | undefined;
  let harm: string[] = [];

  before(async function () {
    skipIf(this, whyNoRecorder());
    load = await startLoad(folder, 24, small ? 60 : 400, 8);
    recorder = await startRecorder(dir, ['--pid', String(load.service.pid)], ['--ring-bytes', '65536']);
    const running = load.run();
    const held = processTree(recorder.pid);
    for (let turn = 0; turn < 3; turn++) {
      await sleep(small ? 1000 : 100);
      for (const pid of held) process.kill(pid, 'SIGSTOP');
      await sleep(small ? 1000 : 150);
      for (const pid of held) process.kill(pid, 'SIGCONT');
    }
    harm = await running;
    summary = (await recorder.stop()).summary;
    accounts = await connections(dir);
  });
  after(() => {
    recorder?.kill('SIGKILL');
    load?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  it('really happened: bytes were lost', () => assert.ok((summary?.lost.bytes ?? 0) > 0, JSON.stringify(summary)));

  it('harms nobody: every request was answered', () => assert.deepEqual(harm, []));

  it('is declared: recorded + declared missing = moved, for every connection and direction', () => {
    assert.ok(load !== undefined);
    assert.deepEqual(lossProblems(accounts, load, causes).slice(0, 10), []);
  });

  it('is the same in the summary as in the connections', () => {
    const gaps = accounts.flatMap((account) => [...account.ingress.gaps, ...account.egress.gaps]);
    const declared = gaps.reduce((sum, gap) => sum + gap.bytes, 0);
    assert.equal(summary?.lost.bytes, declared);
  });

  it('leaves no session called complete that is not', async () => {
    assert.ok(load !== undefined);
    const { problems, states } = await certificateProblems(dir, load);
    console.log(`      certificates: ${JSON.stringify(states)}`);
    assert.deepEqual(problems.slice(0, 10), []);
    assert.ok((states['incomplete'] ?? 0) > 0, 'no session is called incomplete');
  });
});
