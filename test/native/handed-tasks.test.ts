/** Whose calls those are that a Java program's requests hand to an executor's threads, by who has allocated them (bpf/java-heap.bpf.c). */
import assert from 'node:assert/strict';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';
import { ALL, commandOf, found } from './java-requests.ts';

describe('tasks that Java programs hand to an executor', function () {
  this.timeout(240_000);

  for (const [release, ...options] of [[21, '-XX:+UseG1GC'], [25, '-XX:+UseParallelGC'], [21, '-XX:+UseSerialGC', '-XX:-UseCompressedOops']] as const) {
    it(`tell whose each call is, of 16 requests at a time that share four threads (JDK ${release}, ${options.join(' ')})`, async function () {
      skipIf(this, await whyNotRecordable());
      assert.deepEqual(found([...commandOf(this, release, ...options), 'handed']), ALL);
    });
  }

  it('tell it also where the four\'s loop is compiled', async function () {
    skipIf(this, await whyNotRecordable());
    assert.deepEqual(found([...commandOf(this, 21), 'handed', 'compiled']), ALL);
  });

  it('tell nothing wrong while objects are moved all the time', async function () {
    skipIf(this, await whyNotRecordable());
    const { wrong, problems } = found([...commandOf(this, 21, '-Xmx256m'), 'handed', 'litter']) as typeof ALL;
    assert.deepEqual({ wrong, problems }, { wrong: 0, problems: [] });
  });
});
