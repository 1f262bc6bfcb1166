/** Unix sockets of a service that runs already: played where sessions call them, refused where not, and nothing else on the host feels it. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { LISTEN, tcpSockets } from '../../src/kernel/tcp-table.ts';
import { gateRefusal } from '../../src/kernel/unix-gate.ts';
import { EnvironmentError } from '../../src/errors.ts';
import { refuseUnixSockets } from '../../src/replay/running-unix.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import { call } from '../unit/replay/build.ts';
import { exported, koala, Recorder, whyNotRecordable } from './recorder.ts';
import { startReplay } from './replay/command.ts';
import { cannotTakeRunning, leftovers, started, until, type Started } from './replay/running.ts';
import { hostState, planned, planRequest, play, SERVICE, type Step } from './replay/stage.ts';
import { freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { mariadb, type Mariadb } from './services/dependency.ts';
import { skipIf } from '../skip.ts';

const DATABASE = join(import.meta.dirname, 'replay', 'unix-database.mjs');
const TWO_POOLS = join(import.meta.dirname, 'replay', 'two-pools.php');
const SESSIONS = 20;

/** What is heard after `text` was sent, until as much was heard or the connection ends. */
function ask(where: number | string, text: string, length: number): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    socket.on('connect', () => { socket.write(text); });
    socket.on('data', (bytes) => {
      heard += bytes.toString();
      if (heard.length >= length) socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => { heard += error.code ?? ''; });
    socket.on('close', () => { resolve(heard); });
  });
}

const EVERYTHING = Number.POSITIVE_INFINITY;

