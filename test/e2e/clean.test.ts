import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupRoot } from '../../src/kernel/probes.ts';
import { cgroupOf } from '../../src/kernel/processes.ts';
import { call, get, ok } from '../unit/replay/build.ts';
import { startReplay, type Outcome, type RunningReplay } from './replay/command.ts';
import { KOALA } from './recorder.ts';
import { cannotTakeRunning, leftovers, startDatabase, startService, until, type Started } from './replay/running.ts';
import { hostState, planned, PORT, processesWith, SERVICE } from './replay/stage.ts';
import { freePort } from './services/daemon.ts';
import { skipIf } from '../skip.ts';

const KILLS = 20;
const TO = '127.0.0.2:8080';

const slow = (id: string): ReturnType<typeof planned> =>
  planned([{ to: TO, send: 'hello', read: 1, timeoutMs: 60_000 }], [''], [call({ to: TO, request: 'hello' })], { id });
const quick = (to: string): ReturnType<typeof planned> => {
  const request = get('/a', 'api');
  return planned([{ to, send: request, read: ok('one').length }], [ok('one')], [call({ to, protocol: 'http', request, response: ok('one') })]);
};

function koala(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(KOALA, args, { encoding: 'utf8', timeout: 60_000 });
}

/** Ends it at once; what it started may need a moment. */
async function kill(replay: RunningReplay): Promise<Outcome> {
  replay.child.kill('SIGKILL');
  return replay.outcome;
}

describe('a replay that is killed', function () {
  this.timeout(300_000);
  let before = '';
  let running: Started[] = [];

  beforeEach(function () {
    skipIf(this, cannotTakeRunning());
    before = hostState();
    running = [];
  });

  afterEach(async function () {
    if (this.currentTest?.isPending() === true) return;
    for (const one of running) await one.stop();
    assert.equal(hostState(), before, 'the host\'s firewall, mounts and named namespaces are as they were');
    assert.deepEqual(leftovers(), []);
    assert.deepEqual(processesWith(SERVICE), [], 'no process of a service is left');
  });

  it(`${KILLS} times at any moment, leaves what the next run finds and takes away`, async () => {
    const [port, database] = [await freePort(), await freePort()];
    const service = await startService(port);
    running.push(service, await startDatabase(database));
    const home = cgroupOf(service.pid);
    const target = ['--pid', String(service.pid), '--sut', `127.0.0.1:${port}`, '--yes'];
    let caught = 0;
    for (let n = 0; n < KILLS; n += 1) {
      // By turns one that runs already and one that is started; killed in the middle, or wherever it is after a while.
      const started = n % 4 === 3;
      const replay = startReplay([slow('bbbb')], started ? ['--', process.execPath, SERVICE, String(PORT)] : target);
      if (n % 4 === 0) await until('the redirection', () => hostState() !== before);
      else await new Promise((resolve) => { setTimeout(resolve, 300 + 97 * n); });
      await kill(replay);
      if (leftovers().length > 0) caught += 1;
    }
    assert.ok(caught > 0, 'at least one was killed while it had the service');
    const last = await startReplay([quick(`127.0.0.1:${database}`)], target).outcome;
    assert.equal(last.status, 0, last.stdout + last.stderr);
    assert.equal(cgroupOf(service.pid), home, 'the service is where it was');
    assert.deepEqual(leftovers(), []);
    await until('the started ones to be gone', () => processesWith(`${SERVICE} ${PORT}`).length === 0);
  });

  it('leaves what clean lists and removes, once; a replay that is alive is not touched', async () => {
    const ports = [await freePort(), await freePort()];
    const services = [await startService(ports[0] ?? 0), await startService(ports[1] ?? 0)];
    running.push(...services);
    const replays = services.map(({ pid }, n) => startReplay([slow('bbbb')], ['--pid', String(pid), '--sut', `127.0.0.1:${ports[n]}`]));
    const isTaken = (n: number): boolean => cgroupOf(services[n]?.pid ?? 0)?.includes('koala-bpf-') === true;
    await until('both to be redirected', () => isTaken(0) && isTaken(1) && hostState().split('-N KOALA-').length >= 7);
    const [dead, alive] = replays;
    assert.ok(dead !== undefined && alive !== undefined);
    await kill(dead);
    const found = koala('clean');
    assert.deepEqual([found.status, found.stdout.split('\n').length], [0, 2], found.stdout + found.stderr);
    assert.match(found.stdout, new RegExp(`^removed: a service that replay ${dead.child.pid} had redirected`));
    assert.equal(isTaken(0), false);
    assert.equal(isTaken(1), true, 'the one that is alive goes on');
    assert.ok(hostState().includes(`KOALA-${alive.child.pid}-`));
    assert.equal(koala('clean').stdout, 'nothing was left behind\n');
    alive.child.kill('SIGINT');
    assert.equal((await alive.outcome).status, 130);
    assert.equal(isTaken(1), false, 'SIGINT undoes it');
  });

  it('is found by clean by the names of its chains and cgroups when its note is gone, also in another network namespace', async () => {
    const owner = '999999999-1';
    const rules = `*nat\n:KOALA-${owner} - [0:0]\n-A KOALA-${owner} -p tcp -j REDIRECT --to-ports 1\n-I OUTPUT 1 -m mark --mark 7 -j KOALA-${owner}\nCOMMIT\n`;
    spawnSync('iptables-restore', ['--noflush'], { input: rules });
    
    const other = spawn('unshare', ['--net', 'sh', '-c', 'iptables-restore --noflush && echo up && exec sleep 600'], { stdio: ['pipe', 'pipe', 'inherit'] });
    other.stdin.end(rules);
    await new Promise((resolve) => { other.stdout.once('data', resolve); });
    const folder = join(cgroupRoot() ?? '', `koala-bpf-${owner}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'cgroup.procs'), String(other.pid));
    try {
      const { status, stdout, stderr } = koala('clean', '--json');
      assert.equal(status, 0, stdout + stderr);
      const kinds = stdout.trim().split('\n').map((line) => (JSON.parse(line) as { kind: string; removed: boolean })).map(({ kind, removed }) => `${kind} ${removed}`);
      assert.deepEqual(kinds.sort(), ['cgroup true', 'chains true', 'chains true'], stdout);
      const there = spawnSync('nsenter', [`--net=/proc/${other.pid}/ns/net`, 'iptables', '-t', 'nat', '-S'], { encoding: 'utf8' }).stdout;
      assert.ok(!there.includes('KOALA'), there);
    } finally {
      other.kill('SIGKILL');
    }
  });
});
