/**
 * A Go program's functions, from the table that its runtime needs itself (`gopclntab`; Go's runtime/symtab.go and debug/gosym): it is
 * there in stripped programs too.
 */
import { ET_DYN } from '../elf.ts';
import type { ElfFile } from '../elf.ts';

/** Go 1.18 and 1.20: one layout, another way to write names of generic functions. */
const MAGICS = [0xfffffff0, 0xfffffff1];
const WORD_BYTES = 8;
const MAX_FUNCTIONS = 4_000_000;
export interface GoFunction {
  readonly name: string;
  /** As the file has it, before it is loaded. */
  readonly address: number;
  /** Where it lies in the file. */
  readonly offset: number;
  readonly code: Buffer;
}

/**
 * The functions whose names begin with one of `prefixes`. Empty where they can't be told, or it is not sure where they lie. `start`: the
 * function with which Go's linker begins a program; without cgo it is the file's entry.
 */
export function functionsNamed(elf: ElfFile, prefixes: readonly string[], start: string): GoFunction[] {
  const section = elf.section(/(^|\.)gopclntab$/);
  if (section === undefined) return [];
  const table = elf.bytes(section.offset, section.size);
  if (!MAGICS.includes(table.readUInt32LE(0)) || table[7] !== WORD_BYTES) return [];
  const word = (index: number): number => Number(table.readBigUInt64LE(8 + index * WORD_BYTES));
  const [count, textStart, names, functions] = [word(0), word(2), word(3), word(7)] as const;
  if (count > MAX_FUNCTIONS) return [];
  const wanted = namesWith(table, names, [...prefixes, start]);
  const found: { name: string; from: number; to: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry = functions + index * 8;
    const name = wanted.get(table.readInt32LE(functions + table.readUInt32LE(entry + 4) + 4));
    if (name !== undefined) found.push({ name, from: table.readUInt32LE(entry), to: table.readUInt32LE(entry + 8) });
  }
  const text = textOf(elf, textStart, found.find(({ name }) => name === start)?.from);
  if (text === undefined) return [];
  return found.flatMap(({ name, from, to }) => {
    const offset = elf.offsetOf(text + from);
    return name === start || offset === undefined ? [] : [{ name, address: text + from, offset, code: elf.bytes(offset, to - from) }];
  });
}

/** By their place among the names. */
function namesWith(table: Buffer, names: number, prefixes: readonly string[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const prefix of prefixes) {
    const wanted = Buffer.from(`\0${prefix}`);
    for (let at = table.indexOf(wanted, names); at >= 0; at = table.indexOf(wanted, at + 1)) {
      found.set(at + 1 - names, table.toString('utf8', at + 1, table.indexOf(0, at + 1)));
    }
  }
  return found;
}

/** Where the program's Go text begins. The table says so until Go 1.25, but for programs that are moved when they are loaded. */
function textOf(elf: ElfFile, textStart: number, entry: number | undefined): number | undefined {
  if (textStart !== 0 && elf.type !== ET_DYN) return textStart;
  return elf.symbol('runtime.text') ?? (entry === undefined ? undefined : elf.entry - entry);
}
