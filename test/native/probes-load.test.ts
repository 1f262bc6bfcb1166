/** The probes are loaded beside everything else: the kernel's verifier takes a second. */
import assert from 'node:assert/strict';
import { LoadError } from '../../src/kernel/libbpf.ts';
import { Probes, type ProbeOptions } from '../../src/kernel/probes.ts';
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
});
