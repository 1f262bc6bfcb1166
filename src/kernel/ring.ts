/**
 * The kernel's ring buffer, read where it lies (BPF_MAP_TYPE_RINGBUF; kernel/bpf/ringbuf.c): a page with the consumer's
 * position, a page with the producer's, then the data, mapped twice so that no record is cut by the end. A record is
 * {u32 length | busy | discard, u32 page offset}, then the data, up to a multiple of 8. No system call an event.
 */
import { PAGE_BYTES } from './auxiliary.ts';
import { Mapped, PROT_READ, PROT_WRITE } from './mapped.ts';

const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;
const RECORD_HEADER = 8;

export class RingReader {
  /** Borrowed: what `onRecord` sees is overwritten once it has returned and the position is published. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #words: Int32Array;
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  readonly #size: number;
  readonly #maps: Mapped[] = [];
  /** Position modulo the ring's size is all that indexes need; the whole one is kept as a number (exact to 2^53). */
  #position: number;

  /** @param size the map's max_entries: a power of two of at least a page */
  constructor(fd: number, size: number) {
    this.#size = size;
    this.#consumer = new BigUint64Array(this.#map(fd, PAGE_BYTES, PROT_READ | PROT_WRITE, 0), 0, 1);
    const rest = this.#map(fd, PAGE_BYTES + 2 * size, PROT_READ, PAGE_BYTES);
    this.#producer = new BigUint64Array(rest, 0, 1);
    this.bytes = new Uint8Array(rest, PAGE_BYTES, 2 * size);
    this.view = new DataView(rest, PAGE_BYTES, 2 * size);
    this.#words = new Int32Array(rest, PAGE_BYTES, (2 * size) / 4);
    this.#position = Number(Atomics.load(this.#consumer, 0));
  }

  /** Bytes waiting. */
  get waiting(): number {
    return Number(Atomics.load(this.#producer, 0)) - this.#position;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Calls back for each complete record with the offset of its data in `bytes`, until the ring is empty, a record is still
   * being written, or `maxBytes` of ring were read. Positions are published every `publishBytes`, so that a producer finds room.
   * @returns bytes of ring read
   */
  drain(onRecord: (offset: number) => void, maxBytes: number, publishBytes = 256 * 1024): number {
    const start = this.#position;
    const end = Math.min(Number(Atomics.load(this.#producer, 0)), start + maxBytes);
    let published = start;
    let position = start;
    try {
      while (position < end) {
        const at = position % this.#size;
        const header = Atomics.load(this.#words, at >>> 2);
        if ((header & BUSY) !== 0) break;
        if ((header & DISCARD) === 0) onRecord(at + RECORD_HEADER);
        position += ((header & ~DISCARD) + RECORD_HEADER + 7) & ~7;
        if (position - published >= publishBytes) {
          Atomics.store(this.#consumer, 0, BigInt(position));
          published = position;
        }
      }
    } finally {
      this.#position = position;
      if (position !== published) Atomics.store(this.#consumer, 0, BigInt(position));
    }
    return position - start;
  }

  /** Unmaps: `bytes` must not be touched again. */
  close(): void {
    for (const mapped of this.#maps.splice(0)) mapped.close();
  }

  #map(fd: number, length: number, protection: number, offset: number): ArrayBuffer {
    const mapped = new Mapped(fd, 'the ring', length, protection, offset);
    this.#maps.push(mapped);
    return mapped.memory;
  }
}
