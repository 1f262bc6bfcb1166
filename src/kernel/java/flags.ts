/** The options that a JVM runs with (-XX:+…), by its own list of them. */
import type { ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

/** A JDK has some 1,500. */
const MAX_FLAGS = 16_384;

export type Flags = ReadonlyMap<string, boolean>;

/** Of those of `names` that this release knows. Undefined: it keeps no such list. */
export function flagsOf(memory: ProcessMemory, structs: VmStructs, names: ReadonlySet<string>): Flags | undefined {
  const [list, count] = [structs.address('JVMFlag.flags'), structs.address('JVMFlag.numFlags')];
  const [nameAt, valueAt, size] = [structs.offset('JVMFlag._name'), structs.offset('JVMFlag._addr'), structs.size('JVMFlag')];
  if (list === undefined || count === undefined || nameAt === undefined || valueAt === undefined || size === undefined) return undefined;
  const flags = memory.bytes(size * Math.min(memory.pointer(count), MAX_FLAGS), memory.pointer(list));
  const found = new Map<string, boolean>();
  for (let at = 0; at + size <= flags.length; at += size) {
    const name = memory.text(Number(flags.readBigUInt64LE(at + nameAt)));
    if (name !== undefined && names.has(name)) found.set(name, memory.byte(Number(flags.readBigUInt64LE(at + valueAt))) !== 0);
  }
  return found;
}
