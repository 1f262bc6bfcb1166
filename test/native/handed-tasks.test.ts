/** Whose calls those are that a Java program's requests hand to an executor's threads, by who has allocated them (bpf/java-heap.bpf.c). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { heapOf } from '../../src/kernel/java/heap.ts';
import { ProcessMemory } from '../../src/kernel/java/memory.ts';
import { whyNotRecordable } from '../e2e/recorder.ts';
import { skipIf } from '../skip.ts';
import { ALL, commandOf, found, structsOf } from './java-requests.ts';
import { until } from './subject.ts';

/** Of a request. */
const CALLS = 5;

/** So much garbage is not made here: of what waits while objects are moved nothing is told, and how much waits then is chance. */
const YOUNG = '-Xmn128m';

describe('tasks that Java programs hand to an executor', function () {
  this.timeout(240_000);

  for (const [release, ...options] of [[21, '-XX:+UseG1GC'], [25, '-XX:+UseParallelGC'], [21, '-XX:+UseSerialGC', '-XX:-UseCompressedOops'], [21, '-XX:+UseZGC'], [21, '-XX:+UseShenandoahGC'], [25, '-XX:+UseShenandoahGC']] as const) {
    it(`tell whose each call is, of 16 requests at a time that share four threads (JDK ${release}, ${options.join(' ')})`, async function () {
      skipIf(this, await whyNotRecordable());
      assert.deepEqual(found([...commandOf(this, release, YOUNG, ...options), 'handed']), ALL);
    });
  }

  it('tell it also where the four\'s loop is compiled', async function () {
    skipIf(this, await whyNotRecordable());
    assert.deepEqual(found([...commandOf(this, 21, YOUNG), 'handed', 'compiled']), ALL);
  });

  for (const [release, ...options] of [[21, '-XX:+UseG1GC'], [25, '-XX:+UseG1GC', '-XX:+UseCompactObjectHeaders']] as const) {
    it(`and to those of HttpClient tell it by what these hold (JDK ${release}, ${options.join(' ')})`, async function () {
      skipIf(this, await whyNotRecordable());
      assert.deepEqual(found([...commandOf(this, release, YOUNG, ...options), 'client']), ALL);
    });
  }

  // With a larger heap objects are moved less often, and more is told. What is on stacks is old by then: the more requests there were, the more of it.
  for (const [requests, ...options] of [['64', '-Xmx256m', '-XX:+UseG1GC'], ['320', '-Xmx1g', '-XX:+UseG1GC'], ['64', '-Xmx256m', '-XX:+UseZGC', '-XX:+ZGenerational'], ['320', '-Xmx256m', '-XX:+UseShenandoahGC']] as const) {
    it(`tell nothing wrong while objects are moved all the time (${requests} requests, ${options.join(' ')})`, async function () {
      skipIf(this, await whyNotRecordable());
      const { wrong, problems } = found([...commandOf(this, 21, ...options), 'handed', 'litter'], { REQUESTS: requests }) as typeof ALL;
      // Whom a thread has woken may mislead, of one call in a hundred at the most.
      assert.ok(wrong === problems.length && wrong * 100 <= Number(requests) * CALLS, `${wrong} wrong: ${problems.join('\n')}`);
      assert.deepEqual(problems.filter((one: string) => !one.endsWith('by handed-over')), []);
    });
  }

  it('are looked for where it is known which objects have been moved', async function () {
    for (const [options, expected] of [['-XX:+UseSerialGC', 'object'], ['-XX:+UseZGC', 'object'], ['-XX:+UseShenandoahGC', 'object'], ['-XX:+UseShenandoahGC -XX:-UsePerfData', 'other']] as const) {
      const [command = '', ...args] = commandOf(this, 21, ...options.split(' '));
      const java = spawn(command, [...args, 'idle'], { stdio: ['pipe', 'pipe', 'inherit'] });
      try {
        await once(java.stdout, 'data');
        let heap: ReturnType<typeof heapOf> | undefined;
        await until(() => {
          const structs = structsOf(java.pid ?? 0);
          heap = structs === undefined ? 'unlike' : ProcessMemory.read(java.pid ?? 0, (memory) => heapOf(memory, structs));
          return heap !== 'unlike';
        }, 'a heap');
        assert.equal(typeof heap === 'object' ? 'object' : heap, expected, options);
      } finally {
        java.kill('SIGKILL');
      }
    }
  });
});
