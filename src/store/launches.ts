/** How recorded processes had been started, where the recording keeps that. */
import { SegmentBlocks } from './blocks.ts';
import { BLOCK_HAS_HEADER } from './format.ts';
import { decodeHeader, type Launch } from './header.ts';
import { openRecording } from './recording.ts';

/** Of the last recorder that kept them; none where none did. Throws what `openRecording` throws. */
export function launchesIn(dir: string): readonly Launch[] {
  for (const { path } of openRecording(dir).segments().reverse()) {
    const blocks = new SegmentBlocks(path);
    try {
      const first = blocks.next();
      const launches = first.kind === 'block' && (first.header.flags & BLOCK_HAS_HEADER) !== 0 ? decodeHeader(first.payload).launches : [];
      if (launches.length > 0) return launches;
    } finally {
      blocks.close();
    }
  }
  return [];
}
