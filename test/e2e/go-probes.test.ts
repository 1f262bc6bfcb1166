/** Probes in Go programs: placed while a recorder is there, gone with it however it ends; the service never notices. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { readGoExecutable } from '../../src/kernel/go/executable.ts';
import { Recorder, whyNotRecordable } from './recorder.ts';
import { Clients } from './services/client.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { until } from './services/dependency.ts';
import { goOverHttp2, whyNotGo } from './services/go.ts';
import { whyNotGrpc } from './services/grpc.ts';
import { ridMaker } from './services/rid.ts';
import type { Service } from './services/service.ts';
import { skipIf } from '../skip.ts';

/** x86's breakpoint instruction, which is what a probe is. */
const INT3 = 0xcc;

/** The first byte of each place that is probed, in the running program: file offset → address by the mapping that holds it. */
function bytesAtProbes(pid: number): number[] {
  const exe = `/proc/${pid}/exe`;
  const offsets = readGoExecutable(exe)?.functions(exe)?.probes.flat().map(({ offset }) => offset) ?? [];
  const code = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').map((line) => /^([0-9a-f]+)-([0-9a-f]+) r-xp ([0-9a-f]+) \S+ [1-9]/.exec(line)?.slice(1).map((word) => Number.parseInt(word, 16)));
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return offsets.map((offset) => {
      const [start, , from] = code.find((one) => one !== undefined && one[2]! <= offset && offset < one[2]! + one[1]! - one[0]!)!;
      const byte = Buffer.alloc(1);
      readSync(memory, byte, 0, 1, start! + offset - from!);
      return byte[0]!;
    });
  } finally {
    closeSync(memory);
  }
}

const probed = (pid: number): number => bytesAtProbes(pid).filter((byte) => byte === INT3).length;

describe('probes in Go programs', function () {
  this.timeout(180_000);
  const clients = 16;
  let service: Service;
  let dir: string;
  let load: Clients;
  let recorder: Recorder | undefined;

  before(async function () {
    skipIf(this, await whyNotRecordable() ?? whyNotGo() ?? whyNotGrpc());
    service = await goOverHttp2({ by: 'grpc' });
    dir = temporaryDir('go-probes');
    load = new Clients(service.port, clients, { keepAlive: true });
  });
  after(async () => {
    recorder?.kill();
    load?.close();
    await service?.stop();
    if (dir !== undefined) removeDir(dir);
  });

  const ridAt = ridMaker();
  let asked = 0;
  /** All are answered, and with what was asked for. */
  const work = async (requests: number): Promise<void> => {
    const exchanges = await load.send(Array.from({ length: requests }, () => service.ask(ridAt(asked += 1), asked)));
    assert.deepEqual(exchanges.filter(({ status, body, rid }) => status !== 200 || !body.includes(rid)).map(({ rid, status }) => `${rid} ${status}`), []);
  };

  for (const [how, end] of [['is killed', 'kill'], ['stops', 'stop']] as const) {
    it(`are all gone when the recorder ${how} in the midst of work, and nobody who asked the service noticed`, async () => {
      const pids = service.parts.map(({ pid }) => pid);
      await work(clients);
      assert.deepEqual(pids.map(probed), [0, 0], 'before');
      recorder = await Recorder.attach(pids, join(dir, end));
      for (const pid of pids) {
        await until(() => Promise.resolve(bytesAtProbes(pid).every((byte) => byte === INT3)), `all probes in ${pid}`);
        assert.ok(probed(pid) >= 8, `${probed(pid)} probes in ${pid}`);
      }
      const before = load.answered;
      const working = work(400);
      await until(() => Promise.resolve(load.answered > before + 50), 'work');
      if (end === 'kill') recorder.kill();
      else await recorder.stop();
      await until(() => Promise.resolve(pids.every((pid) => probed(pid) === 0)), 'the probes to be gone');
      await working;
      await work(clients);
    });
  }
});
