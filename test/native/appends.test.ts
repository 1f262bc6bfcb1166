/** What processes append to files, held against the files. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppendEvent } from '../../src/events/event.ts';
import { attach } from './attached.ts';
import { patience, startRecorder, whyNoRecorder, type Recorder } from './recorder.ts';
import { eventsOf, startSubject, type Subject } from './subject.ts';
import { skipIf } from '../skip.ts';

/** statfs(2): file systems that tell the `tracepoint` backend of writes. */
const TELLING: ReadonlySet<number> = new Set([0xef53, 0x58465342]);
const KEPT = 8192;

/** A recorder of `subject`, into `folder`; the test is skipped where it can't see what is appended to files in `written`. */
async function recording(test: Mocha.Context, subject: Subject, folder: string, written: string): Promise<Recorder> {
  const recorder = await startRecorder(join(folder, 'recording'), ['--pid', String(subject.pid)]);
  if (recorder.probe === 'tracepoint' && !TELLING.has(statfsSync(written).type)) {
    await recorder.stop();
    skipIf(test, 'the tracepoint backend sees appends on ext4 and XFS, and temporary files are on neither');
  }
  return recorder;
}

describe('appends', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-appends-'));
  const deep = join(folder, 'a', 'b', 'c');
  const log = join(deep, 'app.log');
  let subject: Subject | undefined;
  let appends: AppendEvent[] = [];
  let thread = 0;
  let errors = '';

  before(async function () {
    skipIf(this, whyNoRecorder());
    const one = startSubject(folder);
    subject = one;
    const recorder = await recording(this, one, folder, folder);
    const open = (path: string, flags = 'os.O_APPEND'): string => `os.open(${JSON.stringify(path)}, os.O_WRONLY | os.O_CREAT | ${flags}, 0o600)`;
    await one.run(`os.makedirs(${JSON.stringify(deep)}); f = ${open(log)}; plain = ${open(join(folder, 'plain'), '0')}`);
    await one.run('os.write(plain, b"not appended"); os.write(f, b"write\\n"); os.writev(f, [b"write", b"v", b"\\n"]); os.pwrite(f, b"pwrite\\n", 0); os.pwritev(f, [b"pwrite", b"v\\n"], 0)');
    await one.run('os.writev(f, [b"%d," % n for n in range(60)])');
    // Over several pages of the file, twice from the same buffers.
    await one.run('large = bytes(65 + n % 26 for n in range(7000)); os.write(f, large); os.write(f, large); both = [large[:3000], large[3000:]]; os.writev(f, both); os.writev(f, both)');
    await one.run('os.write(f, b"L" * 30000); os.writev(f, [b"l" * 20000, b"m" * 20000])');
    thread = await one.number(`
def write():
    os.write(f, b"by a thread\\n"); state.update(writer=threading.get_native_id())
t = threading.Thread(target=write); t.start(); t.join(); answer = state["writer"]`);
    for (const n of [1, 2, 3]) await one.run(`g = ${open(join(folder, 'brief.log'))}; os.write(g, b"brief ${n}\\n"); os.close(g)`);
    await one.run(`os.rename(${JSON.stringify(log)}, ${JSON.stringify(`${log}.1`)}); os.write(f, b"renamed\\n"); os.close(f); f = ${open(log)}; os.write(f, b"anew\\n")`);
    await one.run('os.fsync(f)');
    await recorder.stop();
    errors = recorder.errors();
    appends = eventsOf(recorder.dir).filter((event): event is AppendEvent => event.kind === 'append');
  });
  after(() => {
    subject?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (path: string): AppendEvent[] => appends.filter((event) => event.path === path);
  /** Writes by their events, which tell that another one of the same write follows. */
  const writes = (): AppendEvent[][] => {
    const all: AppendEvent[][] = [];
    let goesOn = false;
    for (const event of at(log)) {
      if (goesOn) all.at(-1)?.push(event);
      else all.push([event]);
      goesOn = event.more;
    }
    return all;
  };
  const textOf = (events: readonly AppendEvent[]): string => Buffer.concat(events.map(({ bytes }) => bytes)).toString('latin1');
  const lengthOf = (events: readonly AppendEvent[]): number => events.reduce((sum, { length }) => sum + length, 0);

  it('hold what stands in the file at their positions, and add up to it', () => {
    const content = readFileSync(`${log}.1`);
    const old = at(log).filter(({ inode }) => inode === at(log)[0]?.inode);
    let next = 0;
    for (const { position, length, bytes, cause } of old) {
      assert.deepEqual([position, cause], [next, 'none']);
      assert.equal(Buffer.from(bytes).equals(content.subarray(position, position + bytes.length)), true, `at ${position}`);
      next += length;
    }
    assert.equal(next, content.length, errors);
  });

  it('tell each write once, whichever call made it and however many pieces it had', () => {
    const texts = writes().map(textOf);
    assert.deepEqual(texts.slice(0, 5), ['write\n', 'writev\n', 'pwrite\n', 'pwritev\n', Array.from({ length: 60 }, (_, n) => `${n},`).join('')]);
    assert.deepEqual(writes().slice(5, 9).map(lengthOf), [7000, 7000, 7000, 7000]);
    assert.equal(new Set(texts.slice(5, 9)).size, 1);
  });

  it('keep the beginning of a long one and say how long it was', () => {
    const long = writes().slice(9, 11);
    assert.deepEqual(long.map(lengthOf), [30_000, 40_000]);
    assert.deepEqual(long.map(textOf), ['L'.repeat(KEPT), 'l'.repeat(KEPT)]);
  });

  it('name the thread that wrote', () => {
    assert.deepEqual(appends.filter(({ tid }) => tid === thread).map(({ bytes }) => Buffer.from(bytes).toString()), ['by a thread\n']);
    assert.deepEqual(new Set(appends.map(({ tgid }) => tgid)), new Set([subject?.pid]));
  });

  it('know the path of a file that is closed again at once', () => {
    assert.deepEqual(at(join(folder, 'brief.log')).map(({ bytes }) => Buffer.from(bytes).toString()), ['brief 1\n', 'brief 2\n', 'brief 3\n']);
  });

  it('name a file as it was when it was first appended to, and a new one of that name apart', () => {
    assert.deepEqual(at(log).slice(-2).map(({ bytes, position }) => [Buffer.from(bytes).toString(), position === 0]), [['renamed\n', false], ['anew\n', true]]);
    assert.notEqual(at(log).at(-1)?.inode, at(log).at(-2)?.inode);
  });

  it('are none of a file that is not opened for appending, nor with --no-appends', async () => {
    assert.deepEqual(at(join(folder, 'plain')), []);
    const one = subject as Subject;
    const recorder = await startRecorder(join(folder, 'without'), ['--pid', String(one.pid), '--no-appends']);
    await one.run('os.write(f, b"unseen\\n")');
    await recorder.stop();
    assert.deepEqual(eventsOf(recorder.dir).filter(({ kind }) => kind === 'append'), []);
  });
});

describe('appends on an overlay', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-overlay-'));
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(folder, name)) as [string, string, string, string];
  let mounted = false;
  let subject: Subject | undefined;

  before(function () {
    skipIf(this, whyNoRecorder());
    for (const one of [lower, upper, work, merged]) mkdirSync(one);
    writeFileSync(join(lower, 'old.log'), 'from below\n');
    const ran = spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`, merged], { encoding: 'utf8' });
    skipIf(this, ran.status === 0 ? undefined : `no overlay can be mounted: ${(ran.error?.message ?? ran.stderr).trim()}`);
    mounted = true;
  });
  after(() => {
    subject?.kill();
    if (mounted) spawnSync('umount', [merged]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('are told with what stands in the file, of a new one and of one that came from below, which is copied up first', async function () {
    const one = startSubject(folder);
    subject = one;
    const recorder = await recording(this, one, folder, upper);
    for (const name of ['old.log', 'new.log']) {
      await one.run(`f = os.open(${JSON.stringify(join(merged, name))}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600); os.write(f, b"to ${name}\\n"); os.write(f, b"L" * 20000); os.fsync(f); os.close(f)`);
    }
    await recorder.stop();
    const appends = eventsOf(recorder.dir).filter((event): event is AppendEvent => event.kind === 'append');
    for (const name of ['old.log', 'new.log']) {
      const own = appends.filter(({ path }) => path.endsWith(`/${name}`));
      const content = readFileSync(join(merged, name));
      let next = own[0]?.position ?? -1;
      assert.equal(next, name === 'old.log' ? 'from below\n'.length : 0, name);
      for (const { position, length, bytes } of own) {
        assert.equal(position, next, name);
        assert.ok(Buffer.from(bytes).equals(content.subarray(position, position + bytes.length)), `${name} at ${position}`);
        next += length;
      }
      assert.equal(next, content.length, name);
    }
  });
});

describe('what attach says of appends', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-unseen-'));
  const memory = join(folder, 'memory');
  let mounted = false;
  let subject: Subject | undefined;

  before(function () {
    skipIf(this, whyNoRecorder());
    mkdirSync(memory);
    mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', memory]).status === 0;
    skipIf(this, mounted ? undefined : 'no tmpfs can be mounted');
  });
  after(() => {
    subject?.kill();
    if (mounted) spawnSync('umount', [memory]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('names a file system on which they are not seen, and no other', async () => {
    const one = startSubject(folder);
    subject = one;
    const recorder = attach(['--json', '--pid', String(one.pid), '--out', join(folder, 'recording')]);
    const said = await recorder.recording();
    await one.run(`f = os.open(${JSON.stringify(join(memory, 'x.log'))}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600); os.write(f, b"seen?\\n"); os.close(f)`);
    recorder.kill('SIGINT');
    await recorder.ended;
    const unseen = (said['unseenAppends'] ?? []) as { type: string; mounts: string[] }[];
    const seen = eventsOf(join(folder, 'recording')).some((event) => event.kind === 'append' && event.path.endsWith('x.log'));
    assert.equal(unseen.some(({ type, mounts }) => type === 'tmpfs' && mounts.includes(memory)), !seen);
    assert.deepEqual(said['probe'] === 'tracepoint', !seen);
    if (seen) assert.deepEqual(unseen, []);
  });
});
