/** What a recorder must know of the recording that it continues. */
import type { Event } from '../events/event.ts';
import { SegmentBlocks } from './blocks.ts';
import type { SegmentFile } from './folder.ts';
import { BLOCK_HAS_HEADER } from './format.ts';
import { decodeHeader } from './header.ts';
import { openRecording } from './recording.ts';

export interface Previous {
  readonly recordingId: string;
  readonly lastSequence: number;
  /** No connection of the recording has a higher number. */
  readonly highestConnection: number;
  /** Unix µs of the last event. */
  readonly untilUs: number;
}

/** Reads the last segment that holds anything. Throws what `openRecording` throws. */
export function readPrevious(dir: string, segments: readonly SegmentFile[]): Previous {
  const recording = openRecording(dir);
  let highestConnection = 0;
  let untilUs = 0;
  for (const segment of [...segments].reverse()) {
    for (const event of recording.events({ fromSequence: segment.sequence })) {
      highestConnection = Math.max(highestConnection, connectionOf(event));
      untilUs = Math.max(untilUs, event.atUs);
    }
    highestConnection = Math.max(highestConnection, headerHighest(segment.path));
    if (untilUs > 0) break;
  }
  return { recordingId: recording.id, lastSequence: segments.at(-1)?.sequence ?? 0, highestConnection, untilUs };
}

const connectionOf = (event: Event): number => ('connection' in event ? event.connection : 0);

function headerHighest(path: string): number {
  const blocks = new SegmentBlocks(path);
  try {
    const first = blocks.next();
    if (first.kind !== 'block' || (first.header.flags & BLOCK_HAS_HEADER) === 0) return 0;
    return decodeHeader(first.payload).highestConnection;
  } finally {
    blocks.close();
  }
}
