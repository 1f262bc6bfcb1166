import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EnvironmentError, UserError } from '../../../src/errors.ts';
import * as layout from '../../../src/events/layout.ts';
import { openRecording } from '../../../src/store/recording.ts';
import { closePayload } from '../events/ring.ts';
import {
  dataOf, FakeClock, put, putData, putOpen, readAll, removeTemporaryFolders, START_NS, stream, temporaryFolder, writer,
} from './recordings.ts';
import { session, Streams } from './traffic.ts';

const MIB = 1024 * 1024;

describe('segment writer', () => {
  let dir: string;
  let clock: FakeClock;
  beforeEach(() => {
    dir = join(temporaryFolder(), 'rec');
    clock = new FakeClock();
  });
  afterEach(removeTemporaryFolders);

  it('brings back what it was given, in order, at the right wall-clock time', () => {
    const to = writer(dir, clock);
    putOpen(to, 1, clock.monotonicNs + 1_000n);
    putData(to, 1, 0, 5, clock.monotonicNs + 2_000_000n);
    putData(to, 1, 5, 70_000, clock.monotonicNs + 1_999_000n);
    to.close();
    const { events, problems, endedOrderly } = readAll(dir);
    deepEqual(events.map((event) => event.kind), ['open', 'data', 'data', 'pause']);
    const startUs = Number(START_NS / 1000n);
    deepEqual(events.slice(0, 3).map((event) => event.atUs - startUs), [1, 2000, 1999]);
    const last = events[2];
    ok(last?.kind === 'data');
    ok(Buffer.from(last.bytes).equals(stream(5, 70_000)));
    deepEqual(problems, []);
    equal(endedOrderly, true);
  });

  it('says that time passed, how far connections sent, and in more than one event where these are many; that is no end', () => {
    const to = writer(dir, clock);
    putData(to, 1, 0, 5, clock.monotonicNs);
    const sent = Array.from({ length: 40_000 }, (_, n) => ({ connection: n + 1, position: 2 ** 40 + n }));
    to.mark(Number(clock.monotonicNs) + 9e9, sent);
    to.flush();
    const { events, problems, endedOrderly } = readAll(dir);
    const marks = events.filter((event) => event.kind === 'mark');
    deepEqual(marks.flatMap((mark) => mark.sent), sent);
    deepEqual([...new Set(marks.map(({ atUs }) => atUs - Number(START_NS / 1000n)))], [9e6]);
    deepEqual([problems, endedOrderly], [[], false]);
    to.close();
  });

  it('makes files and folders that only their owner may read', () => {
    const to = writer(dir, clock);
    putData(to, 1, 0, 5, clock.monotonicNs);
    equal(statSync(dir).mode & 0o777, 0o700);
    for (const name of readdirSync(dir)) equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
    to.close();
  });

  it('makes an existing empty folder private', () => {
    mkdirSync(dir, { mode: 0o755 });
    writer(dir, clock).close();
    equal(statSync(dir).mode & 0o777, 0o700);
  });

  it('gives everything that it makes to the owner it is told', function () {
    if (process.getuid?.() !== 0) {
      console.log('skipped: only root may give files away');
      this.skip();
    }
    const deep = join(dir, 'a', 'b');
    const to = writer(deep, clock, { owner: { uid: 1234, gid: 4321 } });
    for (const path of [dir, join(dir, 'a'), deep, ...readdirSync(deep).map((name) => join(deep, name))]) {
      deepEqual([statSync(path).uid, statSync(path).gid], [1234, 4321], path);
    }
    to.close();
  });

  it('begins a new segment by size, that repeats what lives and leaves out what has ended', () => {
    const to = writer(dir, clock, { segmentBytes: MIB });
    for (let connection = 1; connection <= 3; connection++) putOpen(to, connection, clock.monotonicNs);
    put(to, { kind: layout.SAMPLE_CLOSE, connection: 2, atNs: clock.monotonicNs, payload: closePayload(layout.CLOSE_DONE) });
    let position = 0;
    while (to.segments < 3) {
      putData(to, 1, position, 50_000, clock.monotonicNs);
      position += 50_000;
    }
    to.close();
    const all = readAll(dir);
    deepEqual(all.events.filter((event) => event.kind === 'open').map((event) => event.snapshot), [false, false, false]);
    deepEqual(dataOf(all.events), Array.from({ length: position / 50_000 }, (_, index) => index * 50_000));
    const later = [...openRecording(dir).events({ fromSequence: 2 })];
    deepEqual(
      later.flatMap((event) => (event.kind === 'open' ? [[event.connection, event.snapshot, event.remote.port]] : [])),
      [[1, true, 1001], [3, true, 1003]],
    );
    equal(later[0]?.atUs, Number(START_NS / 1000n));
  });

  it('removes oldest segments so that the recording stays below --max-disk', () => {
    const to = writer(dir, clock, { maxDiskBytes: 8 * MIB });
    let most = 0;
    for (let position = 0; position < 40 * MIB; position += 60_000) {
      putData(to, 1, position, 60_000, clock.monotonicNs);
      most = Math.max(most, readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0));
    }
    to.close();
    ok(most <= 8 * MIB, `${most} bytes were on disk`);
    ok(most > 5 * MIB, `only ${most} bytes were kept`);
    ok(to.droppedSegments > 20);
    const { events, problems } = readAll(dir);
    ok((dataOf(events)[0] ?? 0) > 30 * MIB);
    deepEqual(problems, []);
  });

  it('refuses a --max-disk that is too small to keep anything', () => {
    throws(() => writer(dir, clock, { maxDiskBytes: MIB }), UserError);
  });

  it('stops before the file system has less than the reserve, and what is there stays readable', () => {
    let bavail = 1000;
    const statfs = () => ({ bsize: MIB, blocks: 100_000, bavail });
    const to = writer(dir, clock, { minFreeBytes: 500 * MIB, statfs });
    putData(to, 1, 0, 10, clock.monotonicNs);
    to.flush();
    bavail = 505;
    throws(() => {
      for (let position = 10; position < 20 * MIB; position += 60_000) putData(to, 1, position, 60_000, clock.monotonicNs);
    }, (error) => error instanceof EnvironmentError && /500 MiB/.test(error.message) && /--min-free/.test(error.message));
    throws(() => putData(to, 1, 10, 10, clock.monotonicNs), EnvironmentError);
    to.close();
    const { events, endedOrderly, problems } = readAll(dir);
    equal(dataOf(events)[0], 0);
    deepEqual(problems, []);
    equal(endedOrderly, false);
  });

  it('refuses to begin where too little is free, with the default reserve of a tenth', () => {
    const statfs = () => ({ bsize: 4096, blocks: 1_000_000, bavail: 90_000 });
    throws(() => writer(dir, clock, { statfs, minFreeBytes: undefined as never }), /390 MiB are to stay/);
    deepEqual(readdirSync(dir), []);
  });

  it('on a full disk keeps every whole block, cuts the torn one and says what to do', function () {
    mkdirSync(dir);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'koala-test', dir], { encoding: 'utf8' });
    if (mounted.status !== 0) {
      console.log(`skipped: a small file system can't be mounted here: ${mounted.stderr}`);
      this.skip();
    }
    try {
      const to = writer(dir, clock);
      throws(() => {
        for (let position = 0; position < 2 * MIB; position += 50_000) putData(to, 1, position, 50_000, clock.monotonicNs);
      }, (error) => error instanceof EnvironmentError && /no space left/.test(error.message) && /free some space/.test(error.message));
      equal(statSync(join(dir, '00000001.koala')).size, to.bytesWritten);
      to.close();
      const { events, problems } = readAll(dir);
      deepEqual(problems, []);
      const positions = dataOf(events);
      ok(positions.length >= 12, `only ${positions.length} events were kept`);
      deepEqual(positions, positions.map((_, index) => index * 50_000));
    } finally {
      spawnSync('umount', [dir]);
    }
  });

  it('continues a recording: same id, next segment, the pause said, no connection number used twice', () => {
    const first = writer(dir, clock);
    putOpen(first, 1, clock.monotonicNs);
    putOpen(first, 2, clock.monotonicNs);
    first.close();
    clock.advance(60_000);
    const second = writer(dir, clock);
    equal(second.recordingId, first.recordingId);
    putOpen(second, 1, clock.monotonicNs);
    putData(second, 1, 0, 4, clock.monotonicNs);
    second.close();
    clock.advance(1000);
    const third = writer(dir, clock);
    putOpen(third, 1, clock.monotonicNs);
    third.close();
    deepEqual(readdirSync(dir).sort(), ['00000001.koala', '00000002.koala', '00000003.koala']);
    const { events, endedOrderly } = readAll(dir);
    deepEqual(events.flatMap((event) => (event.kind === 'open' ? [event.connection] : [])), [1, 2, 3, 4]);
    const pause = events.find((event) => event.kind === 'pause' && event.resumedAtUs !== 0);
    ok(pause?.kind === 'pause');
    equal(pause.resumedAtUs - pause.atUs, 60_000_000);
    equal(endedOrderly, true);
  });

  it('is refused while another recorder writes the folder, and takes over from a dead one', () => {
    const first = writer(dir, clock);
    throws(() => writer(dir, clock), (error) => error instanceof UserError && error.message.includes(`process ${process.pid}`));
    first.close();
    writeFileSync(join(dir, 'recorder.lock'), `${process.pid} 1 another-boot\n`);
    writer(dir, clock).close();
    deepEqual(readdirSync(dir).filter((name) => name.startsWith('recorder.lock')), []);
  });

  it('refuses a folder with anything foreign in it, and names it', () => {
    mkdirSync(dir);
    writeFileSync(join(dir, 'notes.txt'), '');
    throws(() => writer(dir, clock), (error) => error instanceof UserError && /"notes.txt"/.test(error.message));
    deepEqual(readdirSync(dir), ['notes.txt']);
  });

  it('refuses a file where a folder is wanted', () => {
    writeFileSync(dir, '');
    throws(() => writer(dir, clock), (error) => error instanceof UserError && /is a file/.test(error.message));
  });

  it('begins a new segment when the wall clock is set', () => {
    const to = writer(dir, clock);
    putData(to, 1, 0, 4, clock.monotonicNs);
    to.flush();
    clock.advance(2000);
    clock.unixNs += 3_600_000_000_000n;
    putData(to, 1, 4, 4, clock.monotonicNs);
    to.flush();
    putData(to, 1, 8, 4, clock.monotonicNs);
    to.close();
    const { events } = readAll(dir);
    equal(to.segments, 2);
    const [first, , third] = events.filter((event) => event.kind === 'data');
    equal((third?.atUs ?? 0) - (first?.atUs ?? 0), 3_602_000_000);
  });

  it('leaves out the outbound connections that it is told to, whole, and nothing else', () => {
    const to = writer(dir, clock, { bypass: [{ host: undefined, port: 9000 }, { host: '10.9.9.9', port: 8080 }] });
    const streams = new Streams();
    session(to, streams, 0, clock.monotonicNs);
    session(to, streams, 1, clock.monotonicNs + 5_000_000n);
    to.close();
    const { events } = readAll(dir);
    const seen = new Set(events.flatMap((event) => ('connection' in event ? [event.connection] : [])));
    deepEqual([...seen], [1, 3]);
    equal(events.filter((event) => event.kind === 'close').length, 2);
  });

  it('closes twice without harm and says the end once', () => {
    const to = writer(dir, clock);
    to.close();
    to.close();
    equal(readAll(dir).events.filter((event) => event.kind === 'pause').length, 1);
  });

  it('says which segment could not be written', () => {
    const to = writer(dir, clock);
    mkdirSync(join(dir, '00000002.koala'));
    throws(() => {
      for (let position = 0; position < 100 * MIB; position += 60_000) putData(to, 1, position, 60_000, clock.monotonicNs);
    }, (error) => error instanceof EnvironmentError && /00000002\.koala/.test(error.message));
    to.close();
    match(to.dir, /rec$/);
  });
});
