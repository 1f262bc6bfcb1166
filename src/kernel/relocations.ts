/** What the loader writes into the data of a file where that is loaded (System V gABI; x86-64 psABI, R_X86_64_RELATIVE). */
import type { ElfFile } from './elf.ts';

const RELOCATION_BYTES = 24;
const INFO_AT = 8;
const ADDEND_AT = 16;
const R_X86_64_RELATIVE = 8n;

/** By address, the address that will stand there. None where the file has no such table. */
export function relocated(elf: ElfFile): ReadonlyMap<number, number> {
  const table = elf.section(/^\.rela\.dyn$/);
  const bytes = table === undefined ? Buffer.alloc(0) : elf.bytes(table.offset, table.size);
  const found = new Map<number, number>();
  for (let at = 0; at + RELOCATION_BYTES <= bytes.length; at += RELOCATION_BYTES) {
    if (bytes.readBigUInt64LE(at + INFO_AT) === R_X86_64_RELATIVE) found.set(Number(bytes.readBigUInt64LE(at)), Number(bytes.readBigUInt64LE(at + ADDEND_AT)));
  }
  return found;
}
