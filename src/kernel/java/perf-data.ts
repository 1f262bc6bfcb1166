/** What a JVM counts for tools (jstat, /tmp/hsperfdata_*): PerfDataPrologue and PerfDataEntry of OpenJDK, version 2. */
import type { ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

const MAGIC = 0xcafec0c0;
/** In the prologue. */
const USED = 8;
const FIRST = 24;
const COUNT = 28;
const PROLOGUE_BYTES = 32;
/** In an entry: offsets of its name and its value, from where it begins. */
const NAME = 4;
const VALUE = 16;
const ENTRY_BYTES = 20;
const MAX_BYTES = 1024 * 1024;

/** Address of a counter of 8 bytes. Undefined: it counts none of that name (-XX:-UsePerfData). Throws Unreadable. */
export function counterOf(memory: ProcessMemory, structs: VmStructs, name: string): number | undefined {
  const start = structs.address('PerfMemory._start');
  const at = start === undefined ? 0 : memory.pointer(start);
  if (at === 0) return undefined;
  const prologue = memory.bytes(PROLOGUE_BYTES, at);
  if (prologue.readUInt32BE(0) !== MAGIC && prologue.readUInt32LE(0) !== MAGIC) return undefined;
  const all = memory.bytes(Math.min(prologue.readUInt32LE(USED), MAX_BYTES), at);
  let entry = prologue.readUInt32LE(FIRST);
  for (let index = prologue.readUInt32LE(COUNT); index > 0 && entry + ENTRY_BYTES <= all.length; index -= 1) {
    const length = all.readUInt32LE(entry);
    const from = entry + all.readUInt32LE(entry + NAME);
    if (all.toString('latin1', from, from + name.length + 1) === `${name}\0`) return at + entry + all.readUInt32LE(entry + VALUE);
    if (length < ENTRY_BYTES) return undefined;
    entry += length;
  }
  return undefined;
}
