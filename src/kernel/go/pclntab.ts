/**
 * A Go program's functions, from the table that its runtime needs itself (`gopclntab`; Go's runtime/symtab.go and debug/gosym): it is
 * there in stripped programs too.
 */
import { ET_DYN } from './elf.ts';
import type { ElfFile } from './elf.ts';

/** Go 1.18 and 1.20: one layout, another way to write names of generic functions. */
const MAGICS = [0xfffffff0, 0xfffffff1];
const WORD_BYTES = 8;
const MAX_FUNCTIONS = 4_000_000;
/** With this function Go's linker begins a program; without cgo it is the file's entry. */
const ENTRY = '_rt0_amd64_linux';
/**
 * How a function of more than a few bytes begins on amd64: it looks how much stack is left, `cmp rsp,[r14+16]` or, with a large frame,
 * `lea r12,[rsp-N]; cmp r12,[r14+16]`; and jumps where that is too little, `jbe`.
 */
const PROLOGUE = /^(493b6610|4c8d6424..4d3b6610|4c8da424.{8}4d3b6610)(?:76|0f86)/;
const PROLOGUE_BYTES = 14;
const CALL_BYTES = 5;

export interface GoFunction {
  readonly name: string;
  /** As the file has it, before it is loaded. */
  readonly address: number;
  /** Where it lies in the file. */
  readonly offset: number;
  readonly code: Buffer;
}

/** The functions whose names begin with one of `prefixes`. Empty where they can't be told, or it is not sure where they lie. */
export function functionsNamed(elf: ElfFile, prefixes: readonly string[]): GoFunction[] {
  const section = elf.section(/(^|\.)gopclntab$/);
  if (section === undefined) return [];
  const table = elf.bytes(section.offset, section.size);
  if (!MAGICS.includes(table.readUInt32LE(0)) || table[7] !== WORD_BYTES) return [];
  const word = (index: number): number => Number(table.readBigUInt64LE(8 + index * WORD_BYTES));
  const [count, textStart, names, functions] = [word(0), word(2), word(3), word(7)] as const;
  if (count > MAX_FUNCTIONS) return [];
  const wanted = namesWith(table, names, [...prefixes, ENTRY]);
  const found: { name: string; from: number; to: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry = functions + index * 8;
    const name = wanted.get(table.readInt32LE(functions + table.readUInt32LE(entry + 4) + 4));
    if (name !== undefined) found.push({ name, from: table.readUInt32LE(entry), to: table.readUInt32LE(entry + 8) });
  }
  const text = textOf(elf, textStart, found.find(({ name }) => name === ENTRY)?.from);
  if (text === undefined) return [];
  return found.flatMap(({ name, from, to }) => {
    const offset = elf.offsetOf(text + from);
    return name === ENTRY || offset === undefined ? [] : [{ name, address: text + from, offset, code: elf.bytes(offset, to - from) }];
  });
}

/**
 * Where in the file it may be probed as it begins, its arguments in place: the jump of its first lines. The kernel does a jump, and a
 * call, itself. Any other instruction it lets the processor do and then trap once more; in a virtual machine that trap goes through the
 * host, and costs several times as much as all the rest. Undefined: it begins otherwise than Go's functions do. If so, the text begins
 * somewhere else than was thought, and nothing may be placed there.
 */
export function entryOf({ code, offset }: GoFunction): number | undefined {
  const looks = PROLOGUE.exec(code.toString('hex', 0, PROLOGUE_BYTES))?.[1];
  return looks === undefined ? undefined : offset + looks.length / 2;
}

/** Where it leaves its frame to return, its result (the first in AX) in place: `add rsp,N`, up to Go 1.20 without `pop rbp`, `ret`. */
export function endsOf({ code, offset }: GoFunction): number[] {
  const ends: number[] = [];
  for (let at = code.indexOf(0x48); at >= 0; at = code.indexOf(0x48, at + 1)) {
    const immediate = code[at + 2] !== 0xc4 ? 0 : code[at + 1] === 0x83 ? 1 : code[at + 1] === 0x81 ? 4 : 0;
    const next = at + 3 + immediate;
    if (immediate > 0 && (code[next] === 0xc3 || (code[next] === 0x5d && code[next + 1] === 0xc3))) ends.push(offset + at);
  }
  return ends;
}

/** Where in the file `other` is called by it. */
export function callsOf({ code, address, offset }: GoFunction, other: GoFunction): number[] {
  const found: number[] = [];
  for (let at = code.indexOf(0xe8); at >= 0 && at + CALL_BYTES <= code.length; at = code.indexOf(0xe8, at + 1)) {
    if (address + at + CALL_BYTES + code.readInt32LE(at + 1) === other.address) found.push(offset + at);
  }
  return found;
}

/** Where a call at `offset` comes back to, its result (the first in AX) in place. */
export const afterCall = (offset: number): number => offset + CALL_BYTES;

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
