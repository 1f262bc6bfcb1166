/** The probes are loaded beside everything else: the kernel's verifier takes a second. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CLOSE_FAILED, OFFSET_CLOSE_PAYLOAD_PHASE, OFFSET_OPEN_PAYLOAD_REMOTE_PORT, OFFSET_SAMPLE_CAPTURED, OFFSET_SAMPLE_CONNECTION, OFFSET_SAMPLE_KIND, OFFSET_SAMPLE_POSITION,
  SAMPLE_CLOSE, SAMPLE_DATA, SAMPLE_OPEN, SIZE_SAMPLE,
} from '../../src/events/layout.ts';
import { BACKENDS, INTERRUPTED_PROGRAM } from '../../src/kernel/backends.ts';
import { KernelBtf } from '../../src/kernel/btf.ts';
import { CpuCounts } from '../../src/kernel/cpu-counts.ts';
import { OFFSET_STATE_RUN_TAKEN_OVER, SIZE_CONNECTION, SIZE_STATE_RUN } from '../../src/kernel/layout.ts';
import { BpfObject, LoadError } from '../../src/kernel/libbpf.ts';
import { BpfMap } from '../../src/kernel/map.ts';
import { objectPath, PER_CPU, possibleCpus, Probes, type ProbeOptions } from '../../src/kernel/probes.ts';
import { RingReader } from '../../src/kernel/ring.ts';
import { fillMaps, knobs } from '../../src/kernel/settings.ts';
import { whyNoRecorder } from './recorder.ts';
import { startSubject, type Subject } from './subject.ts';
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
    const server = createServer((client) => client.unref());
    const programs = new LoneTcp();
    try {
      const counts = CpuCounts.of(programs.object.mapFd('state_runs'), 'state_runs', SIZE_STATE_RUN, possibleCpus());
      const takenOver = (): number => counts.sum(OFFSET_STATE_RUN_TAKEN_OVER);
      const connections = new BpfMap(programs.object.mapFd('connections'), 'connections', 8, SIZE_CONNECTION);
      programs.attachOnly('tcp_state', INTERRUPTED_PROGRAM);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const connected = async (): Promise<void> => {
        const client = createConnection((server.address() as AddressInfo).port, '127.0.0.1').unref();
        await once(client, 'connect');
      };
      await connected();
      const told = [...connections.keys()].length;
      assert.ok(told > 0);
      assert.equal(takenOver(), 0, 'where nothing is interrupted it tells nothing');
      programs.attachOnly(INTERRUPTED_PROGRAM);
      await connected();
      assert.ok(takenOver() > 0);
      assert.ok([...connections.keys()].length > told);
      counts.close();
    } finally {
      server.close();
      programs.close();
    }
  });

  describe('where no probe saw how a connect ended', () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-probes-'));
    let programs: LoneTcp;
    let subject: Subject;
    let port: number;

    /** Of a listener whose queue is full, which doesn't answer. */
    beforeEach(async () => {
      programs = new LoneTcp();
      subject = startSubject(folder);
      port = await subject.number('full = socket.socket(); full.bind(("127.0.0.1", 0)); full.listen(0); first = socket.create_connection(full.getsockname()); answer = full.getsockname()[1]');
      programs.attachOnly('tcp_state');
      await subject.run(`s = socket.socket(); s.setblocking(False); s.connect_ex(("127.0.0.1", ${port}))`);
    });
    afterEach(() => {
      programs.close();
      subject.kill();
    });
    after(() => { rmSync(folder, { recursive: true, force: true }); });

    it('tells that it failed when its socket is destroyed', async () => {
      programs.attachOnly('tcp_destroyed');
      await subject.run('s.close()');
      assert.deepEqual(programs.samples(port), ['open', `close ${CLOSE_FAILED}`]);
    });

    it('tells what is sent on it where it succeeded', async () => {
      programs.attachOnly();
      await subject.run('full.accept(); import select; select.select([], [s], [], 20)');
      programs.attachOnly(...programs.hooks);
      await subject.run('s.sendall(b"hello")');
      assert.deepEqual(programs.samples(port), ['open', 'data hello at 0']);
    });
  });
});

/** What sits on TCP's tracepoints, and the hooks of the backend that works here, loaded with nothing else, and attached as asked. */
class LoneTcp {
  readonly object = new BpfObject(objectPath());
  readonly #btf = new KernelBtf();
  readonly hooks: readonly string[];

  constructor() {
    this.hooks = BACKENDS.find((row) => row.refusal(this.#btf) === undefined)?.programs ?? [];
    this.object.choose(new Set(['tcp_state', INTERRUPTED_PROGRAM, 'tcp_destroyed', ...this.hooks]));
    this.object.setReadOnly(knobs(this.#btf, { ...OPTIONS, watchAll: true }, 1, 0));
    for (const map of PER_CPU) this.object.setMaxEntries(map, possibleCpus());
    this.object.setMaxEntries('ring', OPTIONS.ringBytes);
    this.object.load();
    fillMaps(this.object, OPTIONS, undefined);
  }

  attachOnly(...names: readonly string[]): void {
    this.object.detach();
    for (const name of names) this.object.attach(name);
  }

  /** What it told so far of the connection to `port`: each opening, what was sent, and each end with its phase. */
  samples(port: number): string[] {
    const ring = new RingReader(this.object.mapFd('ring'), OPTIONS.ringBytes);
    const found: string[] = [];
    let connection: bigint | undefined;
    ring.drain((offset) => {
      const of = ring.view.getBigUint64(offset + OFFSET_SAMPLE_CONNECTION, true);
      const [kind, payload] = [ring.view.getUint8(offset + OFFSET_SAMPLE_KIND), offset + SIZE_SAMPLE];
      if (kind === SAMPLE_OPEN && ring.view.getUint16(payload + OFFSET_OPEN_PAYLOAD_REMOTE_PORT, true) === port) {
        connection = of;
        found.push('open');
      } else if (kind === SAMPLE_DATA && of === connection) {
        const length = ring.view.getUint32(offset + OFFSET_SAMPLE_CAPTURED, true);
        found.push(`data ${Buffer.from(ring.bytes.subarray(payload, payload + length)).toString()} at ${ring.view.getBigUint64(offset + OFFSET_SAMPLE_POSITION, true)}`);
      } else if (kind === SAMPLE_CLOSE && of === connection) found.push(`close ${ring.view.getUint8(payload + OFFSET_CLOSE_PAYLOAD_PHASE)}`);
    }, OPTIONS.ringBytes);
    ring.close();
    return found;
  }

  close(): void {
    this.object.close();
    this.#btf.close();
  }
}
