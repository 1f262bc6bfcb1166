/** Small records for our own files: varints and length-prefixed bytes, one after the other, read back in the same order. */
import { unzigzag, VarintReader, varintSize, writeVarint, zigzag } from './varint.ts';

const FIRST_BYTES = 1024;

/** Grows as needed; `take` hands out what was written and begins anew. */
export class PackWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;

  /** A non-negative integer below 2^53. */
  unsigned(value: number): void {
    this.#room(varintSize(value));
    this.#at = writeVarint(this.#bytes, this.#at, value);
  }

  /** An integer; |value| below 2^52. */
  signed(value: number): void {
    this.unsigned(zigzag(value));
  }

  flag(value: boolean): void {
    this.unsigned(value ? 1 : 0);
  }

  bytes(value: Uint8Array): void {
    this.unsigned(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  text(value: string): void {
    // Almost always ASCII: then its length is known beforehand.
    const size = Buffer.byteLength(value);
    this.unsigned(size);
    this.#room(size);
    this.#bytes.write(value, this.#at);
    this.#at += size;
  }

  /** A view that the next write spoils. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at);
    this.#at = 0;
    return taken;
  }

  #room(size: number): void {
    if (this.#at + size <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + size));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

/** Throws RangeError where the record is shorter than what is asked of it. */
export class PackReader {
  readonly #reader = new VarintReader();

  constructor(bytes: Uint8Array) {
    this.#reader.reset(bytes, 0, bytes.length);
  }

  unsigned(): number {
    const value = this.#reader.unsigned();
    this.#check();
    return value;
  }

  signed(): number {
    return unzigzag(this.unsigned());
  }

  flag(): boolean {
    return this.unsigned() !== 0;
  }

  /** A view. */
  bytes(): Uint8Array {
    const length = this.unsigned();
    const from = this.#reader.advance(length);
    this.#check();
    return this.#reader.bytes.subarray(from, from + length);
  }

  text(): string {
    const { buffer, byteOffset, length } = this.bytes();
    return Buffer.from(buffer, byteOffset, length).toString();
  }

  #check(): void {
    if (this.#reader.failed) throw new RangeError('record cut short');
  }
}
