/** Who wakes whom, on this kernel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { command, patience, whyNoRecorder } from './recorder.ts';
import { eventsOf } from './subject.ts';
import { runWakes, wakesTitle } from './wakes.ts';
import { skipIf } from '../skip.ts';

describe('wake-ups', function () {
  this.timeout(120_000 * patience);

  before(function () {
    skipIf(this, whyNoRecorder());
  });

  it(wakesTitle.slice('wake-ups '.length), async () => {
    assert.deepEqual(await runWakes(eventsOf), []);
  });

  it('are what `events --json` shows of them', async () => {
    const shown = (dir: string): object[] => execFileSync(command, ['events', dir, '--json'], { encoding: 'utf8' }).split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as object);
    assert.deepEqual(await runWakes(shown), []);
  });

  it('are not recorded where it is said so, nor where no thread calls again and again that takes no requests', async () => {
    for (const how of ['off', 'auto']) assert.deepEqual(await runWakes(eventsOf, ['--wakeups', how]), ['result: 0 recorded, not 1']);
  });
});
