/** What `attach` does with signals, times, streams and folders that are not as usual. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attach, type Attached } from './attached.ts';
import { command, connections, patience, whyNoRecorder } from './recorder.ts';
import { until } from './subject.ts';
import { skipIf } from '../skip.ts';

describe('attach', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-attach-'));
  const started: Attached[] = [];
  let count = 0;

  before(function () {
    skipIf(this, whyNoRecorder());
  });
  afterEach(() => { for (const one of started.splice(0)) one.kill('SIGKILL'); });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const fresh = (): string => join(folder, `recording-${++count}`);
  const myself = ['--pid', String(process.pid)];
  const run = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Attached => {
    const one = attach(words, { env: { ...process.env, ...env } });
    started.push(one);
    return one;
  };

  it('ends in good order by a signal that comes before it records', async () => {
    const dir = fresh();
    const one = run([...myself, '--out', dir, '--json']);
    await until(() => existsSync(dir), 'the folder is made');
    one.kill('SIGINT');
    assert.equal(await one.ended, 0, one.stderr());
    assert.equal((await one.recording())['dir'], dir);
    assert.equal((await one.summary())['dir'], dir);
  });

  it('records from its sources too, as they are in a checkout', async () => {
    const dir = fresh();
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'attach', ...myself, '--out', dir, '--json'], { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { said += text; });
    const ended = once(child, 'close');
    await until(() => said.includes('"recording"') || child.exitCode !== null, 'it records');
    child.kill('SIGTERM');
    assert.equal((await ended)[0], 0, said);
    assert.match(said, /"event":"summary"/);
  });

  it('ends in good order when its terminal hangs up, and goes on under nohup', async () => {
    for (const [prefix, survives] of [[[], false], [['nohup'], true]] as const) {
      const dir = fresh();
      const [program = '', ...args] = [...prefix, command, 'attach', ...myself, '--out', dir, '--json'];
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => { said += text; });
      child.stderr.resume();
      const ended = once(child, 'close');
      await until(() => said.includes('"recording"'), 'it records');
      child.kill('SIGHUP');
      if (survives) {
        await sleep(1_000);
        assert.doesNotMatch(said, /"summary"/);
        child.kill('SIGTERM');
      }
      assert.deepEqual((await ended)[0], 0, said);
      assert.match(said, /"event":"summary"/);
    }
  });

  it('takes a duration that is longer than a timer can be', async () => {
    const one = run([...myself, '--out', fresh(), '--duration', '1000h', '--json']);
    await one.recording();
    await sleep(500);
    one.kill('SIGTERM');
    assert.equal(await one.ended, 0, one.stderr());
    assert.ok(Number((await one.summary())['durationMs']) >= 500);
    assert.doesNotMatch(one.stderr(), /Warning/);
  });

  it('refuses a recording of which nothing can be read, in one line', async () => {
    const dir = fresh();
    mkdirSync(dir);
    writeFileSync(join(dir, '00000001.koala'), Buffer.alloc(5000, 7));
    const one = run([...myself, '--out', dir]);
    assert.equal(await one.ended, 2, one.stderr());
    assert.match(one.stderr(), /^koala-bpf: [^\n]*00000001\.koala[^\n]*\n$/);
  });

  it('records on where stdout takes nothing', async () => {
    const dir = fresh();
    const full = openSync('/dev/full', 'w');
    const child = spawn(command, ['attach', ...myself, '--out', dir, '--json', '--duration', '1s'], { stdio: ['ignore', full, 'pipe'] });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    const [status] = await once(child, 'close') as [number];
    closeSync(full);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^koala-bpf: Cannot write to stdout: [^\n]*$/m);
    assert.doesNotMatch(stderr, /^\s+at /m);
    execFileSync(command, ['ls', dir]);
  });

  describe('to a process with a connection:', () => {
    let server: Server;
    let socket: Socket;
    before(async () => {
      server = createServer((peer) => peer.pipe(peer)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      socket = createConnection((server.address() as { port: number }).port, '127.0.0.1');
      await once(socket, 'connect');
    });
    after(() => {
      socket?.destroy();
      server?.close();
    });

    it('names the process of a connection that is older than the recorder', async () => {
      const dir = fresh();
      const one = run([...myself, '--out', dir, '--json']);
      const targets = (await one.recording())['targets'] as { tgid: number; command: string }[];
      socket.write('hello');
      await once(socket, 'data');
      one.kill('SIGTERM');
      assert.equal(await one.ended, 0, one.stderr());
      const older = (await connections(dir)).filter(({ learnt }) => learnt === 'seen');
      assert.ok(older.length >= 2);
      const names = new Set(targets.filter(({ tgid }) => tgid === process.pid).map((target) => target.command));
      assert.deepEqual(new Set(older.map((connection) => (connection as unknown as { command: string }).command)), names);
    });
  });

  it('and export: what sudo makes belongs to who called it', async () => {
    const dir = fresh();
    const sudo = { SUDO_UID: '12345', SUDO_GID: '23456' };
    const one = run([...myself, '--out', dir, '--json', '--duration', '1s'], sudo);
    const server = createServer((peer) => peer.once('data', () => peer.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await one.recording();
    const client = createConnection((server.address() as { port: number }).port, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client.resume(), 'close');
    server.close();
    assert.equal(await one.ended, 0, one.stderr());
    const cases = join(folder, 'cases');
    const log = join(folder, 'koala.log');
    execFileSync(command, ['export', dir, '--format', 'json', '--out', cases], { env: { ...process.env, ...sudo, KOALA_LOG_FILE: log } });
    const files = [dir, ...readdirSync(dir).map((name) => join(dir, name)), cases, ...readdirSync(cases).map((name) => join(cases, name)), log];
    assert.ok(readdirSync(cases).length > 0);
    for (const path of files) {
      const { uid, gid, mode } = statSync(path);
      assert.deepEqual([uid, gid, mode & 0o077], [12345, 23456, 0], path);
    }
  });
});
