/** Classes of a JVM: their names, which is derived from which, and how an object says of which it is. */
import { Unreadable, type ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

/** Looked at, of one class derived from another, and of all that are derived from one. */
const MAX_DEPTH = 32;
const MAX_SUBCLASSES = 16_384;
/** -XX:+UseCompactObjectHeaders (JEP 450): the class is in the upper bits of the first word. */
const COMPACT_SHIFT = 42;

/** How an object says of which class it is: the word of 64 bits at `at`, from `shift` on, as far as `mask` goes. */
export interface ClassWord {
  readonly at: number;
  readonly shift: number;
  readonly mask: bigint;
}

export interface Headers {
  /** -XX:+UseCompactObjectHeaders */
  readonly compact: boolean;
  /** -XX:+UseCompressedClassPointers */
  readonly compressed: boolean;
}

export class Classes {
  readonly #memory: ProcessMemory;
  readonly #structs: VmStructs;

  constructor(memory: ProcessMemory, structs: VmStructs) {
    this.#memory = memory;
    this.#structs = structs;
  }

  /** java.lang.Thread; 0: it is not loaded yet. */
  get thread(): number {
    return this.#memory.pointer(known(this.#structs.address('vmClasses._klasses[static_cast<int>(vmClassID::Thread_klass_knum)]')));
  }

  /** The class of that name (java/lang/…) which is derived from class `from` and from nothing between; undefined: it is not loaded. */
  derived(from: number, name: string): number | undefined {
    let at = this.#memory.pointer(from + this.#offset('Klass._subklass'));
    for (let looked = 0; at !== 0 && looked < MAX_SUBCLASSES; looked += 1) {
      if (this.#nameOf(at) === name) return at;
      at = this.#memory.pointer(at + this.#offset('Klass._next_sibling'));
    }
    return undefined;
  }

  isDerived(from: number, ancestor: number): boolean {
    for (let at = from, depth = 0; at !== 0 && depth < MAX_DEPTH; depth += 1) {
      if (at === ancestor) return true;
      at = this.#memory.pointer(at + this.#offset('Klass._super'));
    }
    return false;
  }

  /** Where objects say of which class they are. */
  word({ compact, compressed }: Headers): ClassWord {
    if (compact) return { at: 0, shift: COMPACT_SHIFT, mask: (1n << BigInt(64 - COMPACT_SHIFT)) - 1n };
    return compressed ? { at: this.#offset('oopDesc._metadata._compressed_klass'), shift: 0, mask: 0xffff_ffffn }
      : { at: this.#offset('oopDesc._metadata._klass'), shift: 0, mask: 0xffff_ffff_ffff_ffffn };
  }

  /** What is in that word of an object of this class. */
  said(class_: number, { compressed }: Headers): bigint {
    return compressed ? BigInt(class_ - this.#base) >> BigInt(this.#shift) : BigInt(class_);
  }

  classOf(object: number, headers: Headers): number {
    const { at, shift, mask } = this.word(headers);
    const said = this.#memory.long(object + at) >> BigInt(shift) & mask;
    return headers.compressed ? this.#base + Number(said << BigInt(this.#shift)) : Number(said);
  }

  get #base(): number {
    return this.#memory.pointer(known(this.#structs.address('CompressedKlassPointers._narrow_klass._base', 'CompressedKlassPointers._base')));
  }

  get #shift(): number {
    return this.#memory.int(known(this.#structs.address('CompressedKlassPointers._narrow_klass._shift', 'CompressedKlassPointers._shift')));
  }

  #nameOf(at: number): string {
    const symbol = this.#memory.pointer(at + this.#offset('Klass._name'));
    const length = this.#memory.bytes(2, symbol + this.#offset('Symbol._length')).readUInt16LE();
    return this.#memory.bytes(length, symbol + this.#offset('Symbol._body[0]')).toString('latin1');
  }

  #offset(name: string): number {
    return known(this.#structs.offset(name));
  }
}

/** Throws Unreadable: a JVM that does not say this is not known. */
export function known(value: number | undefined): number {
  if (value === undefined) throw new Unreadable('the JVM does not say it');
  return value;
}
