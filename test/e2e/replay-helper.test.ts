/** A service that speaks koala's helper protocol: in a replay its calls return what they returned when it was recorded, and say whose work it is at. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildHelper } from '../native/helper.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import { exported, koala, Recorder, whyNotRecordable } from './recorder.ts';
import { cannotTakeRunning, leftovers } from './replay/running.ts';
import { cannotReplay } from './replay/stage.ts';
import { Clients } from './services/client.ts';
import { accepts, Daemon, freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { skipIf } from '../skip.ts';

const SERVICE = fileURLToPath(new URL('replay/helped.py', import.meta.url));
const PROGRAMS = fileURLToPath(new URL('../native/programs', import.meta.url));
const COUNT = 24;
const ANSWER_MS = 5;

describe('replay of a service that speaks koala\'s helper protocol', function () {
  this.timeout(240_000);
  const folder = temporaryDir('helped');
  const dir = join(folder, 'rec');
  let port: number;
  let upstream: Server;
  let env: Record<string, string>;

  const start = (): Promise<Daemon> => Daemon.start({ name: 'helped', command: '/usr/bin/python3', dir: folder, args: [SERVICE], env, ready: () => accepts(port) });

  before(async function () {
    skipIf(this, await whyNotRecordable() ?? cannotReplay());
    let count = 0;
    upstream = createServer((_, response) => setTimeout(() => response.end(`answer ${count += 1}`), ANSWER_MS));
    await new Promise<void>((resolve) => { upstream.listen(0, '127.0.0.1', resolve); });
    port = await freePort();
    env = {
      PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: PROGRAMS, HELPED_C: buildHelper(), HELPED_PORT: String(port),
      HELPED_UPSTREAM_PORT: String((upstream.address() as AddressInfo).port),
    };
    const service = await start();
    const recorder = await Recorder.attach([service.pid], dir);
    const clients = new Clients(port, 6, { keepAlive: true });
    try {
      const exchanges = await clients.send(Array.from({ length: COUNT }, (_, n) => ({ rid: `r${n}`, target: `${n % 3 === 0 ? '/c' : '/python'}/${n}` })));
      assert.deepEqual(new Set(exchanges.map(({ status }) => status)), new Set([200]));
      assert.deepEqual((await recorder.stop()).lost, { bytes: 0, byCause: {} });
    } finally {
      recorder.kill();
      clients.close();
      await service.stop();
      upstream.closeAllConnections();
      upstream.close();
    }
  });
  after(() => removeDir(folder));

  async function replayed(words: readonly string[]): Promise<readonly Replayed[]> {
    const { exit, stdout, stderr } = await koala(['replay', dir, '--json', ...words], 180_000);
    const lines = stdout.map((line) => JSON.parse(line) as Replayed & { event: string });
    const sessions = lines.filter(({ event }) => event === 'session');
    const different = sessions.filter(({ verdict }) => verdict !== 'same');
    assert.deepEqual(different.map(({ summary, verdict, reason, response }) => ({ summary, verdict, reason, response })), [], stderr.slice(-2_000));
    assert.equal(exit, 0, stderr.slice(-2_000));
    assert.equal(sessions.length, COUNT);
    return sessions;
  }
  const command = (): string[] => ['--', 'env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), '/usr/bin/python3', SERVICE];

  it('records what it read from storage and its trace header, and that nobody answered it', async () => {
    const { sessions } = await exported(dir);
    assert.equal(sessions.length, COUNT);
    const python = sessions.filter(({ inbound }) => JSON.stringify(inbound.request).includes('/python/'));
    for (const session of python) {
      const { told, traceHeader, inbound } = session as typeof session & { told?: readonly { command: string }[]; traceHeader?: object };
      assert.deepEqual([told?.map((one) => one.command), traceHeader], [['read-storage', 'read-storage'], { ti: 'abc' }]);
      assert.match(JSON.stringify(inbound.response), /no answer/);
    }
  });

  it('returns what it returned, one session at a time', async () => {
    await replayed(['--concurrency', '1', ...command()]);
  });

  it('returns what it returned, several at a time, and what it says ties its calls', async () => {
    const sessions = await replayed(['--concurrency', '6', ...command()]);
    const sure = sessions.flatMap(({ calls }) => calls).map(({ certainty }) => certainty ?? 'alone');
    assert.ok(sure.filter((one) => one === 'proven' || one === 'alone').length >= sure.length / 2, JSON.stringify(sure));
  });

  it('returns what it returned where the service runs already', async function () {
    skipIf(this, cannotTakeRunning());
    const service = await start().catch((error: unknown) => { throw error; });
    try {
      await replayed(['--pid', String(service.pid)]);
    } finally {
      await service.stop();
    }
    assert.deepEqual(leftovers(), []);
  });
});
