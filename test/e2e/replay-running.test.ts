import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { clean } from '../../src/replay/clean.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import { cgroupRoot } from '../../src/kernel/probes.ts';
import { cgroupOf } from '../../src/kernel/processes.ts';
import { UserError } from '../../src/errors.ts';
import { call, session } from '../unit/replay/build.ts';
import { startReplay } from './replay/command.ts';
import { cannotTakeRunning, DATABASE, leftovers, OLD_SOCKETS, startDatabase, started, startService, until, type Started } from './replay/running.ts';
import { whyNotRecordable } from './recorder.ts';
import { hostState, planned, planRequest, play, SERVICE, THREADS, type Step } from './replay/stage.ts';
import { freePort } from './services/daemon.ts';
import { skipIf } from '../skip.ts';

const verdicts = (replayed: readonly Replayed[]): string[] => replayed.map(({ verdict }) => verdict);

/** Asks the service itself, as its real clients do. */
function ask(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1', () => { socket.write(request); });
    socket.on('data', (bytes) => { heard += bytes.toString(); });
    socket.on('close', () => { resolve(heard); });
    socket.on('error', reject);
  });
}

/** Something else on the host that asks the same database all the while: on one connection, and on ever new ones. */
class Neighbour {
  asked = 0;
  readonly wrong: string[] = [];
  #going = true;
  readonly #done: Promise<void>;

  constructor(port: number) {
    this.#done = this.#go(port);
  }

  async #go(port: number): Promise<void> {
    const kept = connect(port, '127.0.0.1');
    kept.on('error', (error) => { this.wrong.push(error.message); });
    while (this.#going) {
      const fresh = connect(port, this.asked % 2 === 0 ? '127.0.0.1' : '::1');
      fresh.on('error', (error) => { this.wrong.push(error.message); });
      for (const socket of [kept, fresh]) {
        socket.write('neighbour\n');
        const heard = await Promise.race([
          new Promise<string>((resolve) => { socket.once('data', (bytes) => { resolve(bytes.toString()); }); }),
          new Promise<string>((resolve) => { setTimeout(resolve, 60_000, 'nothing').unref(); }),
        ]);
        if (heard !== 'real neighbour\n') this.wrong.push(heard);
        this.asked += 1;
      }
      fresh.destroy();
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
    kept.destroy();
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#done;
  }
}

