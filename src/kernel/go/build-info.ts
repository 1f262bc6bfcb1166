/** Which Go a program was built with, as its linker wrote into it (Go's debug/buildinfo). Undefined: it is no Go program. */
import type { ElfFile } from '../elf.ts';

const MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
const HEADER_BYTES = 32;
/** The version follows the header, as a varint and so many bytes (since Go 1.18). */
const INLINE = 2;
const MAX_VERSION_BYTES = 256;

/** `go1.26.8`, `devel go1.27-0123abc …`; empty where it is older than 1.18. */
export function goVersion(elf: ElfFile): string | undefined {
  const section = elf.section(/^\.go\.buildinfo$/);
  if (section === undefined || section.size < HEADER_BYTES) return undefined;
  const bytes = elf.bytes(section.offset, Math.min(section.size, HEADER_BYTES + 2 + MAX_VERSION_BYTES));
  if (bytes.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) !== 0) return undefined;
  if (((bytes[15] ?? 0) & INLINE) === 0) return '';
  let at = HEADER_BYTES;
  let length = 0;
  for (let shift = 0; shift < 14; shift += 7) {
    const byte = bytes[at++] ?? 0;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  return length > MAX_VERSION_BYTES ? '' : bytes.toString('latin1', at, at + length);
}
