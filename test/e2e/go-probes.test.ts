/** Probes in Go programs: placed while a recorder is there, gone with it however it ends; the service never notices. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

interface Code {
  readonly start: number;
  readonly end: number;
  /** In the file. */
  readonly from: number;
  readonly path: string;
}

/** What of files is mapped to be run. */
function codeOf(pid: number): readonly Code[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').flatMap((line) => {
    const [, start, end, from, path] = /^([0-9a-f]+)-([0-9a-f]+) r-xp ([0-9a-f]+) \S+ [1-9]\d* +(.*)$/.exec(line) ?? [];
    return start === undefined ? [] : [{ start: Number.parseInt(start, 16), end: Number.parseInt(end!, 16), from: Number.parseInt(from!, 16), path: path! }];
  });
}

function withMemory<T>(pid: number, use: (read: (address: number, length: number) => Buffer) => T): T {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return use((address, length) => {
      const bytes = Buffer.alloc(length);
      assert.equal(readSync(memory, bytes, 0, length, address), length);
      return bytes;
    });
  } finally {
    closeSync(memory);
  }
}

/** The first byte of each place that is probed, in the running program: file offset → address by the mapping that holds it. */
function bytesAtProbes(pid: number): number[] {
  const exe = `/proc/${pid}/exe`;
  const offsets = readGoExecutable(exe)?.functions(exe)?.probes.flat().map(({ offset }) => offset) ?? [];
  const code = codeOf(pid);
  return withMemory(pid, (read) => offsets.map((offset) => {
    const { start, from } = code.find((one) => one.from <= offset && offset < one.from + one.end - one.start)!;
    return read(start + offset - from, 1)[0]!;
  }));
}

/** All code of the process, as it is in its memory now. */
const codeNow = (pid: number): readonly string[] => withMemory(pid, (read) => codeOf(pid).map(({ start, end, path }) => `${path} ${createHash('sha256').update(read(start, end - start)).digest('hex')}`));

/** The kernel's numbers of the programs that are placed in user space's code for process `pid`. */
function programsOf(pid: number): number[] {
  const all = JSON.parse(execFileSync('bpftool', ['perf', 'show', '-j'], { encoding: 'utf8' })) as readonly { pid: number; prog_id: number; fd_type: string }[];
  return [...new Set(all.filter((one) => one.pid === pid && one.fd_type === 'uprobe').map(({ prog_id }) => prog_id))];
}

const isLoaded = (program: number): boolean => spawnSync('bpftool', ['prog', 'show', 'id', String(program)]).status === 0;

const KILLS = 10;

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
      const code = pids.map(codeNow);
      recorder = await Recorder.attach(pids, join(dir, end));
      for (const pid of pids) {
        await until(() => Promise.resolve(bytesAtProbes(pid).every((byte) => byte === INT3)), `all probes in ${pid}`);
        assert.ok(probed(pid) >= 8, `${probed(pid)} probes in ${pid}`);
      }
      assert.ok(pids.every((pid, index) => codeNow(pid).join() !== code[index]!.join()), 'the code is looked at where the probes are');
      const programs = programsOf(recorder.pid);
      assert.ok(programs.length >= 8 && programs.every(isLoaded), `${programs.length} programs`);
      const before = load.answered;
      const working = work(400);
      await until(() => Promise.resolve(load.answered > before + 50), 'work');
      if (end === 'kill') recorder.kill();
      else await recorder.stop();
      await until(() => Promise.resolve(pids.every((pid) => probed(pid) === 0)), 'the probes to be gone');
      await until(() => Promise.resolve(!programs.some(isLoaded)), 'the programs to be gone');
      assert.deepEqual(pids.map(codeNow), code, 'no byte of code is another one than before');
      await working;
      await work(clients);
    });
  }

  it(`are all gone when ${KILLS} recorders are killed one after the other, at any moment from their start on, and every request was answered`, async function () {
    // On a busy machine each takes ten seconds to begin.
    this.timeout(600_000);
    const pids = service.parts.map(({ pid }) => pid);
    const code = pids.map(codeNow);
    let killing = true;
    const working = (async (): Promise<void> => {
      while (killing) await work(4 * clients);
    })();
    let placed = 0;
    try {
      for (let turn = 0; turn < KILLS; turn += 1) {
        recorder = Recorder.start(pids, join(dir, `killed-${turn}`));
        if (turn % 2 === 0) await until(() => Promise.resolve(pids.some((pid) => probed(pid) > 0)), 'a probe');
        await sleep(Math.random() * (turn % 2 === 0 ? 100 : 600));
        placed += Number(pids.some((pid) => probed(pid) > 0));
        recorder.kill();
        await until(() => Promise.resolve(pids.every((pid) => probed(pid) === 0)), 'the probes to be gone');
      }
    } finally {
      killing = false;
      await working;
    }
    console.log(`      ${placed} of ${KILLS} had placed probes, ${asked} requests were answered in all`);
    assert.ok(placed >= KILLS / 2);
    assert.deepEqual(pids.map(codeNow), code, 'no byte of code is another one than before');
    await work(clients);
  });
});