describe('unix sockets of a service that runs already', function () {
  this.timeout(180_000);
  let folder = '';
  let before = '';
  let running: Started[] = [];

  beforeEach(function () {
    skipIf(this, cannotTakeRunning() ?? gateRefusal());
    before = hostState();
    folder = temporaryDir('running-unix');
    running = [];
  });

  afterEach(async function () {
    if (this.currentTest?.isPending() === true) return;
    for (const one of running) await one.stop();
    removeDir(folder);
    assert.equal(hostState(), before, 'firewall and mounts are as they were');
    assert.deepEqual(leftovers(), []);
  });

  const run = async (argv: readonly string[]): Promise<Started> => {
    const one = await started(argv);
    running.push(one);
    return one;
  };

  /** A real database at `db.sock` and `other.sock`, and a service with a warm pool at the first. */
  async function stage(environment: readonly string[] = []): Promise<{ db: string; other: string; port: number; real: Started; service: Started; asked(): string[] }> {
    const [db, other, port] = [join(folder, 'db.sock'), join(folder, 'other.sock'), await freePort()];
    const real = await run([process.execPath, DATABASE, db, other, `@koala-test-${process.pid}`]);
    const service = await started(['env', ...environment, process.execPath, SERVICE, String(port)], port);
    running.push(service);
    assert.match(await ask(port, planRequest([{ to: `unix:${db}`, send: 'warm\n', read: 10, keep: 'db' }]), EVERYTHING), /real warm/);
    return { db, other, port, real, service, asked: () => real.lines.filter((line) => line.startsWith('asked ') && line !== 'asked warm' && line !== 'asked neighbour') };
  }

  /** The service asks on its warm pool and on a new connection, by this name. */
  const asking = (path: string, name: string, id: string): ReturnType<typeof planned> => {
    const steps: Step[] = [{ to: `unix:${path}`, send: `pooled ${id}\n`, read: 5, keep: 'db' }, { to: `unix:${name}`, send: `fresh ${id}\n`, read: 5 }];
    return planned(steps, ['taped', 'taped'], steps.map(({ send }) => call({ to: `unix:${path}`, request: send, response: 'taped' })), { id });
  };

  it('are played, warm pools included, by whatever name it asks, while the real server counts nothing and a neighbour is not disturbed', async () => {
    mkdirSync(join(folder, 'real'));
    const { db, other, port, service, asked } = await stage();
    const abstract = `koala-test-${process.pid}`;
    const unrecorded: Step[] = [{ to: `unix:${other}`, send: 'no\n', read: 5 }, { to: `unix:@${abstract}`, send: 'no\n', read: 5 }];
    let neighbour = '';
    const playing = play([
      ...['a1', 'a2', 'a3'].map((id) => asking(db, db, id)),
      planned(unrecorded, ['ECONNREFUSED', 'ECONNREFUSED'], [], { id: 'b1' }),
      planned([{ to: '127.0.0.2:8081', send: 'wait', read: 1, timeoutMs: 1_500 }], ['timeout after '], [call({ to: '127.0.0.2:8081', request: 'wait' })], { id: 'c1' }),
    ], { command: [], running: { pid: service.pid }, sut: { host: '127.0.0.1', port } });
    await until('the redirection', () => hostState() !== before);
    neighbour = await ask(db, 'neighbour\n', 15);
    const { replayed, notes } = await playing;
    assert.deepEqual(replayed.map(({ verdict }) => verdict), ['same', 'same', 'same', 'same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(asked(), []);
    assert.equal(neighbour, 'real neighbour\n');
    assert.ok(notes.some((note) => note.includes('in vain') && note.includes(other) && note.includes(`@${abstract}`)), notes.join('\n'));
    // Its pool opens a real connection again.
    assert.match(await ask(port, planRequest([{ to: `unix:${db}`, send: 'afterwards\n', read: 10, keep: 'db' }, { to: `unix:${other}`, send: 'afterwards\n', read: 10 }]), EVERYTHING), /real afterwards.*real afterwards/);
  });

  it('are known by a relative name and through a link', async () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync(join(folder, 'real'), join(folder, 'var'));
    const db = join(folder, 'real', 'db.sock');
    const port = await freePort();
    const real = await run([process.execPath, DATABASE, db]);
    const service = await started(['sh', '-c', `cd "$1" && exec "$2" "$3" "$4"`, 'sh', folder, process.execPath, SERVICE, String(port)], port);
    running.push(service);
    const { replayed, notes } = await play([asking(db, 'real/db.sock', 'a'), asking(db, './real/db.sock', 'b')], { command: [], running: { pid: service.pid }, sut: { host: '127.0.0.1', port } });
    assert.deepEqual(replayed.map(({ verdict }) => verdict), ['same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(real.lines, ['up']);
  });

  it('that it made itself, and those that are let through, lead where they did', async () => {
    const own = join(folder, 'own.sock');
    const { db, other, port, service, asked } = await stage([`OWN_SOCKET=${own}`]);
    const steps: Step[] = [{ to: `unix:${own}`, send: '', read: 4 }, { to: `unix:${db}`, send: 'through\n', read: 13, keep: 'db' }, { to: `unix:${other}`, send: 'no\n', read: 5 }];
    const { replayed, notes } = await play([planned(steps, ['mine', 'real through\n', 'ECONNREFUSED'], [])],
      { command: [], running: { pid: service.pid }, sut: { host: '127.0.0.1', port }, bypassed: { addresses: [], names: [], operations: [], sockets: [db] } });
    assert.deepEqual(replayed.map(({ verdict }) => verdict), ['same'], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(asked(), ['asked through']);
  });

  it('lead where they did at once when the replayer is killed, and after SIGINT', async () => {
    const { db, port, service } = await stage();
    const slow = planned([{ to: '127.0.0.2:8081', send: 'wait', read: 1, timeoutMs: 60_000 }], [''], [call({ to: '127.0.0.2:8081', request: 'wait' })], { id: 'slow' });
    for (const signal of ['SIGKILL', 'SIGINT'] as const) {
      const replay = startReplay([slow, asking(db, db, 'never')], ['--pid', String(service.pid), '--sut', `127.0.0.1:${port}`, '--yes']);
      await until('the redirection', () => hostState() !== before);
      await until('the sockets to be led elsewhere', async () => (await ask(port, planRequest([{ to: `unix:${db}`, send: 'test\n', read: 1 }]), EVERYTHING)).includes('real test') === false);
      replay.child.kill(signal);
      await replay.outcome;
      assert.match(await ask(port, planRequest([{ to: `unix:${db}`, send: 'again\n', read: 10 }]), EVERYTHING), /real again/, signal);
      assert.equal((await koala(['clean'])).exit, 0);
    }
  });

  it('that this kernel can not redirect are a reason to refuse where one is open or recorded, unless they are let through', async () => {
    const { db, service } = await stage();
    const refused = (played: readonly string[], bypassed: readonly string[], pid = service.pid): string => {
      try {
        refuseUnixSockets([pid], { played, bypassed }, 'too old');
        return '';
      } catch (error) {
        assert.ok(error instanceof EnvironmentError);
        return error.message;
      }
    };
    assert.match(refused([], []), new RegExp(`can't be redirected \\(${db}\\): too old`));
    assert.equal(refused([], [db]), '');
    assert.match(refused(['/run/recorded.sock'], [db]), /recorded\.sock/);
    assert.equal(refused([], [], running[0]?.pid), '', 'who listens is not who is connected');
  });

  /** Queries that the server has counted: of its own account. */
  const counted = (sql: Mariadb): number => Number(execFileSync('mariadb', ['--no-defaults', '-S', sql.socket, '-u', 'root', '-BNe', "show global status like 'Com_select'"], { encoding: 'utf8' }).trim().split('\t')[1]);

  /** Recorded with its database, then replayed while that goes on: `inside` runs a command where the service lives. */
  async function prove(sql: Mariadb, host: string, inside: readonly string[], client: readonly string[]): Promise<void> {
    const port = await freePort();
    const dir = join(folder, 'rec');
    const [command = '', ...words] = inside;
    const php = await started([...(command === '' ? [] : [command, ...words]), 'env', `DB_SOCKET=${sql.socket}`, `DB_HOST=${host}`, `DB_PORT=${sql.port}`, 'php', '-q', '-S', `127.0.0.1:${port}`, TWO_POOLS], command === '' ? port : undefined);
    running.push(php);
    const asked = (n: number): string => execFileSync(client[0] ?? 'curl', [...client.slice(client.length === 0 ? 0 : 1), ...(client.length === 0 ? [] : ['curl']), '-sS', '--max-time', '20', `http://127.0.0.1:${port}/${n}`], { encoding: 'utf8' });
    await until('the service to listen', () => tcpSockets(php.pid).some(({ state, local }) => state === LISTEN && local.port === port));
    const recorder = await Recorder.attach([php.pid], dir);
    const answers = Array.from({ length: SESSIONS }, (_, n) => asked(n));
    await recorder.stop();
    assert.match(answers[0] ?? '', /^pool 0, order 0, asked at \d+\npool 1, order 0/);
    assert.equal((await exported(dir)).sessions.length, SESSIONS);
    // What the real server would say now is something else.
    execFileSync('mariadb', ['--no-defaults', '-S', sql.socket, '-u', 'root', 'shop', '-e', "insert into orders (rid, price) values ('later', 1)"]);
    const before = counted(sql);
    const { exit, stdout, stderr } = await koala(['replay', dir, '--pid', String(php.pid), '--json', '--yes'], 120_000);
    assert.equal(exit, 0, stdout.slice(0, 2).join('\n') + stderr);
    const replayed = stdout.map((line) => JSON.parse(line) as Replayed).filter(({ event }) => event === 'session');
    assert.ok(replayed.every(({ calls }) => calls.length >= 2), 'both pools were asked');
    assert.equal(replayed.length, SESSIONS);
    assert.equal(counted(sql), before, 'the real server was asked nothing');
    const after = asked(1);
    assert.equal(after.replaceAll(/asked at \d+/g, ''), answers[1]?.replaceAll(/asked at \d+/g, ''));
    assert.notEqual(after, answers[1], 'and is asked again afterwards');
    assert.equal(counted(sql), before + 2);
  }

  it('of a MariaDB that goes on running: it counts zero queries while a warm mysql.sock and a warm TCP pool are replayed', async function () {
    skipIf(this, await whyNotRecordable());
    const sql = await mariadb({ tcp: true });
    try {
      await prove(sql, '127.0.0.1', [], []);
    } finally {
      await sql.stop();
    }
  });

  it('of a MariaDB outside of the container in which the service lives: it counts zero queries while that is replayed', async function () {
    skipIf(this, await whyNotRecordable());
    const sql = await mariadb({ tcp: true });
    // A network and mounts of its own; the host's loopback is reached by a relay in the host's network, as a published port would be.
    const holder = await run(['unshare', '--net', '--mount', 'sh', '-c', 'ip link set lo up && mount -t tmpfs none /mnt && echo up && exec sleep 600']);
    const name = `kb${process.pid % 100_000}`;
    try {
      const linked = spawnSync('sh', ['-ec', `ip link add ${name} type veth peer name eth0 netns ${holder.pid}
        ip addr add 10.213.77.1/30 dev ${name}; ip link set ${name} up
        nsenter --net=/proc/${holder.pid}/ns/net sh -ec 'ip addr add 10.213.77.2/30 dev eth0; ip link set eth0 up; ip route add default via 10.213.77.1'`], { encoding: 'utf8' });
      if (linked.status !== 0) {
        console.log(`      skipped: no veth here: ${linked.stderr}`);
        this.skip();
      }
      const relay = await run(['python3', '-c', RELAY, '10.213.77.1', String(sql.port)]);
      assert.ok(relay.pid > 0);
      chmodSync(folder, 0o755);
      const inside = ['nsenter', `--net=/proc/${holder.pid}/ns/net`, `--mount=/proc/${holder.pid}/ns/mnt`, '--'];
      await prove(sql, '10.213.77.1', ['sh', '-c', 'echo up; exec "$@"', 'sh', ...inside], inside);
    } finally {
      await holder.stop();
      spawnSync('ip', ['link', 'del', name]);
      await sql.stop();
    }
  });
});

/** From that address to the same port of 127.0.0.1: MariaDB knows the user there. argv: address, port. */
const RELAY = `
import socket, sys, threading
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("up", flush=True)
def pump(a, b):
    try:
        while True:
            data = a.recv(65536)
            if not data: break
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        a.close(); b.close()
while True:
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
`;
