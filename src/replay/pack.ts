/** Bytes on their way to another thread: gathered in buffers that move there, so that they are copied once. */

const FIRST_CHUNK_BYTES = 1 << 10;
const MAX_CHUNK_BYTES = 256 << 10;

export class Pack {
  readonly buffers: ArrayBuffer[] = [];
  #chunk = new Uint8Array(0);
  #used = 0;
  #nextBytes = FIRST_CHUNK_BYTES;

  /** A copy of `bytes`; it goes away when `buffers` are transferred. */
  add(bytes: Uint8Array): Uint8Array {
    if (this.#used + bytes.length > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.max(this.#nextBytes, bytes.length));
      this.#nextBytes = Math.min(MAX_CHUNK_BYTES, 2 * this.#nextBytes);
      this.buffers.push(this.#chunk.buffer);
      this.#used = 0;
    }
    const copy = this.#chunk.subarray(this.#used, this.#used + bytes.length);
    copy.set(bytes);
    this.#used += bytes.length;
    return copy;
  }
}
