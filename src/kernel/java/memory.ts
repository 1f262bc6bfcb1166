/** The memory of a process, as /proc/PID/mem has it (proc(5)). It goes on meanwhile: what is read may be old by then. */
import { closeSync, openSync, readSync } from 'node:fs';

/** A text of a program's own. */
const MAX_TEXT_BYTES = 256;

/** There is no such memory, or the process is gone. */
export class Unreadable extends Error {}

/** Throws Unreadable: a JVM that does not say this is not known. */
export function known(value: number | undefined): number {
  if (value === undefined) throw new Unreadable('the JVM does not say it');
  return value;
}

/** What `use` reads; undefined: it can't. */
export function readable<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

export class ProcessMemory {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** What `use` makes of it; undefined where something of it can't be read. */
  static read<T>(tgid: number, use: (memory: ProcessMemory) => T): T | undefined {
    let fd: number;
    try {
      fd = openSync(`/proc/${tgid}/mem`, 'r');
    } catch {
      return undefined;
    }
    try {
      return readable(() => use(new ProcessMemory(fd)));
    } finally {
      closeSync(fd);
    }
  }

  /** So many, or as many as there are. Throws Unreadable where there are none. */
  upTo(length: number, address: number): Buffer {
    const bytes = Buffer.alloc(length);
    let read = 0;
    try {
      read = readSync(this.#fd, bytes, 0, length, address);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
    if (read === 0) throw new Unreadable(`nothing at ${address}`);
    return bytes.subarray(0, read);
  }

  bytes(length: number, address: number): Buffer {
    const bytes = this.upTo(length, address);
    if (bytes.length < length) throw new Unreadable(`only ${bytes.length} bytes at ${address}`);
    return bytes;
  }

  byte(address: number): number {
    return this.bytes(1, address).readUInt8();
  }

  int(address: number): number {
    return this.bytes(4, address).readUInt32LE();
  }

  long(address: number): bigint {
    return this.bytes(8, address).readBigUInt64LE();
  }

  /** An address: of those that user space has, none is beyond what a number holds. */
  pointer(address: number): number {
    return Number(this.long(address));
  }

  /** Up to its NUL; undefined at address 0. */
  text(address: number): string | undefined {
    if (address === 0) return undefined;
    const bytes = this.upTo(MAX_TEXT_BYTES, address);
    const end = bytes.indexOf(0);
    return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
  }
}
