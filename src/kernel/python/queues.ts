/**
 * Where a SimpleQueue (CPython's Modules/_queuemodule.c) is given something and has what it gives out: that is how a ThreadPoolExecutor
 * hands over what is submitted to it. Its functions are static, so they are looked for in the table of its methods, by their doc strings:
 *
 *   { "put", _queue_SimpleQueue_put, METH_FASTCALL | METH_KEYWORDS, "put($self, /, item, …" }
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { EM_X86_64, type ElfFile } from '../elf.ts';
import { loadedFiles, rooted } from '../loaded.ts';
import { relocated } from '../relocations.ts';
import { returnedIn, type Returned } from './made.ts';

const PUT = { name: 'put', doc: 'put($self, /, item, block=True, timeout=None)\n--\n\nPut the item on the queue.' };
const GETS = [
  { name: 'get', doc: 'get($self, /, block=True, timeout=None)\n--\n\nRemove and return an item from the queue.' },
  { name: 'get_nowait', doc: 'get_nowait($self, /)\n--\n\nRemove and return an item from the queue without blocking.' },
];
/** METH_FASTCALL | METH_KEYWORDS: the second argument points to what was given, of which the first is the item. */
const FAST_WITH_KEYWORDS = 0x82;
/** In a PyMethodDef: where the function, the flags and the doc string are. */
const FUNCTION_AT = 8;
const FLAGS_AT = 16;
const DOC_AT = 24;

const PT_LOAD = 1;
/** No part of an interpreter is larger. */
const MAX_SEGMENT_BYTES = 128 << 20;

export interface Queues {
  /** In the file: entry of `put`. */
  readonly put: number;
  /** Where `get` and `get_nowait` have what they return. */
  readonly got: readonly Returned[];
}

/** Undefined: the file has no such queues, or they can't be placed. */
export function queuesIn(elf: ElfFile): Queues | undefined {
  if (elf.machine !== EM_X86_64) return undefined;
  const pointers = new Pointers(elf);
  const put = pointers.method(PUT);
  const gets = GETS.map((method) => pointers.method(method));
  const offset = put?.flags === FAST_WITH_KEYWORDS ? elf.offsetOf(put.address) : undefined;
  const got = gets.map((get) => (get === undefined ? [] : returnedIn(elf, get.address)));
  if (offset === undefined || got.some((returned) => returned.length === 0)) return undefined;
  // One may go on as the other.
  return { put: offset, got: [...new Map(got.flat().map((one) => [`${one.offset} ${one.register}`, one])).values()].sort((one, other) => one.offset - other.offset) };
}

/** The module's own file, where the interpreter does not hold it, loaded or not yet; undefined: there is none. `interpreter`: as the process sees it. */
export function queueModule(tgid: number, interpreter: string, minor: number): string | undefined {
  const beside = loadedFiles(tgid, /\/lib-dynload\/[^/]+\.so$/).map(({ path }) => dirname(path));
  const at = dirname(interpreter);
  const folders = new Set([...beside, ...[at, `${dirname(at)}/lib`].map((lib) => `${lib}/python3.${minor}/lib-dynload`)]);
  const names = ['gnu', 'musl'].map((libc) => `_queue.cpython-3${minor}-x86_64-linux-${libc}.so`);
  return [...folders].flatMap((folder) => names.map((name) => `${folder}/${name}`)).find((path) => existsSync(rooted(tgid, path)));
}

/** Pointers that a file holds: as they stand there, or as its relocations have it (System V gABI, x86-64 psABI). */
class Pointers {
  readonly #elf: ElfFile;
  readonly #relocated: ReadonlyMap<number, number>;
  readonly #segments: readonly { readonly address: number; readonly bytes: Buffer }[];

  constructor(elf: ElfFile) {
    this.#elf = elf;
    this.#segments = elf.segments.filter(({ type, fileSize }) => type === PT_LOAD && fileSize <= MAX_SEGMENT_BYTES)
      .map(({ address, offset, fileSize }) => ({ address, bytes: elf.bytes(offset, fileSize) }));
    this.#relocated = relocated(elf);
  }

  /** Undefined where there is none, or more than one. */
  method({ name, doc }: { readonly name: string; readonly doc: string }): { readonly address: number; readonly flags: number } | undefined {
    const found = this.#find(Buffer.from(doc, 'latin1'), 1).flatMap((text) => this.#pointersTo(text)).flatMap((at) => {
      const entry = at - DOC_AT;
      const [named, address] = [this.#pointerAt(entry), this.#pointerAt(entry + FUNCTION_AT)];
      const flags = this.#bytesAt(entry + FLAGS_AT, 4)?.readUInt32LE();
      const isNamed = named !== undefined && this.#bytesAt(named, name.length + 1)?.toString('latin1') === `${name}\0`;
      return isNamed && address !== undefined && flags !== undefined ? [{ address, flags }] : [];
    });
    return found.length === 1 ? found[0] : undefined;
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
