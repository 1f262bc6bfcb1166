/** Classes of a JVM: their names, which is derived from which, and how an object says of which it is. */
import { fieldOf } from './fields.ts';
import type { Flags } from './flags.ts';
import { known, type ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

/** Looked at, of one class derived from another, and of all that are derived from one. */
const MAX_DEPTH = 32;
const MAX_SUBCLASSES = 16_384;
/** Looked at for some by their names: a large service has some 30,000. */
const MAX_CLASSES = 65_536;
/** Ancestors to which a class has pointers, itself included (Klass::primary_super_limit). */
const PRIMARY_SUPERS = 8;
const WORD_BYTES = 8;
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

  /** java.lang.Object */
  get object(): number {
    return this.#memory.pointer(known(this.#structs.address('vmClasses._klasses[static_cast<int>(vmClassID::Object_klass_knum)]')));
  }

  /** Of those that are derived from class `from`, and from nothing between, the one that was loaded last; 0: there is none. */
  newest(from: number): number {
    return this.#memory.pointer(from + this.#offset('Klass._subklass'));
  }

  /** The class of that name (java/lang/…) among these; undefined: it is not loaded. `until`: those before this one were looked at. */
  derived(from: number, name: string, until = 0): number | undefined {
    let at = this.newest(from);
    for (let looked = 0; at !== 0 && at !== until && looked < MAX_SUBCLASSES; looked += 1) {
      if (this.#nameOf(at) === name) return at;
      at = this.#memory.pointer(at + this.#offset('Klass._next_sibling'));
    }
    return undefined;
  }

  /** Of these names, those that are loaded. Looked at from java.lang.Object on, which all are derived from. */
  loaded(names: ReadonlySet<string>): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    const root = this.#memory.pointer(this.thread + this.#offset('Klass._super'));
    const open = [root];
    for (let looked = 0; open.length > 0 && found.size < names.size && looked < MAX_CLASSES; looked += 1) {
      const at = open.pop() as number;
      const [first, sibling] = [this.#memory.pointer(at + this.#offset('Klass._subklass')), this.#memory.pointer(at + this.#offset('Klass._next_sibling'))];
      if (first !== 0) open.push(first);
      if (sibling !== 0 && at !== root) open.push(sibling);
      const name = this.#nameOf(at);
      if (names.has(name)) found.set(name, at);
    }
    return found;
  }

  /** Where an object has a field that its class `at` itself declares; undefined: it declares none of that name. */
  field(at: number, name: string): number | undefined {
    const symbols = this.#memory.pointer(at + this.#offset('InstanceKlass._constants')) + known(this.#structs.size('ConstantPool'));
    return fieldOf(this.#memory, this.#structs, at, (symbol) => this.#textOf(this.#memory.pointer(symbols + symbol * WORD_BYTES)) === name);
  }

  /** Where a class that is derived from class `at`, or is that, has a pointer to it; undefined: its like are looked for in another way. */
  slot(at: number): number | undefined {
    const slot = this.#memory.int(at + this.#offset('Klass._super_check_offset'));
    const index = (slot - this.#offset('Klass._primary_supers[0]')) / WORD_BYTES;
    return index >= 0 && index < PRIMARY_SUPERS ? slot : undefined;
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

  /** What it says where classes are said in 32 bits or less is from there on, in units of 1 << `shift` bytes. */
  units({ compressed: said }: Headers): { readonly base: number; readonly shift: number } {
    return said ? { base: this.#base, shift: this.#shift } : { base: 0, shift: 0 };
  }

  get #base(): number {
    return this.#memory.pointer(known(this.#structs.address('CompressedKlassPointers._narrow_klass._base', 'CompressedKlassPointers._base')));
  }

  get #shift(): number {
    return this.#memory.int(known(this.#structs.address('CompressedKlassPointers._narrow_klass._shift', 'CompressedKlassPointers._shift')));
  }

  #nameOf(at: number): string {
    return this.#textOf(this.#memory.pointer(at + this.#offset('Klass._name')));
  }

  #textOf(symbol: number): string {
    const length = this.#memory.bytes(2, symbol + this.#offset('Symbol._length')).readUInt16LE();
    return this.#memory.bytes(length, symbol + this.#offset('Symbol._body[0]')).toString('latin1');
  }

  #offset(name: string): number {
    return known(this.#structs.offset(name));
  }
}

/** `flags`: of these both, where the JVM has them. */
export function headersOf(flags: Flags | undefined): Headers {
  const compact = flags?.get('UseCompactObjectHeaders') === true;
  return { compact, compressed: compact || flags?.get('UseCompressedClassPointers') === true };
}

/** Pointers in objects, where these have 32 bits: so many units of 1 << `shift` bytes from `base` on. */
export function narrowPointers(memory: ProcessMemory, structs: VmStructs, flags: Flags | undefined): { readonly base: number; readonly shift: number } | undefined {
  return flags?.get('UseCompressedOops') !== true ? undefined : {
    base: memory.pointer(known(structs.address('CompressedOops._narrow_oop._base', 'CompressedOops._base'))),
    shift: memory.int(known(structs.address('CompressedOops._narrow_oop._shift', 'CompressedOops._shift'))),
  };
}
