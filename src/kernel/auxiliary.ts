/** What the kernel told a process as it began (the auxiliary vector; numbers of elf.h), of 64 bits. */
import { readFileSync } from 'node:fs';

const AT_PAGESZ = 6n;
export const AT_ENTRY = 9n;
const PAIR_BYTES = 16;

/** Undefined when the process is gone, or was told nothing of that kind. */
export function auxiliary(pid: number | 'self', kind: bigint): number | undefined {
  let vector: Buffer;
  try {
    vector = readFileSync(`/proc/${pid}/auxv`);
  } catch {
    return undefined;
  }
  for (let at = 0; at + PAIR_BYTES <= vector.length; at += PAIR_BYTES) {
    if (vector.readBigUInt64LE(at) === kind) return Number(vector.readBigUInt64LE(at + 8));
  }
  return undefined;
}

/** 4096, but on arm64, where the kernel was built for one of 4, 16 and 64 KiB. */
export const PAGE_BYTES = auxiliary('self', AT_PAGESZ) ?? 4096;
