/** The probes are loaded beside everything else: the kernel's verifier takes a second. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { INTERRUPTED_PROGRAM } from '../../src/kernel/backends.ts';
import { KernelBtf } from '../../src/kernel/btf.ts';
import { CpuCounts } from '../../src/kernel/cpu-counts.ts';
import { OFFSET_STATE_RUN_TAKEN_OVER, OFFSET_STATE_RUN_UNDER_WAY, SIZE_CONNECTION, SIZE_STATE_RUN } from '../../src/kernel/layout.ts';
import { BpfObject, LoadError } from '../../src/kernel/libbpf.ts';
import { BpfMap, u32 } from '../../src/kernel/map.ts';
import { objectPath, possibleCpus, Probes, type ProbeOptions } from '../../src/kernel/probes.ts';
import { fillMaps, knobs } from '../../src/kernel/settings.ts';
import { whyNoRecorder } from './recorder.ts';
import { skipIf } from '../skip.ts';

const OPTIONS: ProbeOptions = {
  probe: 'auto', ringBytes: 1 << 20, maxConnections: 64, maxMessageBytes: 0, watchAll: false, ports: [], cgroups: [], executables: [],
};

describe('loading the probes', function () {
  this.timeout(120_000);

  before(function () {
    skipIf(this, whyNoRecorder());
  });

  it('lets this thread go on while the kernel verifies them', async () => {
    let turns = 0;
    let isLoaded = false;
    const turn = (): void => {
      turns += 1;
      if (!isLoaded) setImmediate(turn);
    };
    setImmediate(turn);
    const probes = await Probes.load(OPTIONS);
    isLoaded = true;
    probes.close();
    assert.ok(turns > 10, `${turns} turns of the event loop`);
  });

  it('says what libbpf and the kernel said when they are refused', async () => {
    // The kernel makes no map without room for anything.
    const refused = await Probes.load({ ...OPTIONS, maxConnections: 0 }).then((probes) => { probes.close(); }, (error: unknown) => error);
    assert.ok(refused instanceof LoadError);
    assert.match(refused.log, /connections/);
  });

  it('tells of TCP what the kernel skips a program for that a packet interrupts', async () => {
    const btf = new KernelBtf();
    const object = new BpfObject(objectPath());
    const server = createServer((client) => client.unref());
    try {
      object.choose(new Set([INTERRUPTED_PROGRAM]));
      object.setReadOnly(knobs(btf, { ...OPTIONS, watchAll: true }, 1, 0));
      const cpus = possibleCpus();
      object.setMaxEntries('state_runs', cpus);
      object.load();
      fillMaps(object, OPTIONS, undefined);
      const runs = new BpfMap(object.mapFd('state_runs'), 'state_runs', 4, SIZE_STATE_RUN);
      const counts = CpuCounts.of(runs.fd, 'state_runs', SIZE_STATE_RUN, cpus);
      const takenOver = (): number => counts.sum(OFFSET_STATE_RUN_TAKEN_OVER);
      const connections = new BpfMap(object.mapFd('connections'), 'connections', 8, SIZE_CONNECTION);
      object.attach(INTERRUPTED_PROGRAM);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const connected = async (): Promise<void> => {
        const client = createConnection((server.address() as AddressInfo).port, '127.0.0.1').unref();
        await once(client, 'connect');
      };
      await connected();
      assert.deepEqual([takenOver(), [...connections.keys()].length], [0, 0], 'where nothing is interrupted it tells nothing');
      const underWay = new Uint8Array(SIZE_STATE_RUN);
      underWay[OFFSET_STATE_RUN_UNDER_WAY] = 1;
      for (let cpu = 0; cpu < cpus; cpu++) runs.set(u32(cpu), underWay);
      await connected();
      assert.ok(takenOver() > 0);
      assert.ok([...connections.keys()].length > 0);
      counts.close();
    } finally {
      server.close();
      object.close();
      btf.close();
    }
  });
});
