/** A map of the kernel side's, or a part of it, in this process' memory. */
import { EnvironmentError } from '../errors.ts';
import { c, errno, errnoName, isNoAddress, viewMemory } from './ffi.ts';
import type { Pointer } from './ffi.ts';

export const PROT_READ = 1;
export const PROT_WRITE = 2;
const MAP_SHARED = 1;

export class Mapped {
  /** Borrowed: not to be touched any more after `close`. */
  readonly memory: ArrayBuffer;
  readonly #length: number;
  #address: Pointer;

  /** Throws EnvironmentError. */
  constructor(fd: number, name: string, length: number, protection = PROT_READ, offset = 0) {
    this.#address = c.mmap(null, length, protection, MAP_SHARED, fd, offset);
    if (isNoAddress(this.#address)) throw new EnvironmentError(`Cannot map ${name}: kernel returned ${errnoName(errno())}`);
    this.#length = length;
    this.memory = viewMemory(this.#address, length);
  }

  close(): void {
    if (this.#address !== null) c.munmap(this.#address, this.#length);
    this.#address = null;
  }
}
