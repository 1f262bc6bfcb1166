/**
 * What HotSpot says of itself for debuggers (vmStructs.hpp of OpenJDK; libjvm exports where the tables are, and how they are to be read):
 * where a structure has its fields, where a variable lies, how long a structure is, and numbers by name.
 */
import { ElfFile } from '../elf.ts';
import { rooted, type Loaded } from '../loaded.ts';
import type { ProcessMemory } from './memory.ts';

/** Of one table: a JDK has some 800. */
const MAX_ENTRIES = 16_384;
const FIELDS = ['TypeName', 'FieldName', 'IsStatic', 'Offset', 'Address'].map((what) => `gHotSpotVMStructEntry${what}Offset`);
const TYPES = ['TypeName', 'Size'].map((what) => `gHotSpotVMTypeEntry${what}Offset`);
const CONSTANTS = ['Name', 'Value'].map((what) => `gHotSpotVMIntConstantEntry${what}Offset`);
const SYMBOLS = [
  'gHotSpotVMStructs', 'gHotSpotVMStructEntryArrayStride', ...FIELDS, 'gHotSpotVMTypes', 'gHotSpotVMTypeEntryArrayStride', ...TYPES,
  'gHotSpotVMIntConstants', 'gHotSpotVMIntConstantEntryArrayStride', ...CONSTANTS,
];

/** Where libjvm, as process `tgid` has loaded it, has what it exports of this, by name. Undefined: it is no libjvm that has it all. */
export function exportsOf(tgid: number, { path, start }: Loaded): ReadonlyMap<string, number> | undefined {
  return ElfFile.read(rooted(tgid, path), (elf) => {
    const { base } = elf;
    const found = new Map<string, number>();
    for (const name of SYMBOLS) {
      const at = elf.exported(name);
      if (at === undefined || base === undefined) return undefined;
      found.set(name, at - base + start);
    }
    return found;
  });
}

export class VmStructs {
  readonly #offsets = new Map<string, number>();
  readonly #addresses = new Map<string, number>();
  readonly #sizes = new Map<string, number>();
  readonly #constants = new Map<string, number>();

  /** Throws Unreadable. */
  constructor(memory: ProcessMemory, exported: ReadonlyMap<string, number>) {
    const value = (symbol: string): number => memory.pointer(exported.get(symbol) ?? 0);
    const texts = new Map<number, string | undefined>();
    const text = (entry: Buffer, at: number): string | undefined => {
      const address = Number(entry.readBigUInt64LE(at));
      if (!texts.has(address)) texts.set(address, memory.text(address));
      return texts.get(address);
    };
    const each = (table: string, stride: string, see: (entry: Buffer) => boolean): void => {
      const from = value(table);
      const bytes = value(stride);
      for (let index = 0; index < MAX_ENTRIES && see(memory.bytes(bytes, from + index * bytes)); index += 1);
    };
    const [typeAt = 0, fieldAt = 0, staticAt = 0, offsetAt = 0, addressAt = 0] = FIELDS.map(value);
    each('gHotSpotVMStructs', 'gHotSpotVMStructEntryArrayStride', (entry) => {
      const type = text(entry, typeAt);
      const field = `${type ?? ''}.${text(entry, fieldAt) ?? ''}`;
      if (entry.readUInt32LE(staticAt) === 0) this.#offsets.set(field, Number(entry.readBigUInt64LE(offsetAt)));
      else this.#addresses.set(field, Number(entry.readBigUInt64LE(addressAt)));
      return type !== undefined;
    });
    const [nameAt = 0, sizeAt = 0] = TYPES.map(value);
    each('gHotSpotVMTypes', 'gHotSpotVMTypeEntryArrayStride', (entry) => {
      const name = text(entry, nameAt);
      this.#sizes.set(name ?? '', Number(entry.readBigUInt64LE(sizeAt)));
      return name !== undefined;
    });
    const [constantAt = 0, valueAt = 0] = CONSTANTS.map(value);
    each('gHotSpotVMIntConstants', 'gHotSpotVMIntConstantEntryArrayStride', (entry) => {
      const name = text(entry, constantAt);
      this.#constants.set(name ?? '', entry.readInt32LE(valueAt));
      return name !== undefined;
    });
  }

  /** In its structure, in bytes, by the first of these names ("Type.field") that this release knows. */
  offset(...names: readonly string[]): number | undefined {
    return first(this.#offsets, names);
  }

  /** Of a variable, likewise. */
  address(...names: readonly string[]): number | undefined {
    return first(this.#addresses, names);
  }

  /** Bytes. */
  size(type: string): number | undefined {
    return this.#sizes.get(type);
  }

  constant(name: string): number | undefined {
    return this.#constants.get(name);
  }
}

function first(all: ReadonlyMap<string, number>, names: readonly string[]): number | undefined {
  for (const name of names) {
    const found = all.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}
