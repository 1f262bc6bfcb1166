/** A stack recorded from its start under a load. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRecording } from '../../../src/store/recording.ts';
import { Recorder } from '../recorder.ts';
import { Clients } from '../services/client.ts';
import { removeDir } from '../services/daemon.ts';
import { ridMaker } from '../services/rid.ts';
import { logins, request, type Stack } from './stack.ts';

/** After the logins. */
export const REQUESTS = 240;

/** A JVM takes its time on a busy machine. */
const READY_MS = 120_000;

async function ready(stack: Stack, recorder: Recorder): Promise<void> {
  for (const since = performance.now(); !await stack.ready().catch(() => false);) {
    if (performance.now() - since > READY_MS) throw new Error(`the service was not ready within ${READY_MS} ms: ${recorder.said.slice(-2000)}`);
    await sleep(50);
  }
}

/** So often is made what sessions must be whole in. */
export const TRIES = 3;

/**
 * The kernel skipped a probe (for a packet that came in the midst of it, say), as the recording tells: sessions that were open then are not
 * complete, rightly, and can't be held against others (docs/limits.md).
 */
export function probesSkipped(dir: string): boolean {
  for (const event of openRecording(dir).events()) if (event.kind === 'lost' && event.cause === 'probe-missed') return true;
  return false;
}

/** As `record`, of what `start` starts; anew where the kernel skipped a probe. */
export async function recordWhole(start: () => Promise<Stack>, dir: string): Promise<Stack> {
  for (let left = TRIES - 1; ; left -= 1) {
    const stack = await start();
    try {
      await record(stack, dir);
    } catch (error) {
      stack.remove();
      throw error;
    }
    if (left === 0 || !probesSkipped(dir)) return stack;
    console.log('      the kernel skipped a probe: recorded anew');
    stack.remove();
    removeDir(dir);
  }
}

/** Records the service from its start under a load, and stops it and all its dependencies. */
async function record(stack: Stack, dir: string): Promise<void> {
  const recorder = await Recorder.run(stack.command, dir);
  const clients = new Clients(stack.port, stack.clients, { keepAlive: true });
  try {
    await ready(stack, recorder);
    // What a Go program's goroutines are is known some milliseconds after it was executed; on a busy machine, later.
    await sleep(stack.settleMs ?? 0);
    const ridAt = ridMaker();
    const tokens = (await clients.send(logins(ridAt))).map(({ body, status }) => {
      assert.equal(status, 200, body.toString());
      return (JSON.parse(body.toString()) as { token: string }).token;
    });
    const exchanges = await clients.send(Array.from({ length: REQUESTS }, (_, n) => request(n, ridAt(100 + n), tokens)));
    for (const { status, body, target } of exchanges) assert.equal(status, target === '/orders' ? 201 : 200, body.toString());
    await sleep(300);
    await recorder.stop();
  } finally {
    clients.close();
    recorder.kill();
    await stack.stopDependencies();
  }
}
