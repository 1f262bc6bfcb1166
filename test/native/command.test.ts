/** `attach -- CMD`: from its first instruction, as the user who asked, and what happens when it can't be run. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { attach, type Attached } from './attached.ts';
import { connections, patience, whyNoRecorder } from './recorder.ts';
import { program, python, recordedWords, startSink, until, type Sink } from './subject.ts';
import { skipIf } from '../skip.ts';

/** How long CMD may take to end after the signal that ends the recording (src/cli/attach.ts). */
const GRACE_MS = 3000;

describe('attach -- CMD', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-command-'));
  const started: Attached[] = [];
  let sink: Sink;
  let count = 0;

  before(async function () {
    skipIf(this, whyNoRecorder());
    chmodSync(folder, 0o755);
    sink = await startSink();
  });
  afterEach(() => { for (const one of started.splice(0)) one.kill('SIGKILL'); });
  after(() => {
    sink?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const fresh = (): string => join(folder, `recording-${++count}`);
  const run = (dir: string, cmd: readonly string[], ...more: [flags?: readonly string[], env?: NodeJS.ProcessEnv, before?: readonly string[]]): Attached => {
    const [flags = ['--json'], env = {}, before = []] = more;
    const one = attach(['--out', dir, ...flags, '--', ...cmd], { env: { ...process.env, ...env } }, before);
    started.push(one);
    return one;
  };
  const alive = (pid: number): boolean => {
    try {
      return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
    } catch {
      return false;
    }
  };

  it('records its first connection whole, and ends when it does, with status 0 and its status told', async () => {
    const dir = fresh();
    const one = run(dir, [python, program, '--say', `${sink.port}:cmd-first`, '--exit', '5']);
    assert.equal(await one.ended, 0, one.stderr());
    assert.equal((await one.summary())['exitStatus'], 5);
    assert.deepEqual(recordedWords(dir, sink.port), ['cmd-first']);
    assert.deepEqual((await connections(dir)).filter(({ remote }) => remote.endsWith(`:${sink.port}`)).map(({ learnt, egress }) => [learnt, egress.from]), [['connect', 0]]);
    await until(() => sink.heard.includes('cmd-first'), 'the sink hears it');
  });

  it('names the process in targets, which becomes CMD under the same id', async () => {
    const dir = fresh();
    const one = run(dir, [python, '-c', 'import os, sys; print("i am", os.getpid(), file=sys.stderr)']);
    const targets = (await one.recording())['targets'] as { tgid: number; command: string }[];
    assert.equal(await one.ended, 0);
    assert.deepEqual(targets.map((target) => target.command), [basename(python).slice(0, 15)]);
    assert.match(one.stderr(), new RegExp(`^i am ${targets[0]?.tgid}$`, 'm'));
  });

  it('that a signal ends has 128 and the signal as its status', async () => {
    const one = run(fresh(), ['sh', '-c', 'kill -TERM $$']);
    assert.equal(await one.ended, 0);
    assert.equal((await one.summary())['exitStatus'], 143);
  });

  it('goes on with what CMD left behind, until that has ended', async () => {
    const dir = fresh();
    const one = run(dir, ['sh', '-c', `(sleep 1; exec ${python} ${program} --say ${sink.port}:cmd-daemon) & exit 3`]);
    assert.equal(await one.ended, 0);
    assert.equal((await one.summary())['exitStatus'], 3);
    assert.deepEqual(recordedWords(dir, sink.port), ['cmd-daemon']);
  });

  it('with --json leaves stdout to the JSON lines; CMD says what it says on stderr', async () => {
    const one = run(fresh(), ['sh', '-c', 'echo from-stdout; echo from-stderr >&2']);
    assert.equal(await one.ended, 0);
    assert.deepEqual(one.stdout().trim().split('\n').map((line) => (JSON.parse(line) as { event: string }).event), ['recording', 'summary']);
    assert.match(one.stderr(), /^from-stdout$/m);
    assert.match(one.stderr(), /^from-stderr$/m);
  });

  it('without --json leaves stdout to CMD', async () => {
    const one = run(fresh(), ['sh', '-c', 'echo from-stdout'], []);
    assert.equal(await one.ended, 0);
    assert.equal(one.stdout(), 'from-stdout\n');
    assert.match(one.stderr(), /recording/);
  });

  it('hands CMD its words as they are', async () => {
    const one = run(fresh(), ['sh', '-c', 'printf "<%s>" "$@"', 'sh', 'a b', '', '--json', '*', 'long '.repeat(2_000)]);
    assert.equal(await one.ended, 0);
    assert.match(one.stderr(), /<a b><><--json><\*>/);
  });

  it('runs CMD as the user who called sudo, with that user\'s groups and home', async () => {
    const etc = join(folder, 'etc');
    mkdirSync(etc);
    writeFileSync(join(etc, 'passwd'), `${readFileSync('/etc/passwd', 'utf8')}koalatest:x:34567:34567::/home/koalatest:/bin/sh\n`);
    writeFileSync(join(etc, 'group'), `${readFileSync('/etc/group', 'utf8')}koalatest:x:34567:\nkoalamore:x:34568:koalatest\n`);
    const mounts = 'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"';
    const env = { SUDO_UID: '34567', SUDO_GID: '34567', SUDO_USER: 'koalatest' };
    const script = 'echo "who $(id -u) $(id -g) ($(id -G)) $HOME $USER sudo=$SUDO_UID"; cat /proc/self/status | grep CapEff';
    const one = run(fresh(), ['sh', '-c', script], ['--json'], env, ['unshare', '--mount', 'sh', '-c', mounts, etc]);
    assert.equal(await one.ended, 0, one.stderr());
    assert.match(one.stderr(), /^who 34567 34567 \(34567 34568\) \/home\/koalatest koalatest sudo=$/m);
    assert.match(one.stderr(), /^CapEff:\s0+$/m);
  });

  describe('that can\'t be run is the user\'s mistake:', () => {
    const file = (name: string, content: string | Buffer, mode = 0o755): string => {
      const path = join(folder, name);
      writeFileSync(path, content, { mode });
      chmodSync(path, mode);
      return path;
    };
    const elf = readFileSync('/proc/self/exe').subarray(0, 4096);
    const foreign = Buffer.from(elf);
    foreign.writeUInt16LE(0x1234, 18); // e_machine
    const cases: readonly [string, () => string][] = [
      ['a path that is not there', () => join(folder, 'nothing')],
      ['a name that is not in PATH', () => 'koala-no-such-command'],
      ['a file that is not executable', () => file('plain', 'echo hello\n', 0o644)],
      ['a folder', () => folder],
      ['a program for another machine', () => file('foreign', foreign)],
      ['a program that was cut short', () => file('short', elf.subarray(0, 100))],
      ['a binary that is no program', () => file('binary', Buffer.from([1, 2, 3, 0, 5, 6, 10, 7]))],
      ['a script whose interpreter is not there', () => file('script', '#!/no/such/interpreter\n')],
    ];
    for (const [what, path] of cases) {
      it(what, async () => {
        const name = path();
        const one = run(fresh(), [name]);
        assert.equal(await one.ended, 2, one.stderr());
        const said = one.stderr().trim().split('\n').filter((line) => !line.startsWith('Recordings hold') && !line.includes('credentials'));
        assert.equal(said.length, 1, one.stderr());
        assert.ok(said[0]?.includes(name), one.stderr());
      });
    }

    it('a file that the user who called sudo may not execute', async () => {
      const path = file('private', '#!/bin/sh\necho ran\n', 0o700);
      const one = run(fresh(), [path], ['--json'], { SUDO_UID: '65534', SUDO_GID: '65534' });
      assert.equal(await one.ended, 2, one.stderr());
      assert.doesNotMatch(one.stderr(), /^ran$/m);
    });

    it('but a script without an interpreter runs, as in a shell', async () => {
      const one = run(fresh(), [file('bare', 'echo bare-script; exit 7\n')]);
      assert.equal(await one.ended, 0, one.stderr());
      assert.equal((await one.summary())['exitStatus'], 7);
    });

    it('and 126 or 127 of a CMD that ran are its own', async () => {
      for (const status of [126, 127]) {
        const one = run(fresh(), ['sh', '-c', `exit ${status}`]);
        assert.equal(await one.ended, 0, one.stderr());
        assert.equal((await one.summary())['exitStatus'], status);
      }
    });
  });

  describe('held, where the recorder fails before it lets CMD run:', () => {
    /** Node's own module hook: the recorder's first line for scripts, the announcement, does this instead. */
    const atAnnouncement = (code: string): NodeJS.ProcessEnv => {
      const body = `const write = process.stdout.write; process.stdout.write = function (text, ...more) { if (String(text).includes('"event":"recording"')) { ${code} } return write.call(this, text, ...more); };`;
      return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(body)}` };
    };
    /** By the held shell's arguments, which nobody else has. */
    const waiting = (mark: string): number[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return words.startsWith('/bin/sh') && words.includes(mark) && alive(pid);
      } catch {
        return false;
      }
    });
    const touch = (mark: string): string[] => ['touch', join(folder, mark)];

    it('an exception ends CMD, unrun, and the recorder, with a readable recording', async () => {
      const dir = fresh();
      const one = run(dir, touch('held-and-thrown'), ['--json'], atAnnouncement('throw new Error("thrown by the test")'));
      assert.equal(await one.ended, 70, one.stderr());
      assert.match(one.stderr(), /thrown by the test/);
      assert.deepEqual(waiting('held-and-thrown'), []);
      assert.equal(existsSync(join(folder, 'held-and-thrown')), false, 'it ran');
      assert.deepEqual(await connections(dir), []);
    });

    it('kill -9 of the recorder ends it too', async () => {
      const one = run(fresh(), touch('held-and-killed'), ['--json'], atAnnouncement('process.kill(process.pid, "SIGKILL")'));
      assert.equal(await one.exited, 'SIGKILL', one.stderr());
      await until(() => waiting('held-and-killed').length === 0, 'the held shell sees the pipe\'s end');
      await one.ended;
      assert.equal(existsSync(join(folder, 'held-and-killed')), false, 'it ran');
    });
  });

  describe('where the recorder fails after that:', () => {
    it('CMD runs on, and the recorder does not wait for it', async () => {
      const failing = `const clear = globalThis.clearInterval; const set = globalThis.setInterval; globalThis.setInterval = (call, ms, ...more) => { if (ms === 100) throw new Error('thrown by the test'); return set(call, ms, ...more); };`;
      const one = run(fresh(), ['sleep', '600'], ['--json'], { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(failing)}` });
      const { tgid } = ((await one.recording())['targets'] as { tgid: number }[])[0] ?? { tgid: 0 };
      try {
        assert.equal(await one.exited, 70, one.stderr());
        assert.equal(alive(tgid), true, 'CMD was ended with the recorder');
      } finally {
        process.kill(tgid, 'SIGKILL');
      }
    });
  });

  describe('and the end:', () => {
    const said = join(folder, 'said');
    const stubborn = `trap 'echo INT >> ${said}' INT; trap 'echo TERM >> ${said}' TERM; echo ready >> ${said}; while :; do sleep 0.1; done`;
    /** CMD that says a word on its way out, without starting anything: it has three seconds for that. */
    const polite = (word: string): string[] => ['bash', '-c',
      `trap 'printf ${word} >/dev/tcp/127.0.0.1/${sink.port}; exit 4' INT TERM; exec 9<> <(:); echo ready >> ${said}; while :; do read -r -t 0.1 -u 9; done`];
    beforeEach(() => writeFileSync(said, '', { mode: 0o666 }));
    const ready = (): Promise<void> => until(() => readFileSync(said, 'utf8').includes('ready'), 'CMD is ready');

    it('SIGINT to the recorder reaches CMD, and what CMD says on its way out is recorded', async () => {
      const dir = fresh();
      const one = run(dir, polite('cmd-bye'));
      await one.recording();
      await ready();
      one.kill('SIGINT');
      assert.equal(await one.ended, 0, one.stderr());
      assert.equal((await one.summary())['exitStatus'], 4);
      assert.deepEqual(recordedWords(dir, sink.port), ['cmd-bye']);
    });

    it('a second signal does not wait for a CMD that will not end', async () => {
      // Without it CMD has a grace of three seconds, never less: one end before that shows it, however busy the machine is.
      let tookMs = Infinity;
      for (let attempt = 0; attempt < 5 && tookMs >= GRACE_MS; attempt++) {
        writeFileSync(said, '', { mode: 0o666 });
        const one = run(fresh(), ['sh', '-c', stubborn]);
        const { tgid } = ((await one.recording())['targets'] as { tgid: number }[])[0] ?? { tgid: 0 };
        await ready();
        const atMs = performance.now();
        one.kill('SIGINT');
        await until(() => readFileSync(said, 'utf8').includes('INT'), 'CMD hears it');
        one.kill('SIGINT');
        assert.equal(await one.exited, 0, one.stderr());
        tookMs = performance.now() - atMs;
        assert.equal((await one.summary())['exitStatus'], undefined);
        assert.equal(alive(tgid), true, 'CMD is not ended by force');
        process.kill(tgid, 'SIGKILL');
        await one.ended;
        assert.match(one.stderr(), new RegExp(`still runs.*${tgid}`));
      }
      assert.ok(tookMs < GRACE_MS, `${Math.round(tookMs)} ms`);
    });

    it('--duration ends CMD with SIGTERM, and what CMD says on its way out is recorded', async () => {
      const dir = fresh();
      // Long enough for CMD to have set its traps.
      const one = run(dir, polite('cmd-late'), ['--json', '--duration', '5s']);
      const { tgid } = ((await one.recording())['targets'] as { tgid: number }[])[0] ?? { tgid: 0 };
      assert.equal(await one.ended, 0, one.stderr());
      assert.equal((await one.summary())['exitStatus'], 4);
      assert.deepEqual(recordedWords(dir, sink.port), ['cmd-late']);
      assert.equal(alive(tgid), false);
    });
  });
});
