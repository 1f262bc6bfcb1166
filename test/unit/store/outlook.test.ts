import { equal, ok } from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BLOCK_MAGIC, segmentName } from '../../../src/store/format.ts';
import { openRecording } from '../../../src/store/recording.ts';
import type { Outlook } from '../../../src/store/outlook.ts';
import type { SegmentWriter } from '../../../src/store/writer.ts';
import { FakeClock, putData, putOpen, removeTemporaryFolders, START_NS, temporaryFolder, writer } from './recordings.ts';

const START_US = Number(START_NS / 1000n);

describe('outlook', () => {
  let dir: string;
  let clock: FakeClock;
  let to: SegmentWriter;
  let outlook: Outlook | undefined;
  beforeEach(() => {
    dir = join(temporaryFolder(), 'rec');
    clock = new FakeClock();
    outlook = undefined;
  });
  afterEach(() => {
    outlook?.close();
    to.close();
    removeTemporaryFolders();
  });

  /** A block of one event, `ms` after the one before. */
  function block(ms: number): void {
    clock.advance(ms);
    putData(to, 1, 0, 4, clock.monotonicNs);
    to.flush();
  }

  function lost(): void {
    to.event({ kind: 'lost', cause: 'ring-full', events: 1, bytes: 10, atUs: START_US, tgid: 0, tid: 0, context: 0, snapshot: false });
    to.flush();
  }

  function begin(options: Parameters<typeof writer>[2] = {}): void {
    to = writer(dir, clock, options);
    putOpen(to, 1, clock.monotonicNs);
  }

  /** Ms after the start; −1: nothing can be said. */
  function until(ms: number): number {
    outlook ??= openRecording(dir).outlook();
    return Math.max(-1, Math.round((outlook.until(START_US + ms * 1000) - START_US) / 1000));
  }

  it('reaches the last event where nothing was lost', () => {
    begin();
    for (let at = 0; at < 5; at++) block(100);
    equal(until(Infinity), 500);
  });

  it('looks no further than it was asked to, by a block', () => {
    begin();
    for (let at = 0; at < 5; at++) block(100);
    equal(until(150), 200);
    equal(until(350), 400);
  });

  it('ends before a block that says that something was lost', () => {
    begin();
    block(100);
    block(100);
    lost();
    block(100);
    equal(until(Infinity), 200);
  });

  it('ends where a block says so behind other events', () => {
    begin();
    block(100);
    putData(to, 1, 4, 4, clock.monotonicNs);
    lost();
    block(100);
    equal(until(Infinity), 100);
  });

  it('ends before the end of the recording, which is a pause', () => {
    begin();
    block(100);
    block(100);
    to.close();
    equal(until(Infinity), 200);
  });

  it('ends before a damaged block', () => {
    begin();
    for (let at = 0; at < 4; at++) block(100);
    const file = join(dir, segmentName(1));
    const bytes = readFileSync(file);
    const third = bytes.lastIndexOf(BLOCK_MAGIC, bytes.lastIndexOf(BLOCK_MAGIC) - 1);
    bytes[third + 60] = (bytes[third + 60] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    equal(until(Infinity), 200);
  });

  it('goes on in the next segment', () => {
    begin({ segmentBytes: 300 });
    for (let at = 0; at < 12; at++) block(100);
    ok(to.segments > 2);
    equal(until(Infinity), 1200);
  });

  it('ends where a segment is missing', () => {
    begin({ segmentBytes: 300 });
    for (let at = 0; at < 12; at++) block(100);
    rmSync(join(dir, segmentName(2)));
    const reached = until(Infinity);
    ok(reached > 0 && reached < 1200, String(reached));
  });

  it('sees nothing where nothing can be read', () => {
    begin();
    block(100);
    const watch = openRecording(dir).outlook();
    rmSync(join(dir, segmentName(1)));
    equal(watch.until(Infinity), -Infinity);
    watch.close();
  });
});
