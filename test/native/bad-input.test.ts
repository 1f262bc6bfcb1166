/** Mistakes and refusals: the right exit status, one line that names the thing, no stack trace, nothing spoilt. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, patience, startRecorder, whyNoRecorder, within } from './recorder.ts';
import { startLoad, type Load } from './turns.ts';
import { skipIf } from '../skip.ts';

interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...words: string[]): Answer {
  return spawnSync(command, words, { encoding: 'utf8', timeout: 60_000 * patience, input: '' });
}

/** One line, no stack, the right status, and the thing is named. */
function assertRefused(answer: Answer, status: number, names: RegExp): void {
  const said = answer.stderr.trimEnd();
  assert.equal(answer.status, status, said);
  assert.match(said, names);
  assert.doesNotMatch(said, /^\s+at |\.ts:\d+|node:internal/m);
  assert.equal(said.split('\n').length, 1, said);
}

describe('bad input', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-bad-'));
  const foreign = join(folder, 'foreign');
  const recording = join(folder, 'recording');
  let load: Load | undefined;

  before(async function () {
    skipIf(this, whyNoRecorder());
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'thesis.txt'), 'years of work');
    load = await startLoad(folder, 8, 20, 4);
    const recorder = await startRecorder(recording, ['--pid', String(load.service.pid)]);
    await load.run();
    await recorder.stop();
  });
  after(() => {
    load?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const mistakes: readonly [string, readonly string[], RegExp][] = [
    ['no target', ['attach'], /--pid/],
    ['a pid that nobody has', ['attach', '--pid', '4194303'], /4194303/],
    ['a pid that is no number', ['attach', '--pid', 'nginx'], /nginx/],
    ['a pid of zero', ['attach', '--pid', '0'], /\b0\b/],
    ['a port out of range', ['attach', '--port', '70000'], /70000/],
    ['a port of zero', ['attach', '--port', '0'], /\b0\b/],
    ['a backend that does not exist', ['attach', '--pid', '1', '--probe', 'magic'], /magic/],
    ['a command that does not exist', ['attach', '--', '/no/such/command'], /\/no\/such\/command/],
    ['an unknown flag', ['attach', '--pid', '1', '--sideways'], /sideways/],
    ['an unknown command', ['atach'], /attach/],
    ['a duration that is none', ['attach', '--pid', '1', '--duration', 'soon'], /soon/],
  ];
  for (const [number, [what, words, names]] of mistakes.entries()) {
    it(`${what} is the user's mistake, said in one line`, () => {
      const [name = '', ...rest] = words;
      const out = name === 'attach' ? ['--out', join(folder, `never-${number}`)] : [];
      assertRefused(run(name, ...out, ...rest), 2, names);
      assert.equal(readdirSync(folder).includes(`never-${number}`), false, 'it left a folder behind');
    });
  }

  it('a unit that nobody knows is named, with the way out where there is no systemd', () => {
    const systemd = readFileSync('/proc/1/comm', 'utf8').trim() === 'systemd';
    const words = ['--unit', 'no-such-unit-koala.service', '--out', join(folder, 'never-unit')];
    assertRefused(run('attach', ...words), systemd ? 2 : 3, /no-such-unit-koala/);
  });

  it('a cgroup that is not there yet is waited for, and SIGTERM ends that with status 0', async () => {
    const recorder = await startRecorder(join(folder, 'waits'), ['--cgroup', '/no/such/group']);
    recorder.kill('SIGTERM');
    assert.equal(await within(recorder.ended, 20_000 * patience, 'it did not end'), 0);
  });

  it('a foreign folder is refused as --out and stays as it was', () => {
    assertRefused(run('attach', '--pid', String(load?.service.pid), '--out', foreign), 2, /foreign/);
    assert.deepEqual(readdirSync(foreign), ['thesis.txt']);
  });

  it('a file is refused as --out', () => {
    assertRefused(run('attach', '--pid', String(load?.service.pid), '--out', join(foreign, 'thesis.txt')), 2, /thesis\.txt/);
    assert.equal(readFileSync(join(foreign, 'thesis.txt'), 'utf8'), 'years of work');
  });

  for (const words of [['ls'], ['connections'], ['events'], ['show'], ['export', '--format', 'json'], ['replay', '--', 'true']]) {
    const [name = '', ...rest] = words;
    const id = name === 'show' ? ['1'] : [];
    it(`${name} refuses a folder that is no recording`, () => assertRefused(run(name, foreign, ...id, ...rest), 2, /foreign/));
    it(`${name} refuses a folder that is not there`, () => {
      assertRefused(run(name, join(folder, 'nowhere'), ...id, ...rest), 2, /nowhere/);
    });
  }

  it('a session id that does not exist is named', () => assertRefused(run('show', recording, 'zzzzzz'), 2, /zzzzzz/));

  it('without root attach says what it needs', () => {
    // A user namespace without a mapping: no root to itself, no rights outside, yet it may read the checkout wherever that is.
    const words = ['--user', command, 'attach', '--pid', String(load?.service.pid), '--out', join(folder, 'never')];
    const answer = spawnSync('unshare', words, { encoding: 'utf8', cwd: '/', timeout: 60_000 * patience });
    assertRefused(answer, 3, /root|sudo|CAP_/);
  });

  it('without BTF attach says so', () => {
    const script = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"';
    const words = ['-m', 'sh', '-c', script, 'sh', command, 'attach', '--pid', String(load?.service.pid), '--out', join(folder, 'never')];
    assertRefused(spawnSync('unshare', words, { encoding: 'utf8', timeout: 60_000 * patience }), 3, /BTF|\/sys\/kernel\/btf/);
  });

  it('a process that ends while it is attached to ends the recording, without a stack trace', async () => {
    for (const life of ['0', '0.2', '0.5', '0.8']) {
      const short = spawn('sleep', [life]);
      const answer = run('attach', '--json', '--pid', String(short.pid), '--out', join(folder, `short-${life}`));
      assert.ok(answer.status === 0 || answer.status === 2, `${answer.status}: ${answer.stderr}`);
      assert.doesNotMatch(answer.stderr, /^\s+at |\.ts:\d+/m);
    }
  });

  const segments = (dir: string): string[] => readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name)).filter((path) => statSync(path).isFile() && path.endsWith('.koala')).sort();

  it('a truncated recording reads up to where it was cut', () => {
    const copy = join(folder, 'truncated');
    cpSync(recording, copy, { recursive: true });
    const last = segments(copy).at(-1) ?? '';
    truncateSync(last, Math.floor(statSync(last).size * 0.6));
    const answer = run('connections', copy, '--json');
    assert.equal(answer.status, 0, answer.stderr);
    assert.ok(answer.stdout.split('\n').length > 2, 'nothing was read');
    assert.doesNotMatch(answer.stderr, /^\s+at /m);
    assert.match(answer.stderr, /torn|cut|truncat|damage|corrupt|incomplete/i);
  });

  it('a flipped bit is noticed, and the rest reads', () => {
    const copy = join(folder, 'flipped');
    cpSync(recording, copy, { recursive: true });
    const last = segments(copy).at(-1) ?? '';
    const bytes = readFileSync(last);
    const middle = Math.floor(bytes.length * 0.6);
    bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
    writeFileSync(last, bytes);
    const answer = run('connections', copy, '--json');
    assert.equal(answer.status, 0, answer.stderr);
    assert.ok(answer.stdout.split('\n').length > 2, 'nothing was read');
    assert.match(answer.stderr, /corrupt|damage|checksum/i);
    assert.doesNotMatch(answer.stderr, /^\s+at /m);
  });
});
