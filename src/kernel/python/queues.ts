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
import { returnedIn, type Returned } from './made.ts';
import { Pointers } from './pointers.ts';

const PUT = { name: 'put', doc: 'put($self, /, item, block=True, timeout=None)\n--\n\nPut the item on the queue.' };
const GETS = [
  { name: 'get', doc: 'get($self, /, block=True, timeout=None)\n--\n\nRemove and return an item from the queue.' },
  { name: 'get_nowait', doc: 'get_nowait($self, /)\n--\n\nRemove and return an item from the queue without blocking.' },
];
/** METH_FASTCALL | METH_KEYWORDS: the second argument points to what was given, of which the first is the item. */
const FAST_WITH_KEYWORDS = 0x82;

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
