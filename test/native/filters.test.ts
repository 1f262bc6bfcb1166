/** Whom a recording holds: each filter against processes that say a word, and a sink that hears all of them. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, rmdirSync, symlinkSync, unlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connections, jsonLines, patience, startRecorder, whyNoRecorder, within, command, type Recorder } from './recorder.ts';
import { eventsOf, program, python, recordedWords, startSink, startSubject, until, type Sink, type Subject } from './subject.ts';
import { skipIf } from '../skip.ts';

const cgroupRoot = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  .map((line) => line.split(' - ')).find(([, type]) => type?.startsWith('cgroup2 '))?.[0]?.split(' ')[4];

describe('filters', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-filters-'));
  const cleanups: (() => void)[] = [];
  let sink: Sink;
  let recordings = 0;

  before(async function () {
    skipIf(this, whyNoRecorder());
    sink = await startSink();
  });
  afterEach(() => {
    for (const clean of cleanups.splice(0).reverse()) clean();
  });
  after(() => {
    sink?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const subject = (...args: Parameters<typeof startSubject> extends [string, ...infer Rest] ? Rest : never): Subject => {
    const one = startSubject(folder, ...args);
    cleanups.push(() => one.kill());
    return one;
  };
  const child = async (parent: Subject): Promise<Subject> => {
    const one = await parent.fork();
    cleanups.push(() => one.kill());
    return one;
  };
  const record = async (...targets: readonly string[]): Promise<Recorder> => {
    const recorder = await startRecorder(join(folder, `recording-${++recordings}`), targets);
    cleanups.push(() => recorder.kill('SIGKILL'));
    return recorder;
  };
  const say = (who: Subject, word: string): Promise<unknown> => who.run(`say(${sink.port}, '${word}')`);

  /**
   * Ends the recording and answers which words it holds; the sink must have heard them and the others. `ours`: whose bytes
   * must all be there; unless given everybody's, for then nobody is recorded but this test's processes.
   */
  async function words(recorder: Recorder, others: readonly string[] = [], ours?: readonly Subject[]): Promise<string[]> {
    const { code, summary } = await recorder.stop();
    assert.equal(code, 0, recorder.errors());
    if (ours === undefined) assert.equal(summary?.lost.bytes, 0, JSON.stringify(summary));
    else {
      const accounts = (await connections(recorder.dir)).filter(({ tgid }) => ours.some(({ pid }) => pid === tgid));
      assert.deepEqual(accounts.flatMap(({ ingress, egress }) => [...ingress.gaps, ...egress.gaps]), []);
    }
    const recorded = recordedWords(recorder.dir, sink.port);
    await until(() => [...recorded, ...others].every((word) => sink.heard.includes(word)), 'the sink hears every word');
    return recorded;
  }

  /** Waits until the recording holds so many TCP connections of a process. */
  const found = (recorder: Recorder, who: Subject, count: number): Promise<void> => until(() =>
    eventsOf(recorder.dir).filter((event) => event.kind === 'open' && event.tgid === who.pid && event.remote.port !== 0).length >= count, `${count} connections are found`);

  describe('processes whose numbers share their low 16 bits', () => {
    /** A process numbered `pid`: everybody forks, so it takes a few attempts. */
    async function numbered(pid: number): Promise<Subject> {
      for (let attempt = 0; attempt < 200; attempt++) {
        writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
        const one = subject();
        if (one.pid === pid) return one;
        one.kill();
        await sleep(20);
      }
      throw new Error(`no process got the number ${pid}`);
    }

    it('are told apart, and one is still recorded when the other has ended', async function () {
      if (!existsSync('/proc/sys/kernel/ns_last_pid')) {
        console.log('      skipped: this kernel does not let the next process number be chosen');
        this.skip();
      }
      const before = readFileSync('/proc/sys/kernel/pid_max', 'utf8');
      cleanups.push(() => writeFileSync('/proc/sys/kernel/pid_max', before));
      if (Number(before) < 1 << 18) writeFileSync('/proc/sys/kernel/pid_max', String(1 << 18));
      const first = subject();
      const stranger = await numbered(first.pid + (1 << 16));
      const second = await numbered(first.pid + (2 << 16));
      const recorder = await record('--pid', String(first.pid), '--pid', String(second.pid));
      await say(stranger, 'slot-stranger');
      await say(first, 'slot-first');
      await say(second, 'slot-second');
      second.kill();
      await until(() => !existsSync(`/proc/${second.pid}`), 'the second ends');
      await say(first, 'slot-first-again');
      await say(stranger, 'slot-stranger-again');
      assert.deepEqual(await words(recorder, ['slot-stranger', 'slot-stranger-again']), ['slot-first', 'slot-first-again', 'slot-second']);
    });
  });

  describe('--pid', () => {
    it('records the process, children born before and after, and grandchildren, and nobody else', async () => {
      const parent = subject();
      const stranger = subject();
      const before = await child(parent);
      const recorder = await record('--pid', String(parent.pid));
      const after = await child(parent);
      const grandchild = await child(before);
      await say(stranger, 'pid-stranger');
      await say(parent, 'pid-parent');
      await say(before, 'pid-before');
      await say(after, 'pid-after');
      await say(grandchild, 'pid-grandchild');
      assert.deepEqual(await words(recorder, ['pid-stranger']), ['pid-after', 'pid-before', 'pid-grandchild', 'pid-parent']);
    });

    it('still records a child whose parent has gone', async () => {
      const parent = subject();
      const recorder = await record('--pid', String(parent.pid));
      const orphan = await child(parent);
      parent.kill();
      await until(() => readFileSync(`/proc/${orphan.pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[1] !== String(parent.pid), 'an orphan');
      await say(orphan, 'pid-orphan');
      assert.deepEqual(await words(recorder), ['pid-orphan']);
    });

    it('ends when all that it watches have ended, and not while one lives', async () => {
      const parent = subject();
      const recorder = await record('--pid', String(parent.pid));
      const orphan = await child(parent);
      parent.kill();
      assert.equal(await Promise.race([recorder.ended, sleep(1000, 'lives')]), 'lives');
      orphan.kill();
      assert.equal(await within(recorder.ended, 10_000 * patience, 'it did not end'), 0);
    });
  });

  describe('--exe', () => {
    const deploy = join(folder, 'deploy');
    const service = join(deploy, 'current', 'service');
    const bash = execFileSync('sh', ['-c', 'command -v bash'], { encoding: 'utf8' }).trim();
    const script = (word: string): string => `printf ${word} >/dev/tcp/127.0.0.1/${sink.port}`;
    const runs = (word: string, path: string, cwd = '/'): void => void execFileSync(path, ['-c', script(word)], { cwd });

    before(() => {
      for (const version of ['v1', 'v2']) {
        mkdirSync(join(deploy, version), { recursive: true });
        copyFileSync(bash, join(deploy, version, 'service'));
      }
      symlinkSync('v1', join(deploy, 'current'));
    });

    it('follows what runs it through restarts, a replaced file, and another way to write its path', async () => {
      const recorder = await record('--exe', service);
      runs('exe-first', service);
      runs('exe-real-path', join(deploy, 'v1', 'service'));
      runs('exe-relative', './service', join(deploy, 'v1'));
      copyFileSync(bash, join(deploy, 'v1', 'service.new'));
      renameSync(join(deploy, 'v1', 'service.new'), join(deploy, 'v1', 'service'));
      runs('exe-replaced', service);
      runs('exe-replaced-real', join(deploy, 'v1', 'service'));
      runs('exe-replaced-relative', './service', join(deploy, 'v1'));
      unlinkSync(join(deploy, 'current'));
      symlinkSync('v2', join(deploy, 'current'));
      runs('exe-switched', service);
      unlinkSync(join(deploy, 'current'));
      symlinkSync('v1', join(deploy, 'current'));
      runs('exe-stranger', bash);
      const expected = ['exe-first', 'exe-real-path', 'exe-relative', 'exe-replaced', 'exe-replaced-real', 'exe-replaced-relative', 'exe-switched'];
      assert.deepEqual(await words(recorder, ['exe-stranger']), expected.sort());
    });

    it('records what its processes start, whatever that runs', async () => {
      const recorder = await record('--exe', service);
      execFileSync(service, ['-c', `${bash} -c '${script('exe-child')}'; true`]);
      assert.deepEqual(await words(recorder), ['exe-child']);
    });

    it('records a process that runs already, also when its file was replaced since', async () => {
      const running = spawn(service, ['-c', `read -r; ${script('exe-running')}`], { stdio: ['pipe', 'inherit', 'inherit'] });
      cleanups.push(() => void running.kill('SIGKILL'));
      await until(() => readFileSync(`/proc/${running.pid}/comm`, 'utf8').trim() === 'service', 'it runs');
      copyFileSync(bash, join(deploy, 'v1', 'service.new'));
      renameSync(join(deploy, 'v1', 'service.new'), join(deploy, 'v1', 'service'));
      const recorder = await record('--exe', service);
      const gone = new Promise((resolve) => running.once('exit', resolve));
      running.stdin.end('\n');
      await gone;
      assert.deepEqual(await words(recorder), ['exe-running']);
    });

    it('waits for a file that is not there yet', async () => {
      const late = join(deploy, 'late');
      const recorder = await record('--exe', late);
      copyFileSync(bash, late);
      runs('exe-late', './late', deploy);
      assert.deepEqual(await words(recorder), ['exe-late']);
    });

    it('does not end when its process does', async () => {
      const recorder = await record('--exe', service);
      runs('exe-once', service);
      assert.equal(await Promise.race([recorder.ended, sleep(1000, 'lives')]), 'lives');
      assert.deepEqual(await words(recorder), ['exe-once']);
    });
  });

  describe('--cgroup', () => {
    const name = `/koala-test-${process.pid}`;
    const path = `${cgroupRoot ?? ''}${name}`;
    const join_ = (pid: number, group: string): void => writeFileSync(`${group}/cgroup.procs`, String(pid));
    const leave = (pid: number): void => writeFileSync(`${cgroupRoot ?? ''}/cgroup.procs`, String(pid));

    before(function () {
      if (cgroupRoot === undefined) {
        console.log('      skipped: no cgroup2 hierarchy is mounted here');
        this.skip();
      }
    });
    const made = (group: string): string => {
      mkdirSync(group);
      cleanups.push(() => {
        for (let attempt = 0; attempt < 100; attempt++) {
          try {
            rmdirSync(group);
            return;
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20); // what ran in it is being buried
          }
        }
      });
      return group;
    };

    it('records who is in it, who is moved in, what is below it, and nobody else', async () => {
      made(path);
      const inside = subject();
      const moved = subject();
      const stranger = subject();
      const nested = subject();
      join_(inside.pid, path);
      const recorder = await record('--cgroup', name);
      const born = await child(inside);
      await say(moved, 'cgroup-before-it-moved');
      join_(moved.pid, path);
      join_(nested.pid, made(`${path}/below`));
      for (const [who, word] of [[inside, 'inside'], [moved, 'moved'], [stranger, 'stranger'], [nested, 'nested'], [born, 'born']] as const) {
        await say(who, `cgroup-${word}`);
      }
      const recorded = await words(recorder, ['cgroup-stranger', 'cgroup-before-it-moved']);
      assert.deepEqual(recorded, ['cgroup-born', 'cgroup-inside', 'cgroup-moved', 'cgroup-nested']);
      for (const one of [inside, moved, nested, born]) leave(one.pid);
    });

    it('follows a group that is removed and made anew, as systemd does at a restart', async () => {
      made(path);
      const first = subject();
      join_(first.pid, path);
      const recorder = await record('--cgroup', path);
      await say(first, 'cgroup-first-life');
      await first.end();
      await until(() => readFileSync(`${path}/cgroup.procs`, 'utf8') === '', 'the group is empty');
      rmdirSync(path);
      mkdirSync(path);
      const second = subject();
      join_(second.pid, path);
      await say(second, 'cgroup-second-life');
      leave(second.pid);
      assert.deepEqual(await words(recorder), ['cgroup-first-life', 'cgroup-second-life']);
    });

    it('knows the listener and the connections of a process that is moved in', async () => {
      made(path);
      const server = subject();
      const client = subject();
      const port = await server.number('l = listener(); answer = l.getsockname()[1]');
      await server.run(`up = socket.create_connection(('127.0.0.1', ${sink.port})); up.sendall(b'unseen')`);
      await client.run(`c = socket.create_connection(('127.0.0.1', ${port})); c.sendall(b'early')`);
      await server.run('s, _ = l.accept(); answer = s.recv(100).decode()');
      const recorder = await record('--cgroup', name);
      join_(server.pid, path);
      await found(recorder, server, 2);
      await until(() => eventsOf(recorder.dir).some((event) => event.kind === 'listen' && event.local.port === port), 'its listener is found');
      await client.run('c.sendall(b"late")');
      await server.run('answer = s.recv(100).decode()');
      await client.run(`d = socket.create_connection(('127.0.0.1', ${port})); d.sendall(b'new')`);
      await server.run('t, _ = l.accept(); answer = t.recv(100).decode()');
      const { code } = await recorder.stop();
      leave(server.pid);
      assert.equal(code, 0);
      const accounts = (await connections(recorder.dir)).filter(({ tgid }) => tgid === server.pid);
      const told = accounts.map(({ role, learnt, ingress, egress }) => `${role} ${learnt} ${ingress.from}+${ingress.bytes} ${egress.from}+${egress.bytes}`);
      assert.deepEqual(told.sort(), ['inbound accept 0+3 0+0', 'inbound seen 5+4 0+0', 'outbound seen 0+0 6+0']);
    });
  });

  describe('--port', () => {
    it('records who listens there already, with children, and who begins to; in whatever network namespace', async () => {
      const early = subject();
      const late = subject();
      const apart = subject(['unshare', '--net', python, program]);
      const stranger = subject();
      const port = await early.number('l = listener(); answer = l.getsockname()[1]');
      const worker = await child(early);
      await apart.run('subprocess.run(["ip", "link", "set", "lo", "up"], check=True)');
      const recorder = await record('--port', String(port));
      await say(late, 'port-before-it-listened');
      await early.run('l.close()');
      await worker.run('l.close()');
      await late.run(`l = listener(${port})`);
      await apart.run(`l = listener(${port})`);
      await apart.run(`c = socket.create_connection(('127.0.0.1', ${port})); c.sendall(b'port-apart'); s, _ = l.accept(); answer = s.recv(100).decode(); c.close(); s.close()`);
      for (const [who, word] of [[early, 'early'], [worker, 'worker'], [late, 'late'], [stranger, 'stranger']] as const) await say(who, `port-${word}`);
      assert.deepEqual(await words(recorder, ['port-stranger', 'port-before-it-listened']), ['port-early', 'port-late', 'port-worker']);
      const accounts = (await connections(recorder.dir)).filter(({ tgid, local, remote }) => tgid === apart.pid && (local.endsWith(`:${port}`) || remote.endsWith(`:${port}`)));
      assert.deepEqual(accounts.map(({ role, ingress }) => [role, ingress.bytes]).sort(), [['inbound', 10], ['outbound', 0]]);
    });

    it('finds the connections that a process had before it began to listen', async () => {
      const late = subject();
      await late.run(`up = socket.create_connection(('127.0.0.1', ${sink.port})); up.sendall(b'pool')`);
      const free = await subject().number('l = listener(); answer = l.getsockname()[1]; l.close()');
      const recorder = await record('--port', String(free));
      await late.run(`l = listener(${free})`);
      await found(recorder, late, 1);
      await recorder.stop();
      const accounts = (await connections(recorder.dir)).filter(({ tgid }) => tgid === late.pid);
      assert.deepEqual(accounts.map(({ role, learnt, egress }) => [role, learnt, egress.from]), [['outbound', 'seen', 4]]);
    });

    it('does not end when nobody listens there any more', async () => {
      const one = subject();
      const port = await one.number('l = listener(); answer = l.getsockname()[1]');
      const recorder = await record('--port', String(port));
      await one.end();
      assert.equal(await Promise.race([recorder.ended, sleep(1000, 'lives')]), 'lives');
      assert.equal((await recorder.stop()).code, 0);
    });
  });

  describe('several filters', () => {
    it('are a union', async () => {
      const byPid = subject();
      const byPort = subject();
      const byExe = join(folder, 'union-service');
      const stranger = subject();
      copyFileSync(execFileSync('sh', ['-c', 'command -v bash'], { encoding: 'utf8' }).trim(), byExe);
      const port = await byPort.number('l = listener(); answer = l.getsockname()[1]');
      const recorder = await record('--pid', String(byPid.pid), '--port', String(port), '--exe', byExe);
      await say(byPid, 'union-pid');
      await say(byPort, 'union-port');
      await say(stranger, 'union-stranger');
      execFileSync(byExe, ['-c', `printf union-exe >/dev/tcp/127.0.0.1/${sink.port}`]);
      assert.deepEqual(await words(recorder, ['union-stranger']), ['union-exe', 'union-pid', 'union-port']);
    });
  });

  describe('--all', () => {
    it('records everybody but koala-bpf, also while its reader runs', async () => {
      const here = subject();
      const recorder = await record('--all');
      const later = subject();
      await say(here, 'all-here');
      await say(later, 'all-later');
      const reader = spawn(command, ['events', recorder.dir, '--follow', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
      cleanups.push(() => void reader.kill('SIGKILL'));
      let read = 0;
      reader.stdout.on('data', (chunk: Buffer) => { read += chunk.length; });
      await until(() => read > 0, 'the reader reads');
      await jsonLines(['connections', recorder.dir, '--json']);
      await sleep(500);
      assert.equal(await Promise.race([recorder.ended, sleep(100, 'lives')]), 'lives');
      // Whoever else runs on this machine may be in the middle of a call when the recorder comes.
      const recorded = await words(recorder, [], [here, later]);
      assert.deepEqual(recorded.filter((word) => word.startsWith('all-')), ['all-here', 'all-later']);
      const ours = new Set([recorder.pid, reader.pid]);
      const moved = eventsOf(recorder.dir).filter((event) => event.kind !== 'process' && event.kind !== 'pause' && ours.has(event.tgid));
      assert.deepEqual(moved, []);
      assert.deepEqual(eventsOf(recorder.dir).filter(({ tgid }) => tgid === recorder.pid), []);
    });
  });
});
