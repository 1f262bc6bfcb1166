/** Makes recordings for tests, in a folder of their own that is gone after the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as layout from '../../../src/events/layout.ts';
import type { Event } from '../../../src/events/event.ts';
import type { ClockPair } from '../../../src/store/clock.ts';
import { openRecording } from '../../../src/store/recording.ts';
import { SegmentWriter } from '../../../src/store/writer.ts';
import type { WriterOptions } from '../../../src/store/writer.ts';
import { openPayload, sample } from '../events/ring.ts';
import type { SampleFields } from '../events/ring.ts';

export const FACTS = { bootId: 'boot', host: 'host', kernel: '6.18.0', probe: 'tracepoint', koalaVersion: '0.1.0', filters: ['--pid 1'] };
export const START_NS = 1_800_000_000_000_000_000n;

/** A clock that only moves when told. */
export class FakeClock {
  monotonicNs = 5_000_000_000n;
  unixNs = START_NS;

  readonly read = (): ClockPair => ({ unixNs: this.unixNs, monotonicNs: this.monotonicNs });

  advance(ms: number): void {
    this.monotonicNs += BigInt(ms) * 1_000_000n;
    this.unixNs += BigInt(ms) * 1_000_000n;
  }
}

const folders: string[] = [];

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'koala-store-'));
  folders.push(folder);
  return folder;
}

export function removeTemporaryFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

export function writer(dir: string, clock: FakeClock, options: Partial<WriterOptions> = {}): SegmentWriter {
  return new SegmentWriter({ dir, facts: FACTS, clock: clock.read, minFreeBytes: 0, ...options });
}

export function put(to: SegmentWriter, fields: SampleFields): void {
  const { ring, view, offset } = sample(fields);
  to.sample(ring, view, offset);
}

export function putOpen(to: SegmentWriter, connection: number, atNs: bigint): void {
  const payload = openPayload({
    local: [127, 0, 0, 1], remote: [127, 0, 0, 1], localPort: 80, remotePort: 1000 + connection, family: 2, role: 1, learnt: 1, comm: 'web',
  });
  put(to, { kind: layout.SAMPLE_OPEN, connection, atNs, tgid: 5, tid: 6, payload });
}

/** Data whose bytes say where in the stream they are: any four tell their position. */
export function putData(to: SegmentWriter, connection: number, position: number, length: number, atNs: bigint): void {
  put(to, { kind: layout.SAMPLE_DATA, direction: 1, connection, atNs, tgid: 5, tid: 6, position: BigInt(position), payload: stream(position, length) });
}

export function stream(position: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(length + 8);
  const first = position - (position % 4);
  for (let at = 0; at < length + 4; at += 4) bytes.writeUInt32LE((first + at) >>> 0, at);
  return Uint8Array.prototype.slice.call(bytes, position % 4, (position % 4) + length);
}

export function readAll(dir: string): { events: Event[]; problems: readonly string[]; endedOrderly: boolean } {
  const recording = openRecording(dir);
  const events = [...recording.events()];
  const { problems, endedOrderly } = recording.status();
  return { events, problems, endedOrderly };
}

export const dataOf = (events: readonly Event[]): number[] =>
  events.flatMap((event) => (event.kind === 'data' ? [event.position] : []));
