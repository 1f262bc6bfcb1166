/** What the kernel says that a process does on a signal (bpf/signals.bpf.c), held against processes that asked for it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { catches, isNode, isOwnHandler, signalRefusal } from '../../src/instrument/candidate.ts';
import { signalAction } from '../../src/kernel/signal-action.ts';
import { patience, whyNoRecorder } from './recorder.ts';
import { skipIf } from '../skip.ts';

const { SIGUSR1, SIGTERM } = constants.signals;
const WAIT = 'setTimeout(() => undefined, 600_000); console.log("ready");';

describe('what a process does on a signal', function () {
  this.timeout(60_000 * patience);
  const children: ChildProcess[] = [];

  before(function () {
    skipIf(this, whyNoRecorder());
  });
  afterEach(() => { for (const child of children.splice(0)) child.kill('SIGKILL'); });

  async function started(command: string, args: readonly string[]): Promise<number> {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout!, 'data');
    // Node asks for its own handler in a thread of its own.
    while (command === process.execPath && !catches(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) await sleep(10);
    return child.pid!;
  }

  it('tells Node\'s own handler of SIGUSR1, which opens the inspector, from one of the service', async () => {
    const plain = await started(process.execPath, ['-e', WAIT]);
    const other = await started(process.execPath, ['-e', `process.on('SIGTERM', () => undefined); ${WAIT}`]);
    const own = await started(process.execPath, ['-e', `process.on('SIGUSR1', () => undefined); ${WAIT}`]);
    assert.deepEqual([plain, other, own].map((pid) => isOwnHandler(signalAction(pid, SIGUSR1)!)), [false, false, true]);
    assert.deepEqual([plain, other].map((pid) => signalRefusal(pid)), [undefined, undefined]);
    assert.match(signalRefusal(own) ?? '', /handler of its own/);
    assert.ok([plain, other, own].every(isNode));
  });

  it('tells the default, what is ignored, and a handler with its flags', async () => {
    const program = 'import signal, time; signal.signal(signal.SIGUSR1, signal.SIG_IGN); signal.signal(signal.SIGUSR2, lambda *a: 0); print("ready", flush=True); time.sleep(600)';
    const pid = await started('python3', ['-c', program]);
    assert.equal(signalAction(pid, SIGTERM)!.handler, 0n);
    assert.equal(signalAction(pid, SIGUSR1)!.handler, 1n);
    assert.ok(signalAction(pid, constants.signals.SIGUSR2)!.handler > 1n);
    assert.ok(!isNode(pid));
  });

  it('tells nothing of a process that there is not', () => {
    assert.equal(signalAction(4_194_304, SIGUSR1), undefined);
  });
});
