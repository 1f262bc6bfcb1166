/** What a file of C holds in its tables: names, and what they point to. */
import type { ElfFile } from '../elf.ts';
import { relocated } from '../relocations.ts';

/** In a PyMethodDef: where the function, the flags and the doc string are. */
const FUNCTION_AT = 8;
const FLAGS_AT = 16;
const DOC_AT = 24;

const PT_LOAD = 1;
/** No part of an interpreter is larger. */
const MAX_SEGMENT_BYTES = 128 << 20;

/** Pointers that a file holds: as they stand there, or as its relocations have it (System V gABI, x86-64 psABI). */
export class Pointers {
  readonly #elf: ElfFile;
  readonly #relocated: ReadonlyMap<number, number>;
  readonly #segments: readonly { readonly address: number; readonly bytes: Buffer }[];

  constructor(elf: ElfFile) {
    this.#elf = elf;
    this.#segments = elf.segments.filter(({ type, fileSize }) => type === PT_LOAD && fileSize <= MAX_SEGMENT_BYTES)
      .map(({ address, offset, fileSize }) => ({ address, bytes: elf.bytes(offset, fileSize) }));
    this.#relocated = relocated(elf);
  }

  /** What a PyMethodDef says whose doc string begins so. Undefined where there is none, or they say different things. */
  method({ name, doc }: { readonly name: string; readonly doc: string }): { readonly address: number; readonly flags: number } | undefined {
    const found = this.toText(doc).flatMap((at) => {
      const entry = at - DOC_AT;
      const [named, address] = [this.#pointerAt(entry), this.#pointerAt(entry + FUNCTION_AT)];
      const flags = this.#bytesAt(entry + FLAGS_AT, 4)?.readUInt32LE();
      const isNamed = named !== undefined && this.#bytesAt(named, name.length + 1)?.toString('latin1') === `${name}\0`;
      return isNamed && address !== undefined && flags !== undefined ? [{ address, flags }] : [];
    });
    const [first] = found;
    return found.every(({ address, flags }) => address === first?.address && flags === first.flags) ? first : undefined;
  }

  /** Where pointers to a text stand that begins so. */
  toText(text: string): readonly number[] {
    return this.#find(Buffer.from(text, 'latin1'), 1).flatMap((address) => this.#pointersTo(address));
  }

  holds(text: string): boolean {
    return this.#segments.some(({ bytes }) => bytes.includes(text, 0, 'latin1'));
  }

  #pointersTo(address: number): readonly number[] {
    const word = Buffer.alloc(8);
    word.writeBigUInt64LE(BigInt(address));
    const relocated = [...this.#relocated].flatMap(([at, to]) => (to === address ? [at] : []));
    return [...new Set([...relocated, ...this.#find(word, 8)])];
  }

  #pointerAt(address: number): number | undefined {
    const relocated = this.#relocated.get(address);
    if (relocated !== undefined) return relocated;
    const word = this.#bytesAt(address, 8)?.readBigUInt64LE();
    return word === undefined ? undefined : Number(word);
  }

  /** Addresses, multiples of `align`. */
  #find(wanted: Buffer, align: number): readonly number[] {
    return this.#segments.flatMap(({ address, bytes }) => {
      const found: number[] = [];
      for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) if ((address + at) % align === 0) found.push(address + at);
      return found;
    });
  }

  #bytesAt(address: number, length: number): Buffer | undefined {
    const offset = this.#elf.offsetOf(address);
    return offset === undefined ? undefined : this.#elf.bytes(offset, length);
  }
}
