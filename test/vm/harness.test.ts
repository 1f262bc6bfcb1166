/** The harness itself: what goes in comes out, whatever way a machine ends. Light commands on one kernel. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { project, reasonToSkip, start, vm } from './machine.ts';
import { skipIf } from '../skip.ts';

const series = '6.1';

describe('scripts/vm', function () {
  this.timeout(400_000);
  let folder: string;
  /** Seconds that are enough to boot, however busy this machine is: as long as four boots just now. */
  let enough: string;

  before(async function () {
    skipIf(this, reasonToSkip(await vm(['fetch', series])));
    folder = mkdtempSync(join(tmpdir(), 'koala-vm-files.'));
    const begun = performance.now();
    await vm(['run', series, '--', 'true']);
    enough = String(Math.ceil((performance.now() - begun) / 250));
  });
  after(() => { if (folder) rmSync(folder, { recursive: true }); });

  it('ends with the exit status of the command', async () => {
    const run = await vm(['run', series, '--', 'sh', '-c', 'exit 37']);
    assert.deepEqual(run, { status: 37, stdout: Buffer.alloc(0), stderr: '', left: [] });
  });

  it('keeps arguments apart, also with spaces, quotes and newlines in them', async () => {
    const args = ['two words', "it's", 'a\nb', '$HOME', '', '*'];
    const run = await vm(['run', series, '--', 'printf', '<%s>', ...args]);
    assert.equal(run.stdout.toString(), args.map((arg) => `<${arg}>`).join(''));
  });

  it('hands standard output over byte for byte, and standard error apart from it', async () => {
    const run = await vm(['run', series, '--', 'bash', '-c',
      'seq 200000; printf "\\0\\r\\n\\4\\377" >/dev/stdout; echo apart >&2; seq 3']);
    const lines = Array.from({ length: 200_000 }, (_, n) => `${n + 1}\n`).join('');
    assert.ok(run.stdout.equals(Buffer.concat([Buffer.from(lines), Buffer.from([0, 13, 10, 4, 255]), Buffer.from('1\n2\n3\n')])));
    assert.equal(run.stderr, 'apart\n');
  });

  it('runs that kernel in the project folder, and changes nothing but the output folder', async () => {
    const mark = `vm-mark-${process.pid}`;
    const run = await vm(['run', series, '--env', 'GREETING=good day', '--out', folder, '--', 'bash', '-c',
      `touch ${mark} /etc/${mark} && ls ${mark} && uname -r && pwd && echo "$GREETING" | tee "$KOALA_VM_OUT/written"`]);
    assert.equal(run.status, 0, run.stderr);
    const [touched, release, cwd, greeting] = run.stdout.toString().split('\n');
    assert.equal(touched, mark);
    assert.match(release ?? '', /^6\.1\./);
    assert.equal(`${cwd}/`, project);
    assert.equal(greeting, 'good day');
    assert.equal(readFileSync(join(folder, 'written'), 'utf8'), 'good day\n');
    assert.equal(existsSync(join(project, mark)) || existsSync(`/etc/${mark}`), false);
  });

  it('does not wait for what the command left running', async () => {
    const run = await vm(['run', series, '--', 'bash', '-c', 'sleep 1000 & setsid sleep 1000 & echo done']);
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stdout.toString(), 'done\n');
  });

  it('names a time-out, ends the machine and leaves nothing', async () => {
    // The bound of what has begun passes before.
    const limit = String(Number(enough) + 2);
    const run = await vm(['run', series, '--boot', enough, '--timeout', limit, '--', 'bash', '-c', 'echo before; sleep 1000; echo after']);
    assert.equal(run.status, 124);
    assert.ok(run.stderr.startsWith(`vm: 6.1: time-out after ${limit} s`), run.stderr);
    assert.equal(run.stdout.toString(), 'before\n');
    assert.deepEqual(run.left, []);
  });

  it('names a kernel panic and shows the end of the console', async () => {
    const run = await vm(['run', series, '--', 'bash', '-c', 'echo c > /proc/sysrq-trigger; sleep 1000']);
    assert.equal(run.status, 1);
    assert.match(run.stderr, /6\.1: Kernel panic - not syncing: sysrq triggered crash/);
    assert.match(run.stderr, /\| .*sysrq_handle_crash/);
    assert.deepEqual(run.left, []);
  });

  it('boots a test once more, and says so, when the guest ran a breakpoint that nobody had set', async () => {
    const copy = join(folder, 'project');
    cpSync(join(project, 'scripts'), join(copy, 'scripts'), { recursive: true });
    mkdirSync(join(copy, 'test/vm'), { recursive: true });
    const died = 'echo "<2>Oops: int3: 0000 [#1] PREEMPT SMP NOPTI" >/dev/kmsg; echo c >/proc/sysrq-trigger; sleep 1000';
    const test = `#!/bin/bash\necho "attempt $KOALA_VM_ATTEMPT"\n[ "$KOALA_VM_ATTEMPT" = "$LAST" ] || { ${died}; }\n`;
    for (const [name, last, status] of [['second', '2', 0], ['never', '3', 76]] as const) {
      writeFileSync(join(copy, `test/vm/${name}.guest`), test.replace('$LAST', last), { mode: 0o755 });
      const run = await start(['test', series, name], {}, join(copy, 'scripts/vm')).ended;
      assert.equal(run.status, status, run.stderr);
      assert.equal(run.stdout.toString(), 'attempt 1\nattempt 2\n');
      assert.match(run.stderr, new RegExp(`vm: 6\\.1: the emulator ran a breakpoint .*\\n(.*\\n)*vm: ${name} on 6\\.1: once more`));
      assert.deepEqual(run.left, []);
    }
    const results = readFileSync(join(copy, 'build/vm-results/results.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { result: string });
    assert.deepEqual(results.map(({ result }) => result), ['pass', 'fail']);
  });

  it('boots a test once more, and says so, when it has not begun in time', async () => {
    const copy = join(folder, 'hanging');
    cpSync(join(project, 'scripts'), join(copy, 'scripts'), { recursive: true });
    mkdirSync(join(copy, 'test/vm'), { recursive: true });
    const guest = readFileSync(join(project, 'scripts/vm.d/guest'), 'utf8');
    const [once, twice] = [/once more\n$/, /once more\n(.*\n)*vm: never on 6\.1: booted twice, and did not begin\n$/];
    for (const [name, hang, bound, status, said] of [['second', '1', enough, 0, once], ['never', '[12]', '1', 77, twice]] as const) {
      writeFileSync(join(copy, 'scripts/vm.d/guest'), `/run/koala-vm/busybox grep -q ATTEMPT=${hang} /run/koala-vm/command && /run/koala-vm/busybox sleep 1000\n${guest}`);
      writeFileSync(join(copy, `test/vm/${name}.guest`), `#!/bin/bash\n# vm options: --timeout 300 --boot ${bound}\necho "attempt $KOALA_VM_ATTEMPT"\n`, { mode: 0o755 });
      const run = await start(['test', series, name], {}, join(copy, 'scripts/vm')).ended;
      assert.equal(run.status, status, run.stderr);
      assert.equal(run.stdout.toString(), status === 0 ? 'attempt 2\n' : '');
      assert.ok(run.stderr.startsWith(`vm: 6.1: the command had not begun after ${bound} s`), run.stderr);
      assert.match(run.stderr, said);
      assert.deepEqual(run.left, []);
    }
  });

  it('runs two machines of one kernel at once', async () => {
    const runs = await Promise.all(['one', 'two'].map((word) => vm(['run', series, '--memory', '1024', '--', 'echo', word])));
    assert.deepEqual(runs.map(({ status, stdout, stderr }) => [status, stdout.toString(), stderr]), [[0, 'one\n', ''], [0, 'two\n', '']]);
  });

  it('ends its machine when it is itself ended', async () => {
    const { child, tmp, ended } = start(['run', series, '--', 'bash', '-c', 'echo up; sleep 1000']);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    const cmdlines = (): string[] => processes().filter((cmdline) => cmdline.includes(tmp));
    assert.notEqual(cmdlines().length, 0);
    child.kill('SIGTERM');
    const run = await ended;
    assert.equal(run.status, 143);
    assert.deepEqual(run.left, []);
    assert.deepEqual(cmdlines(), []);
  });

  it('ends its machine even when it is killed', async () => {
    const { child, tmp, ended } = start(['run', series, '--', 'bash', '-c', 'echo up; sleep 1000']);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGKILL');
    for (let tries = 0; tries < 50 && processes().some((cmdline) => cmdline.includes(tmp)); tries++) await sleep(100);
    assert.deepEqual(processes().filter((cmdline) => cmdline.includes(tmp)), []);
    await ended;
  });

  it('has a real systemd as process 1 when asked', async () => {
    const run = await vm(['systemd', series, '--', 'bash', '-c',
      'ps -p 1 -o comm=; systemd-run --wait -p Type=oneshot touch /run/made-by-a-unit && ls /run/made-by-a-unit; exit 5']);
    assert.equal(run.stdout.toString(), 'systemd\n/run/made-by-a-unit\n', run.stderr);
    assert.equal(run.status, 5);
  });

  it('says that a series is gone from the archive, with a status of its own', async () => {
    const table = join(folder, 'kernels');
    writeFileSync(table, '4.4 bookworm-backports\n');
    const run = await vm(['run', '4.4', '--', 'true'], { KOALA_VM_TABLE: table, KOALA_VM_CACHE: join(folder, 'cache') });
    assert.equal(run.status, 75, run.stderr);
    assert.match(run.stderr, /skip: no suite \(bookworm-backports\) holds a 4\.4 cloud-amd64 kernel any more/);
  });

  it('refuses a series and an option that it does not know', async () => {
    const unknown = await vm(['run', '2.4', '--', 'true']);
    assert.deepEqual([unknown.status, unknown.stderr], [2, 'vm: no kernel series 2.4: 5.10 6.1 6.12 7.2 6.1-arm64 6.12-arm64 7.2-arm64 6.12-arm64-16k are known\n']);
    const option = await vm(['run', series, '--cpu', '2', '--', 'true']);
    assert.deepEqual([option.status, option.stderr], [2, 'vm: unknown option --cpu (the command comes after --)\n']);
  });
});

/** The command lines of every process on this machine. */
function processes(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  });
}
