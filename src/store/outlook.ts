/**
 * Looks ahead in a recording: until when nothing more is said to have been lost. Who knows that need not wait for the recorder's
 * next report before a session is called complete, and keep it, and the blocks that hold its bytes, in memory meanwhile.
 */
import { reportsIn } from '../events/reports.ts';
import { SegmentBlocks } from './blocks.ts';
import { listSegments } from './folder.ts';
import { BLOCK_HAS_HEADER, BLOCK_IS_SNAPSHOT } from './format.ts';

const NS_PER_US = 1000;

export class Outlook {
  readonly #dir: string;
  #segment: SegmentBlocks | undefined;
  #sequence = 0;
  /** No further: there is a report, or damage, or nothing that is whole. */
  #ended = false;
  #untilUs = -Infinity;

  /** From the oldest segment on. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Looks as far as `wantedUs` (Unix µs). Returns the time of the last event before which, in the order of the recording, it found no
   * loss, no pause and no damage: at least `wantedUs`, or as far as it goes.
   */
  until(wantedUs: number): number {
    while (!this.#ended && this.#untilUs < wantedUs) this.#look();
    return this.#untilUs;
  }

  close(): void {
    this.#ended = true;
    this.#segment?.close();
    this.#segment = undefined;
  }

  #look(): void {
    const step = this.#segment?.next();
    if (step === undefined || (step.kind === 'incomplete' && step.bytes === 0)) return this.#nextSegment();
    if (step.kind !== 'block') return this.close();
    const { header, payload } = step;
    if ((header.flags & (BLOCK_HAS_HEADER | BLOCK_IS_SNAPSHOT)) !== 0) return;
    const { any, lastNs } = reportsIn(payload);
    if (any) return this.close();
    const baseUs = Number(header.baseUnixNs / 1000n) + Number(header.baseUnixNs % 1000n) / NS_PER_US;
    this.#untilUs = Math.max(this.#untilUs, baseUs + lastNs / NS_PER_US);
  }

  #nextSegment(): void {
    const next = listSegments(this.#dir).find((segment) => segment.sequence > this.#sequence);
    if (next === undefined || (this.#segment !== undefined && next.sequence !== this.#sequence + 1)) return this.close();
    this.#segment?.close();
    this.#sequence = next.sequence;
    try {
      this.#segment = new SegmentBlocks(next.path);
    } catch {
      this.close(); // who reads it says why
    }
  }
}
