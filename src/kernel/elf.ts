/** As much of an ELF file (64 bit, little-endian: System V gABI) as is needed to find things in it. Reads what it is asked for. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SEGMENT_BYTES = 56;
const SYMBOL_BYTES = 24;
/** What a file may say that it has: more is no executable of this world. */
const MAX_SECTIONS = 4_096;
const MAX_SEGMENTS = 256;
const MAX_READ_BYTES = 512 << 20;

export const ET_DYN = 3;
export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;
const PT_LOAD = 1;
const PT_TLS = 7;

export interface Section {
  readonly name: string;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
}

export interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
}

export class ElfFile {
  readonly type: number;
  readonly machine: number;
  readonly entry: number;
  readonly sections: readonly Section[];
  readonly segments: readonly Segment[];
  readonly #fd: number;
  readonly #size: number;
  /** Symbols and their names, once they were asked for. */
  readonly #tables = new Map<Section, Buffer>();

  private constructor(fd: number, size: number, header: Buffer) {
    this.#fd = fd;
    this.#size = size;
    this.type = header.readUInt16LE(16);
    this.machine = header.readUInt16LE(18);
    this.entry = Number(header.readBigUInt64LE(24));
    this.segments = this.#readSegments(Number(header.readBigUInt64LE(32)), header.readUInt16LE(56));
    this.sections = this.#readSections(Number(header.readBigUInt64LE(40)), header.readUInt16LE(60), header.readUInt16LE(62));
  }

  /** What `use` makes of the file; undefined where there is none that can be read, or it is no such file or a broken one. */
  static read<T>(path: string, use: (elf: ElfFile) => T | undefined): T | undefined {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch {
      return undefined;
    }
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      if (readSync(fd, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return undefined;
      // 0x7f ELF, 64 bit, little-endian
      if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return undefined;
      return use(new ElfFile(fd, fstatSync(fd).size, header));
    } catch (error) {
      // It says that something lies where it has nothing, or can't be read to its end.
      if (error instanceof RangeError || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  section(name: RegExp): Section | undefined {
    return this.sections.find((section) => name.test(section.name));
  }

  get tls(): Segment | undefined {
    return this.segments.find(({ type }) => type === PT_TLS);
  }

  /** Of the file's first byte, before it is moved; undefined where that is not loaded. */
  get base(): number | undefined {
    return this.segments.find(({ type, offset }) => type === PT_LOAD && offset === 0)?.address;
  }

  /** Throws RangeError where the file ends before. */
  bytes(offset: number, length: number): Buffer {
    if (length > MAX_READ_BYTES || offset < 0 || offset + length > this.#size) throw new RangeError(`${length} bytes at ${offset} of ${this.#size}`);
    const bytes = Buffer.alloc(length);
    if (readSync(this.#fd, bytes, 0, length, offset) < length) throw new RangeError('the file became shorter');
    return bytes;
  }

  /** Where in the file the byte lies that is loaded at `address`. */
  offsetOf(address: number): number | undefined {
    const segment = this.segments.find(({ type, address: from, fileSize }) => type === PT_LOAD && address >= from && address < from + fileSize);
    return segment === undefined ? undefined : address - segment.address + segment.offset;
  }

  /** Value of a symbol; undefined in a stripped file. */
  symbol(name: string): number | undefined {
    return this.#symbolOf(name, /^\.symtab$/, /^\.strtab$/);
  }

  /** Value of a symbol that others are linked with: it stays when a file is stripped. */
  exported(name: string): number | undefined {
    return this.#symbolOf(name, /^\.dynsym$/, /^\.dynstr$/);
  }

  #symbolOf(name: string, tableName: RegExp, namesName: RegExp): number | undefined {
    const table = this.section(tableName);
    const names = this.section(namesName);
    if (table === undefined || names === undefined) return undefined;
    const text = this.#kept(names);
    const symbols = this.#kept(table);
    const wanted = Buffer.from(`\0${name}\0`, 'latin1');
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
      for (let symbol = 0; symbol + SYMBOL_BYTES <= symbols.length; symbol += SYMBOL_BYTES) {
        if (symbols.readUInt32LE(symbol) === at + 1) return Number(symbols.readBigUInt64LE(symbol + 8));
      }
    }
    return undefined;
  }

  #kept(section: Section): Buffer {
    const kept = this.#tables.get(section) ?? this.bytes(section.offset, section.size);
    this.#tables.set(section, kept);
    return kept;
  }

  #readSegments(offset: number, count: number): Segment[] {
    if (count > MAX_SEGMENTS) throw new RangeError(`${count} segments`);
    const table = this.bytes(offset, count * SEGMENT_BYTES);
    return Array.from({ length: count }, (_, index): Segment => {
      const at = index * SEGMENT_BYTES;
      const word = (from: number): number => Number(table.readBigUInt64LE(at + from));
      return { type: table.readUInt32LE(at), offset: word(8), address: word(16), fileSize: word(32), memorySize: word(40), align: word(48) };
    });
  }

  #readSections(offset: number, count: number, namesIndex: number): Section[] {
    if (offset === 0 || count === 0) return [];
    if (count > MAX_SECTIONS) throw new RangeError(`${count} sections`);
    const table = this.bytes(offset, count * SECTION_BYTES);
    const raw = Array.from({ length: count }, (_, index) => {
      const at = index * SECTION_BYTES;
      const word = (from: number): number => Number(table.readBigUInt64LE(at + from));
      return { name: table.readUInt32LE(at), address: word(16), offset: word(24), size: word(32) };
    });
    const strings = raw[namesIndex];
    if (strings === undefined) return [];
    const names = this.bytes(strings.offset, strings.size);
    return raw.map((section) => ({ ...section, name: names.toString('latin1', section.name, names.indexOf(0, section.name)) }));
  }
}