describe('replay against a service that runs already', function () {
  this.timeout(120_000);
  let before = '';
  let running: Started[] = [];

  const run = async (start: Promise<Started>): Promise<Started> => {
    const one = await start;
    running.push(one);
    return one;
  };

  beforeEach(function () {
    skipIf(this, cannotTakeRunning());
    before = hostState();
    running = [];
  });

  afterEach(async function () {
    if (this.currentTest?.isPending() === true) return;
    for (const one of running) await one.stop();
    assert.equal(hostState(), before, 'the host\'s firewall is as it was');
    assert.deepEqual(leftovers(), []);
  });

  /** A session in which the service asks the database at `to` on a pooled connection and on a new one, with recorded answers. */
  const asking = (to: string, id = 'aaaa'): ReturnType<typeof planned> => {
    const steps: Step[] = [{ to, send: `pooled ${id}\n`, read: 5, keep: `db ${to}` }, { to, send: `fresh ${id}\n`, read: 5 }];
    return planned(steps, ['taped', 'taped'], steps.map(({ send }) => call({ to, request: send, response: 'taped' })), { id });
  };

  it('plays its sessions, its warm pool and IPv6 included, while the database that runs counts none of its queries and a neighbour is not disturbed', async () => {
    const [port, database] = [await freePort(), await freePort()];
    const real = await run(startDatabase(database));
    const service = await run(startService(port));
    const home = cgroupOf(service.pid);
    const warm = await ask(port, planRequest([{ to: `127.0.0.1:${database}`, send: 'warm\n', read: 10, keep: `db 127.0.0.1:${database}` }, { to: `[::1]:${database}`, send: 'warm\n', read: 10, keep: 'six' }]));
    assert.match(warm, /real warm/);
    const neighbour = new Neighbour(database);
    await until('the neighbour to ask', () => neighbour.asked > 4);
    const asked = (): string[] => real.lines.filter((line) => line.startsWith('asked ') && line !== 'asked neighbour' && line !== 'asked warm');
    const six: Step = { to: `[::1]:${database}`, send: 'by six\n', read: 5, keep: 'six' };
    const { replayed, notes } = await play([
      ...['a1', 'a2', 'a3'].map((id) => asking(`127.0.0.1:${database}`, id)),
      planned([six], ['taped'], [call({ to: six.to, request: six.send, response: 'taped' })], { id: 'a6' }),
    ], { command: [], running: { pid: service.pid }, sut: { host: '127.0.0.1', port } });
    assert.deepEqual(verdicts(replayed), ['same', 'same', 'same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(asked(), []);
    const during = neighbour.asked;
    await until('the neighbour to go on', () => neighbour.asked > during + 4);
    await neighbour.stop();
    assert.deepEqual(neighbour.wrong, []);
    assert.equal(cgroupOf(service.pid), home);
    assert.match(await ask(port, planRequest([{ to: `127.0.0.1:${database}`, send: 'afterwards\n', read: 10, keep: `db 127.0.0.1:${database}` }])), /real afterwards/);
  });

  it('answers what another client of the service asks for, and uses up no call of a session with that', async function () {
    skipIf(this, await whyNotRecordable());
    const [port, database] = [await freePort(), await freePort()];
    await run(startDatabase(database));
    const service = await run(started(['python3', THREADS, String(port), '8', '4'], port));
    const to = `127.0.0.1:${database}`;
    const last: Step = { to, send: 'last\n', read: 5 };
    // The first call's answer takes its time: meanwhile the other client asks for what the session asks for next.
    const slow = call({ to, request: 'first\n', response: 'taped' });
    const atUs = slow.request[0]!.atUs;
    const late = { ...slow, response: slow.response.map((chunk) => ({ ...chunk, atUs: atUs + 4_000_000 })) };
    const one = planned([{ to, send: 'first\n', read: 5 }, last], ['taped', 'taped'], [late, call({ to, request: 'last\n', response: 'taped' })]);
    const playing = play([one], { command: [], running: { pid: service.pid }, servesOthers: true, sut: { host: '127.0.0.1', port }, pace: { latency: 1, chunks: false } });
    await until('the redirection', () => hostState() !== before);
    let heard = '';
    await until('a recorded answer to the other client', async () => { heard = await ask(port, planRequest([last])); return heard.includes('taped'); });
    assert.match(heard, /taped/);
    const { replayed, notes } = await playing;
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
  });

  it('answers a call that matches nothing with a miss, never the real thing, and the service\'s own listeners only when they are its own', async () => {
    const [port, database] = [await freePort(), await freePort()];
    const real = await run(startDatabase(database));
    const service = await run(startService(port));
    const to = `127.0.0.1:${database}`;
    const { replayed } = await play([planned([{ to, send: 'unrecorded\n', read: 5 }], ['ECONNRESET'], [])],
      { command: [], running: { pid: service.pid }, sut: { host: '127.0.0.1', port } });
    assert.deepEqual(replayed[0]?.calls.map(({ verdict, destination }) => [verdict, destination]), [['new', to]], JSON.stringify(replayed));
    assert.deepEqual(real.lines.filter((line) => line !== 'up'), []);
  });

  it('lets through what is bypassed, and no more', async () => {
    const [port, database, other] = [await freePort(), await freePort(), await freePort()];
    const [real, kept] = [await run(startDatabase(database)), await run(startDatabase(other))];
    const service = await run(startService(port));
    const steps: Step[] = [{ to: `127.0.0.1:${database}`, send: 'through\n', read: 13 }, { to: `127.0.0.1:${other}`, send: 'kept\n', read: 5 }];
    const { replayed, notes } = await play([planned(steps, ['real through\n', 'taped'], [call({ to: steps[1]?.to ?? '', request: 'kept\n', response: 'taped' })])],
      { command: [], running: { pid: service.pid }, sut: { host: '127.0.0.1', port }, bypassed: { addresses: [{ port: database }], names: [], operations: [] } });
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(real.lines.filter((line) => line.startsWith('asked')), ['asked through']);
    assert.deepEqual(kept.lines.filter((line) => line.startsWith('asked')), []);
  });

  it('redirects sockets that are older than the replay, lets their datagrams find nobody, and destroys v4-mapped connections', async () => {
    const [port, database] = [await freePort(), await freePort()];
    const real = await run(startDatabase(database));
    const service = await run(started(['python3', OLD_SOCKETS, String(port), String(database)]));
    await until('its connection', () => real.lines.includes('connected'));
    const body = 'taped|ConnectionRefusedError|ConnectionAbortedError';
    const { replayed, notes } = await play([session({
      request: 'GET / HTTP/1.1\r\nHost: service\r\n\r\n', response: `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      listener: `127.0.0.1:${port}`, calls: [call({ to: `127.0.0.1:${database}`, request: 'unconnected\n', response: 'taped\n' })],
    })], { command: [], running: { pid: service.pid } });
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(real.lines.filter((line) => line.startsWith('asked')), []);
  });

  it('takes whatever is in a cgroup, and nothing beside it', async () => {
    const [port, other, database] = [await freePort(), await freePort(), await freePort()];
    const real = await run(startDatabase(database));
    const service = await run(startService(port));
    const sibling = await run(startService(other));
    const folder = join(cgroupRoot() ?? '', `koala-test-${process.pid}`);
    mkdirSync(folder);
    try {
      writeFileSync(join(folder, 'cgroup.procs'), String(service.pid));
      let during = '';
      const playing = play([asking(`127.0.0.1:${database}`), planned([{ to: '127.0.0.2:8081', send: 'wait', read: 1, timeoutMs: 1_500 }], ['timeout after '], [call({ to: '127.0.0.2:8081', request: 'wait' })], { id: 'b' })],
        { command: [], running: { cgroup: `/koala-test-${process.pid}` }, sut: { host: '127.0.0.1', port } });
      await until('the redirection', () => hostState() !== before);
      during = await ask(other, planRequest([{ to: `127.0.0.1:${database}`, send: 'sibling\n', read: 10 }]));
      const { replayed, notes } = await playing;
      assert.equal(replayed[0]?.verdict, 'same', JSON.stringify(replayed) + notes.join('\n'));
      assert.match(during, /real sibling/);
      assert.deepEqual(real.lines.filter((line) => line.startsWith('asked')), ['asked sibling']);
      assert.equal(cgroupOf(service.pid), `/koala-test-${process.pid}`, 'it is where it was');
      assert.ok(sibling.pid > 0);
    } finally {
      await service.stop();
      await until('the cgroup to be empty', () => {
        try {
          rmdirSync(folder);
          return true;
        } catch {
          return false;
        }
      });
    }
  });

  it('redirects a container in its own network namespace, beside a database that shares it', async () => {
    const port = 18_080;
    const database = 15_432;
    const script = 'ip link set lo up && ip route add local 0.0.0.0/0 dev lo && "$0" "$1" 15432 & sleep 0.1; exec "$0" "$2" 18080';
    const container = await run(started(['unshare', '--net', 'sh', '-c', script, process.execPath, DATABASE, SERVICE]));
    // The shell became the service; the database is its child and would be taken with it: named by its own cgroup instead.
    const folder = join(cgroupRoot() ?? '', `koala-test-${process.pid}`);
    mkdirSync(folder);
    try {
      writeFileSync(join(folder, 'cgroup.procs'), String(container.pid));
      const { replayed, notes } = await play([asking(`127.0.0.1:${database}`), asking('10.9.8.7:5432', 'bbbb')],
        { command: [], running: { cgroup: `/koala-test-${process.pid}` }, sut: { host: '127.0.0.1', port } });
      assert.deepEqual(verdicts(replayed), ['same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
      assert.deepEqual(container.lines.filter((line) => line !== 'up'), []);
    } finally {
      for (const child of execFileSync('ps', ['--ppid', String(container.pid), '-o', 'pid='], { encoding: 'utf8' }).trim().split(/\s+/)) process.kill(Number(child), 'SIGKILL');
      await container.stop();
      await until('the cgroup to be empty', () => {
        try {
          rmdirSync(folder);
          return true;
        } catch {
          return false;
        }
      });
    }
  });

  it('is refused without --yes while others are served, who are named; with it, it goes on and says so', async () => {
    const port = await freePort();
    const service = await run(startService(port));
    const client = connect(port, '127.0.0.1');
    await new Promise((resolve) => { client.once('connect', resolve); });
    const options = { command: [], running: { pid: service.pid }, sut: { host: '127.0.0.1', port } };
    const { localPort } = client;
    await assert.rejects(play([asking('127.0.0.1:9')], options), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, new RegExp(`serves 1 connection that is not ours \\(127\\.0\\.0\\.1:${localPort}\\).*--yes`));
      return true;
    });
    const { replayed, notes } = await play([asking('127.0.0.1:9')], { ...options, servesOthers: true });
    client.destroy();
    assert.deepEqual(verdicts(replayed), ['same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.ok(notes.some((note) => note.includes('not ours')), notes.join('\n'));
  });

  it('plays two services at once, each its own recording, on one host', async () => {
    const ports = [await freePort(), await freePort()];
    const database = await freePort();
    const to = `127.0.0.1:${database}`;
    const services = [await run(startService(ports[0] ?? 0)), await run(startService(ports[1] ?? 0))];
    // One in this process and one in another: an owner has one replay of a running service at a time.
    const step: Step = { to, send: 'who\n', read: 5 };
    const other = startReplay([planned([step, step, step], ['other', 'other', 'other'], [1, 2, 3].map(() => call({ to, request: step.send, response: 'other' })), { id: 'cccc' })],
      ['--pid', String(services[1]?.pid), '--sut', `127.0.0.1:${ports[1]}`, '--json']);
    const { replayed, notes } = await play(Array.from({ length: 10 }, (_, n) => asking(to, `a${n}`)), { command: [], running: { pid: services[0]?.pid ?? 0 }, sut: { host: '127.0.0.1', port: ports[0] ?? 0 } });
    assert.deepEqual(verdicts(replayed), Array.from({ length: 10 }, () => 'same'), JSON.stringify(replayed) + notes.join('\n'));
    const outcome = await other.outcome;
    assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
  });

  it('leaves nothing for clean to find', () => {
    assert.deepEqual(clean(), []);
  });
});
