/** The block that is being filled: events go in one behind the other, until it is sealed and written as a whole. */
import { crc32 } from 'node:zlib';
import { varintSize, writeVarint, zigzag } from '../bytes/varint.ts';
import { encodeSample, MAX_EVENT_HEAD } from '../events/encode.ts';
import { OFFSET_SAMPLE_CAPTURED } from '../events/layout.ts';
import { BLOCK_HEADER_BYTES, BLOCK_TARGET_BYTES, writeBlockHeader } from './format.ts';
import type { BlockHeader } from './format.ts';

/** No sample captures more, no event's message is longer. */
export const MAX_EVENT_BYTES = 1024 * 1024;

export class BlockBuffer {
  readonly #bytes = Buffer.allocUnsafeSlow(BLOCK_HEADER_BYTES + BLOCK_TARGET_BYTES + MAX_EVENT_BYTES + 2 * MAX_EVENT_HEAD);
  readonly #view = new DataView(this.#bytes.buffer);
  /** Where the next event goes. */
  #at = BLOCK_HEADER_BYTES;
  #events = 0;
  #baseNs = 0;

  get events(): number {
    return this.#events;
  }

  /** CLOCK_MONOTONIC ns that the events' times count from. */
  get baseNs(): number {
    return this.#baseNs;
  }

  /** To be sealed before anything else goes in. */
  get full(): boolean {
    return this.#at >= BLOCK_HEADER_BYTES + BLOCK_TARGET_BYTES;
  }

  /** A sample of a hot kind, straight from ring memory. `atNs`: its CLOCK_MONOTONIC time. */
  sample(ring: Uint8Array, view: DataView, offset: number, atNs: number, connectionOffset: number): void {
    const captured = view.getUint32(offset + OFFSET_SAMPLE_CAPTURED, true);
    if (captured > MAX_EVENT_BYTES) throw new Error(`sample of ${captured} bytes`);
    if (this.#events === 0) this.#baseNs = atNs;
    this.#at = encodeSample(this.#bytes, this.#view, this.#at, ring, view, offset, atNs - this.#baseNs, connectionOffset);
    this.#events++;
  }

  /** An encoded message without `at`, which goes before it, as does `snapshot`. */
  message(message: Uint8Array, atNs: number, snapshot: boolean): void {
    if (message.length > MAX_EVENT_BYTES) throw new Error(`event of ${message.length} bytes`);
    if (this.#events === 0) this.#baseNs = atNs;
    const delta = zigzag(Math.round(atNs - this.#baseNs));
    const bytes = this.#bytes;
    let at = writeVarint(bytes, this.#at, 1 + varintSize(delta) + (snapshot ? 2 : 0) + message.length);
    bytes[at] = 0x08; // Event.at
    at = writeVarint(bytes, at + 1, delta);
    if (snapshot) {
      bytes[at] = 0x28; // Event.snapshot
      bytes[at + 1] = 1;
      at += 2;
    }
    bytes.set(message, at);
    this.#at = at + message.length;
    this.#events++;
  }

  /** The whole block, header and payload, and begins the next. Borrowed: what goes in next spoils it. */
  seal(facts: Pick<BlockHeader, 'flags' | 'salt' | 'baseUnixNs'>): Uint8Array {
    const end = this.#at;
    const length = end - BLOCK_HEADER_BYTES;
    const payloadCrc = crc32(this.#bytes.subarray(BLOCK_HEADER_BYTES, end));
    writeBlockHeader(this.#bytes, { ...facts, length, events: this.#events, payloadCrc });
    this.#at = BLOCK_HEADER_BYTES;
    this.#events = 0;
    return this.#bytes.subarray(0, end);
  }
}
