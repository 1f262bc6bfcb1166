/**
 * What each CPU counts in an element of its own (PER_CPU_ARRAY of bpf/maps.h), read as memory: in the midst of a system call on a map the
 * kernel runs no kprobe's program on that CPU, and what is counted is looked at all the time.
 */
import { Mapped } from './mapped.ts';

export class CpuCounts {
  readonly #mapped: Pick<Mapped, 'memory' | 'close'>;
  readonly #wordsEach: number;
  #words: BigUint64Array;

  /** `bytesEach`: of an element, in whole words of 64 bits. */
  constructor(mapped: Pick<Mapped, 'memory' | 'close'>, bytesEach: number) {
    this.#mapped = mapped;
    this.#words = new BigUint64Array(mapped.memory);
    this.#wordsEach = bytesEach / BigUint64Array.BYTES_PER_ELEMENT;
  }

  /** Those of a map. Throws EnvironmentError. */
  static of(fd: number, name: string, bytesEach: number, cpus: number): CpuCounts {
    return new CpuCounts(new Mapped(fd, name, bytesEach * cpus), bytesEach);
  }

  /** Over all CPUs, of what stands at `offset` of their elements. 0 once it is closed. */
  sum(offset: number): number {
    let sum = 0;
    for (let at = offset / BigUint64Array.BYTES_PER_ELEMENT; at < this.#words.length; at += this.#wordsEach) sum += Number(Atomics.load(this.#words, at));
    return sum;
  }

  close(): void {
    this.#words = new BigUint64Array(0);
    this.#mapped.close();
  }
}
