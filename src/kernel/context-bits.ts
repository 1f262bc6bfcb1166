/** Of which processes the kernel side asks what runs on their threads: goroutines, contexts of Python's, or a JVM (bpf/goroutine.h, `go_bits`). */
import { u32, type BpfMap } from './map.ts';

/** A bit for each process id, modulo so many words of 64. */
const WORDS = 1_024;
const WORD_BITS = 64;

export class ContextBits {
  readonly #bits: BpfMap;

  constructor(bits: BpfMap) {
    this.#bits = bits;
  }

  /** It asks of this one from now on. */
  set(tgid: number): void {
    const key = u32(Math.floor(tgid / WORD_BITS) % WORDS);
    const value = this.#bits.get(key) ?? new Uint8Array(8);
    const view = new DataView(value.buffer);
    view.setBigUint64(0, view.getBigUint64(0, true) | (1n << BigInt(tgid % WORD_BITS)), true);
    this.#bits.set(key, value);
  }
}
