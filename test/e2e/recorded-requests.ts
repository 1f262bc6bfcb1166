/** A recording of a service that was asked so often, each time by an id of its own. */
import assert from 'node:assert/strict';
import { Recorder } from './recorder.ts';
import { Clients } from './services/client.ts';
import type { Daemon } from './services/daemon.ts';
import { ridMaker } from './services/rid.ts';

const CLIENTS = 8;

/** GET /ID, `count` times, several at a time; nothing may be lost. The service is stopped, whatever happens. */
export async function recordRequests(service: Daemon, port: number, dir: string, count: number): Promise<void> {
  const recorder = await Recorder.attach([service.pid], dir);
  const clients = new Clients(port, CLIENTS, { keepAlive: true });
  try {
    const rid = ridMaker();
    await clients.send(Array.from({ length: count }, (_, n) => ({ rid: rid(n), target: `/${rid(n)}` })));
    assert.deepEqual((await recorder.stop()).lost, { bytes: 0, byCause: {} });
  } finally {
    recorder.kill();
    clients.close();
    await service.stop();
  }
}
