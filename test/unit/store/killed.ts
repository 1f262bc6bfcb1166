/** A recorder that writes until it is killed: `node --import tsx killed.ts DIR`. Says on stdout which position it has written. */
import { writeSync } from 'node:fs';
import { SegmentWriter } from '../../../src/store/writer.ts';
import { FACTS, putData, putOpen } from './recordings.ts';

const to = new SegmentWriter({ dir: process.argv[2] ?? '', facts: FACTS, segmentBytes: 2_000_000, minFreeBytes: 0 });
const atNs = process.hrtime.bigint();
putOpen(to, 1, atNs);
for (let position = 0; ; position += 5000) {
  putData(to, 1, position, 5000, atNs);
  if (position % 50_000 === 45_000) {
    to.flush();
    writeSync(1, `${position + 5000}\n`);
  }
}
