/**
 * From ring memory to disk on one core: samples as the kernel side writes them, through SegmentWriter. Run:
 * `npx tsx bench/consumer.ts [folder]`; the folder's file system is what is measured (default: the temporary folder).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as layout from '../src/events/layout.ts';
import { openRecording } from '../src/store/recording.ts';
import { SegmentWriter } from '../src/store/writer.ts';

const RING_BYTES = 16 * 1024 * 1024;
const RECORD_HEADER = 8;
const ROUNDS = 3;

interface Case {
  readonly name: string;
  readonly payload: number;
  readonly events: number;
}

const CASES: readonly Case[] = [
  { name: '100 B', payload: 100, events: 4_000_000 },
  { name: '1.4 KB', payload: 1400, events: 1_000_000 },
  { name: '4 KiB', payload: 4096, events: 500_000 },
  { name: '32 KiB', payload: 32_768, events: 60_000 },
];

/** Ring memory full of data samples; returns where each `struct sample` begins. */
function fill(ring: Uint8Array, view: DataView, payload: number): number[] {
  const step = Math.ceil((RECORD_HEADER + layout.SIZE_SAMPLE + payload) / 8) * 8;
  const offsets: number[] = [];
  for (let at = 0; at + step <= ring.length; at += step) {
    const offset = at + RECORD_HEADER;
    offsets.push(offset);
    view.setUint32(offset + layout.OFFSET_SAMPLE_CAPTURED, payload, true);
    view.setUint8(offset + layout.OFFSET_SAMPLE_KIND, layout.SAMPLE_DATA);
    view.setUint8(offset + layout.OFFSET_SAMPLE_DIRECTION, 1 + (offsets.length % 2));
    view.setBigUint64(offset + layout.OFFSET_SAMPLE_CONNECTION, BigInt(1 + (offsets.length % 64)), true);
    view.setBigUint64(offset + layout.OFFSET_SAMPLE_POSITION, BigInt(offsets.length * payload), true);
    view.setBigUint64(offset + layout.OFFSET_SAMPLE_LENGTH, BigInt(payload), true);
    view.setUint32(offset + layout.OFFSET_SAMPLE_TGID, 4242, true);
    view.setUint32(offset + layout.OFFSET_SAMPLE_TID, 4242 + (offsets.length % 16), true);
    for (let byte = 0; byte < payload; byte++) ring[offset + layout.SIZE_SAMPLE + byte] = (byte * 31 + offsets.length) & 255;
  }
  return offsets;
}

interface Spent {
  /** Of the wall clock. */
  readonly seconds: number;
  /** User and system time of this process: what one core had to give, whoever else was busy meanwhile. */
  readonly cpuSeconds: number;
}

function write(dir: string, { payload, events }: Case): Spent {
  const ring = new Uint8Array(RING_BYTES);
  const view = new DataView(ring.buffer);
  const offsets = fill(ring, view, payload);
  const facts = { bootId: '', host: '', kernel: '', probe: 'bench', koalaVersion: '', filters: [] };
  const writer = new SegmentWriter({ dir, facts, maxDiskBytes: 1024 ** 3 });
  const startNs = process.hrtime.bigint();
  const cpuBefore = process.cpuUsage();
  let atNs = startNs;
  for (let done = 0, index = 0; done < events; done++, index++) {
    if (index === offsets.length) index = 0;
    const offset = offsets[index] ?? 0;
    atNs += 1000n;
    view.setUint32(offset + layout.OFFSET_SAMPLE_AT_NS, Number(atNs & 0xffffffffn), true);
    view.setUint32(offset + layout.OFFSET_SAMPLE_AT_NS + 4, Number(atNs >> 32n), true);
    writer.sample(ring, view, offset);
  }
  writer.close();
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds: Number(process.hrtime.bigint() - startNs) / 1e9, cpuSeconds: (user + system) / 1e6 };
}

function read(dir: string): { events: number; seconds: number } {
  const startNs = process.hrtime.bigint();
  let events = 0;
  for (const event of openRecording(dir).events()) if (event.kind === 'data') events++;
  return { events, seconds: Number(process.hrtime.bigint() - startNs) / 1e9 };
}

const million = (value: number): string => (value / 1e6).toFixed(2);

const parent = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'koala-bench-'));
try {
  console.log('payload   write: M events/s  MB/s payload   M events a CPU second   read: M events/s      (best of 3, spread of the three)');
  for (const item of CASES) {
    const rounds: Spent[] = [];
    let reading = { events: 0, seconds: 1 };
    for (let round = 0; round < ROUNDS; round++) {
      const dir = join(parent, `${item.payload}-${round}`);
      rounds.push(write(dir, item));
      reading = read(dir);
      rmSync(dir, { recursive: true });
    }
    const seconds = rounds.map((round) => round.seconds);
    const best = Math.min(...seconds);
    const cpu = Math.min(...rounds.map((round) => round.cpuSeconds));
    const spread = `${((Math.max(...seconds) / best - 1) * 100).toFixed(0)}%`;
    console.log(
      item.name.padEnd(10) + million(item.events / best).padStart(19) + ((item.events * item.payload) / best / 1e6).toFixed(0).padStart(14) +
      million(item.events / cpu).padStart(24) + million(reading.events / reading.seconds).padStart(19) + `      ${spread}`,
    );
  }
} finally {
  rmSync(parent, { recursive: true });
}
