import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { CorruptError, UserError } from '../../../src/errors.ts';
import { BLOCK_MAGIC } from '../../../src/store/format.ts';
import { openRecording } from '../../../src/store/recording.ts';
import {
  dataOf, FakeClock, putData, putOpen, readAll, removeTemporaryFolders, temporaryFolder, writer,
} from './recordings.ts';

const first = '00000001.koala';

describe('recording', () => {
  let dir: string;
  let clock: FakeClock;
  beforeEach(() => {
    dir = join(temporaryFolder(), 'rec');
    clock = new FakeClock();
  });
  afterEach(removeTemporaryFolders);

  /** Blocks of three data events each, 4 bytes long; then closed. */
  function record(blocks: number): Buffer {
    const to = writer(dir, clock);
    putOpen(to, 1, clock.monotonicNs);
    for (let block = 0; block < blocks; block++) {
      for (let event = 0; event < 3; event++) putData(to, 1, (block * 3 + event) * 4, 4, clock.monotonicNs);
      to.flush();
    }
    to.close();
    return readFileSync(join(dir, first));
  }

  function offsetsOfBlocks(bytes: Buffer): number[] {
    const offsets: number[] = [];
    for (let at = bytes.indexOf(BLOCK_MAGIC); at >= 0; at = bytes.indexOf(BLOCK_MAGIC, at + 1)) offsets.push(at);
    return offsets;
  }

  it('cut at any byte of its last block, keeps everything before it and says so', () => {
    const bytes = record(3);
    const last = offsetsOfBlocks(bytes).at(-1) ?? 0;
    for (let size = last; size < bytes.length; size++) {
      writeFileSync(join(dir, first), bytes.subarray(0, size));
      const { events, problems, endedOrderly } = readAll(dir);
      deepEqual(dataOf(events), [0, 4, 8, 12, 16, 20, 24, 28, 32], `cut at ${size}`);
      equal(problems.length, size === last ? 0 : 1, `cut at ${size}`);
      equal(endedOrderly, false);
    }
  });

  it('with a bit of any byte flipped, loses at most the block it is in, and says so', function () {
    this.timeout(60_000);
    const bytes = record(4);
    const offsets = offsetsOfBlocks(bytes);
    const all = Array.from({ length: 12 }, (_, index) => index * 4);
    // Every byte, and each of its bits in turn from one byte to the next.
    for (let bit = 0; bit < bytes.length * 8; bit += 9) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(join(dir, first), flipped);
      const { events, problems, endedOrderly } = readAll(dir);
      const hit = offsets.findLastIndex((offset) => offset <= bit >> 3);
      // Blocks: header, three times four events, the end. -1: the prelude.
      const expected = all.filter((_, index) => Math.floor(index / 3) !== hit - 1);
      deepEqual(dataOf(events), expected, `bit ${bit}, block ${hit}`);
      ok(problems.length > 0, `bit ${bit}, block ${hit}: nothing said`);
      const lost = events.filter((event) => event.kind === 'lost');
      const isTail = hit === offsets.length - 1;
      equal(lost.length, hit < 0 || (isTail && (bit >> 3) < (offsets[hit] ?? 0) + 40) ? 0 : 1, `bit ${bit}, block ${hit}`);
      if (isTail) equal(endedOrderly, false);
    }
  });

  it('says how many events a damaged block held when its header is sound', () => {
    const bytes = record(4);
    const offset = offsetsOfBlocks(bytes)[2] ?? 0;
    bytes[offset + 45] = (bytes[offset + 45] ?? 0) ^ 1;
    writeFileSync(join(dir, first), bytes);
    const lost = readAll(dir).events.find((event) => event.kind === 'lost');
    ok(lost?.kind === 'lost');
    equal(lost.cause, 'corrupt');
    equal(lost.events, 3);
  });

  it('takes recorded bytes that are another recording\'s file for bytes', () => {
    record(4);
    const inside = readFileSync(join(dir, first));
    rmSync(dir, { recursive: true });
    const to = writer(dir, clock);
    putData(to, 1, 0, 4, clock.monotonicNs);
    to.flush();
    to.event({
      kind: 'data', atUs: 0, tgid: 1, tid: 1, context: 0, snapshot: false, connection: 2, direction: 'egress', position: 0,
      length: inside.length, cause: 'none', bytes: inside, fromPacket: false, more: false,
    });
    to.flush();
    putData(to, 1, 4, 4, clock.monotonicNs);
    to.close();
    // The header of the block around it is damaged, so the reader has to look for the next one.
    const bytes = readFileSync(join(dir, first));
    const outer = offsetsOfBlocks(bytes)[2] ?? 0;
    bytes[outer + 9] = (bytes[outer + 9] ?? 0) ^ 4;
    writeFileSync(join(dir, first), bytes);
    const { events } = readAll(dir);
    deepEqual(events.flatMap((event) => (event.kind === 'data' ? [[event.connection, event.position]] : [])), [[1, 0], [1, 4]]);
  });

  it('is read while it is written, up to the last whole block, and further the next time', () => {
    const to = writer(dir, clock);
    putData(to, 1, 0, 4, clock.monotonicNs);
    to.flush();
    putData(to, 1, 4, 4, clock.monotonicNs);
    const recording = openRecording(dir);
    equal(recording.live, true);
    deepEqual(dataOf([...recording.events()]), [0]);
    to.flush();
    appendFileSync(join(dir, first), BLOCK_MAGIC);
    deepEqual(dataOf([...recording.events()]), [0, 4]);
    deepEqual(recording.status(), { endedOrderly: false, untilUs: recording.status().untilUs, problems: [], pauses: [] });
    to.close();
  });

  it('followed, gives events as they come, over segments, until the recorder is gone', async () => {
    const to = writer(dir, clock, { segmentBytes: 100_000 });
    putOpen(to, 1, clock.monotonicNs);
    to.flush();
    const seen: number[] = [];
    const expected: number[] = [];
    const following = (async () => {
      for await (const event of openRecording(dir).follow(new AbortController().signal)) if (event.kind === 'data') seen.push(event.position);
    })();
    for (let round = 0; round < 6; round++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      putData(to, 1, round * 60_000, 60_000, clock.monotonicNs);
      expected.push(round * 60_000);
      to.flush();
    }
    ok(to.segments > 2);
    to.close();
    await following;
    deepEqual(seen, expected);
  });

  it('followed, ends when told to', async () => {
    const to = writer(dir, clock);
    putData(to, 1, 0, 4, clock.monotonicNs);
    to.flush();
    const controller = new AbortController();
    for await (const event of openRecording(dir).follow(controller.signal)) {
      equal(event.kind, 'data');
      controller.abort();
    }
    to.close();
  });

  it('says where an event\'s bytes lie, and nothing of a copy', () => {
    record(2);
    const recording = openRecording(dir);
    for (const event of recording.events()) {
      if (event.kind !== 'data') continue;
      equal(recording.placeOf(event.bytes)?.sequence, 1);
      equal(recording.placeOf(Uint8Array.prototype.slice.call(event.bytes)), undefined);
    }
  });

  it('leaves out what is not between the times asked for', () => {
    const to = writer(dir, clock);
    for (let index = 0; index < 10; index++) putData(to, 1, index * 4, 4, clock.monotonicNs + BigInt(index) * 1_000_000n);
    to.close();
    const recording = openRecording(dir);
    const startUs = 1_800_000_000_000_000;
    deepEqual(dataOf([...recording.events({ fromUs: startUs + 3000, toUs: startUs + 6000 })]), [12, 16, 20]);
  });

  it('says which segment is missing and goes on after it', () => {
    const to = writer(dir, clock, { segmentBytes: 100_000 });
    putOpen(to, 1, clock.monotonicNs);
    for (let index = 0; index < 8; index++) {
      putData(to, 1, index * 60_000, 60_000, clock.monotonicNs);
      to.flush();
    }
    to.close();
    rmSync(join(dir, '00000002.koala'));
    const { events, problems } = readAll(dir);
    deepEqual(dataOf(events), [0, 60_000, 240_000, 300_000, 360_000, 420_000]);
    equal(problems.length, 1);
    match(problems[0] ?? '', /1 segments before .*00000003\.koala are missing/);
    deepEqual(events.filter((event) => event.kind === 'open').map((event) => event.snapshot), [false, true]);
  });

  it('reads on in the next segment after a tail that a kill tore', () => {
    const bytes = record(2);
    truncateSync(join(dir, first), bytes.length - 3);
    const to = writer(dir, clock);
    putData(to, 1, 100, 4, clock.monotonicNs);
    to.close();
    const { events, problems, endedOrderly } = readAll(dir);
    deepEqual(dataOf(events), [0, 4, 8, 12, 16, 20, 100]);
    match(problems[0] ?? '', /00000001\.koala ends in .* unfinished block/);
    equal(endedOrderly, true);
  });

  it('with its first segment a stump, is read from the next one', () => {
    record(1);
    truncateSync(join(dir, first), 10);
    throws(() => openRecording(dir), CorruptError);
    rmSync(dir, { recursive: true });
    record(1);
    const to = writer(dir, clock);
    putData(to, 1, 100, 4, clock.monotonicNs);
    to.close();
    truncateSync(join(dir, first), 10);
    deepEqual(dataOf(readAll(dir).events), [100]);
  });

  it('of a newer version is refused by name and number', () => {
    const bytes = record(1);
    bytes.writeUInt32LE(7, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 36)), 36);
    writeFileSync(join(dir, first), bytes);
    throws(() => openRecording(dir), (error) => error instanceof UserError && /format 7; .*newer koala-bpf/.test(error.message));
  });

  it('that is absent, empty, foreign or a file is refused with what to do', () => {
    throws(() => openRecording(dir), (error) => error instanceof UserError && /no such recording/.test(error.message));
    mkdirSync(dir);
    throws(() => openRecording(dir), (error) => error instanceof UserError && /empty/.test(error.message));
    writeFileSync(join(dir, 'photo.jpg'), 'x');
    throws(() => openRecording(dir), (error) => error instanceof UserError && /photo\.jpg/.test(error.message));
    rmSync(join(dir, 'photo.jpg'));
    writeFileSync(join(dir, first), 'this was never a segment, and it is long enough to see that: '.repeat(4));
    throws(() => openRecording(dir), (error) => error instanceof CorruptError && /00000001\.koala/.test(error.message));
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    throws(() => openRecording(file), (error) => error instanceof UserError && /is a file/.test(error.message));
  });

  it('holds one block in memory, however long it is', () => {
    const to = writer(dir, clock);
    for (let position = 0; position < 200 * 1024 * 1024; position += 60_000) putData(to, 1, position, 60_000, clock.monotonicNs);
    to.close();
    ok(statSync(join(dir, first)).size > 60 * 1024 * 1024);
    // What is garbage stays until it is collected, on a busy machine for long: but not for half of the recording.
    let least = Infinity;
    let seen = 0;
    for (const event of openRecording(dir).events()) {
      if (event.kind !== 'data') continue;
      seen += event.bytes.length;
      if (seen > 100 * 1024 * 1024) least = Math.min(least, process.memoryUsage().arrayBuffers);
    }
    ok(least < 80 * 1024 * 1024, `${least} bytes of buffers`);
  });
});
