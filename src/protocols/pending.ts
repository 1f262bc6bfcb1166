/**
 * The beginning of a unit (a line, a packet's head) that is split over several pushes: bytes are copied here until the
 * rest arrives. Grows by doubling, so a unit that trickles in byte by byte costs linear time; never beyond its cap.
 */
export class Pending {
  private buffer: Uint8Array;
  private readonly maxBytes: number;
  length = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
    this.buffer = EMPTY;
  }

  /** Appends `bytes[from, to)`. False, and nothing appended, when that would pass the cap. */
  append(bytes: Uint8Array, from: number, to: number): boolean {
    const needed = this.length + (to - from);
    if (needed > this.maxBytes) return false;
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.min(this.maxBytes, Math.max(needed, this.buffer.length * 2, 64)));
      grown.set(this.buffer.subarray(0, this.length));
      this.buffer = grown;
    }
    this.buffer.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), this.length);
    this.length = needed;
    return true;
  }

  /** What is held. Borrowed: valid until the next append or clear. */
  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** Forgets what is held; a large buffer is given back. */
  clear(): void {
    this.length = 0;
    if (this.buffer.length > KEPT_BYTES) this.buffer = EMPTY;
  }
}

const EMPTY = new Uint8Array(0);
const KEPT_BYTES = 4096;
