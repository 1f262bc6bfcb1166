/**
 * The JVMs among the watched processes: the kernel side is told where each keeps what its threads have allocated, and, once it has begun with
 * virtual threads, which of its threads carries which. Nothing is placed in it. What can't be read is left: then that is not known.
 */
import { Awaited } from '../awaited.ts';
import type { ContextBits } from '../context-bits.ts';
import * as layout from '../layout.ts';
import { loadedFiles } from '../loaded.ts';
import { u32, type BpfMap } from '../map.ts';
import { heapOf, type Heap } from './heap.ts';
import { Holders, type Holder } from './holders.ts';
import { ProcessMemory } from './memory.ts';
import { mayRunVirtual, virtualThreadsOf, type ByObject, type VirtualThreads, type WhyUnknown } from './virtual-threads.ts';
import { exportsOf, VmStructs } from './vm-structs.ts';
import { waitsOf, type Waits } from './waits.ts';
import type { Colours, Pages } from './zgc.ts';

const FILE = /\/libjvm\.so$/;
/** How often it is looked whether a process has loaded a JVM by now, and whether that has all that is to be told of it. */
const SWEEP_MS = 500;
/** Looked at so often while it is unlike what is known: threads may come and go meanwhile. */
const MAX_LOOKS = 20;
/** Sweeps, a power of 2: for so long it is waited for what a JVM may load. */
const MAX_WAITING = 8_192;

/** What is to be told of a JVM. False: it is to be looked at again. */
type Look = (tgid: number, memory: ProcessMemory, structs: VmStructs) => boolean;

/** What a JVM says of its own structures, and what has not been told of it. */
interface Jvm {
  readonly structs: VmStructs;
  readonly looks: Set<Look>;
}

export class JavaPrograms {
  readonly #programs: BpfMap;
  readonly #heaps: BpfMap;
  readonly #waits: BpfMap;
  readonly #bits: ContextBits;
  readonly #onUnknown: (tgid: number, why: WhyUnknown) => void;
  readonly #awaited = new Awaited();
  /** Those of which not all has been told. */
  readonly #waiting = new Map<number, Jvm>();
  #sweeping: NodeJS.Timeout | undefined;

  /** `onUnknown`: a JVM has virtual threads, and which of them runs can't be told. */
  constructor(programs: BpfMap, heaps: BpfMap, waits: BpfMap, bits: ContextBits, onUnknown: (tgid: number, why: WhyUnknown) => void) {
    this.#programs = programs;
    this.#heaps = heaps;
    this.#waits = waits;
    this.#bits = bits;
    this.#onUnknown = onUnknown;
  }

  /** A watched process runs what it runs now. To be called again after each exec. `fresh`: it has only begun to, and may load a JVM yet. */
  add(tgid: number, fresh = false): void {
    // Where a thread's pointer is, is known of this architecture only (bpf/registers.h).
    if (process.arch !== 'x64' || (!fresh && (this.#waiting.has(tgid) || this.#heaps.get(u32(tgid)) !== undefined || this.#programs.get(u32(tgid)) !== undefined))) return;
    this.#remove(tgid);
    if (!this.#find(tgid) && fresh) this.#awaited.add(tgid);
    if (this.#waiting.size + this.#awaited.size > 0) this.#sweeping ??= setInterval(() => { this.#sweep(); }, SWEEP_MS).unref();
  }

  /** It has ended, and its end was not seen. */
  forget(tgid: number): void {
    this.#programs.delete(u32(tgid));
    this.#heaps.delete(u32(tgid));
    this.#waits.delete(u32(tgid));
    this.#remove(tgid);
  }

  close(): void {
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }

  /** False: it has no JVM, or none yet. */
  #find(tgid: number): boolean {
    const [loaded] = loadedFiles(tgid, FILE);
    if (loaded === undefined) return false;
    const exported = exportsOf(tgid, loaded);
    const structs = exported === undefined ? undefined : ProcessMemory.read(tgid, (memory) => new VmStructs(memory, exported));
    if (structs === undefined) return true;
    const looks = new Set<Look>();
    looks.add(this.#lookAtHeap((heap) => { looks.add(this.#lookForHolder(heap)); }));
    if (mayRunVirtual(structs)) looks.add(this.#lookForVirtualThreads(() => { looks.add(this.#lookAtWaits()); }));
    const jvm: Jvm = { structs, looks };
    if (!this.#look(tgid, jvm)) this.#waiting.set(tgid, jvm);
    return true;
  }

  /** False: not all is told. */
  #look(tgid: number, { structs, looks }: Jvm): boolean {
    for (const look of looks) {
      const told = ProcessMemory.read(tgid, (memory) => look(tgid, memory, structs));
      if (told === undefined) return true; // it is gone
      if (told) looks.delete(look);
    }
    return looks.size === 0;
  }

  #lookForVirtualThreads(onFound: () => void): Look {
    let looks = 0;
    return (tgid, memory, structs) => {
      const found = virtualThreadsOf(memory, structs);
      if (found === 'unused') return false;
      if (typeof found === 'object') {
        this.#tell(tgid, this.#programs, programValue(found));
        onFound();
      } else if (found === 'unlike' && ++looks < MAX_LOOKS) return false;
      else this.#onUnknown(tgid, found);
      return true;
    };
  }

  #lookAtHeap(onFound: (heap: Heap) => void): Look {
    let looks = 0;
    return (tgid, memory, structs) => {
      const found = heapOf(memory, structs);
      if (typeof found === 'object') {
        this.#tell(tgid, this.#heaps, heapValue(found));
        onFound(found);
      }
      return found !== 'unlike' || ++looks >= MAX_LOOKS;
    };
  }

  /** What is known of it so far is told at once. What is used later may not be loaded yet: that is looked for ever more seldom. */
  #lookAtWaits(): Look {
    let sweeps = 0;
    return (tgid, memory, structs) => {
      if ((++sweeps & (sweeps - 1)) !== 0) return false;
      const found = waitsOf(memory, structs);
      if (found === 'other') return true;
      if (found !== 'unlike') this.#tell(tgid, this.#waits, waitsValue(found));
      return (found !== 'unlike' && found.all) || sweeps >= MAX_WAITING;
    };
  }

  #lookForHolder(heap: Heap): Look {
    const holders = new Holders();
    return (tgid, memory, structs) => {
      const found = holders.find(memory, structs);
      if (typeof found === 'object') this.#tell(tgid, this.#heaps, heapValue(heap, found));
      return found !== 'none';
    };
  }

  #tell(tgid: number, map: BpfMap, value: Uint8Array): void {
    map.set(u32(tgid), value);
    this.#bits.set(tgid);
  }

  #sweep(): void {
    this.#awaited.look((tgid) => this.#find(tgid));
    for (const [tgid, jvm] of [...this.#waiting]) if (this.#look(tgid, jvm)) this.#waiting.delete(tgid);
  }

  #remove(tgid: number): void {
    this.#awaited.delete(tgid);
    this.#waiting.delete(tgid);
  }
}

function programValue({ thread, osThread, self, mounted, id, carried }: VirtualThreads): Uint8Array {
  const view = new DataView(new ArrayBuffer(layout.SIZE_JAVA_PROGRAM));
  view.setInt32(layout.OFFSET_JAVA_PROGRAM_THREAD, thread, true);
  view.setUint32(layout.OFFSET_JAVA_PROGRAM_OS_THREAD, osThread, true);
  view.setUint32(layout.OFFSET_JAVA_PROGRAM_SELF, self, true);
  view.setUint32(layout.OFFSET_JAVA_PROGRAM_ID, id, true);
  view.setUint32(layout.OFFSET_JAVA_PROGRAM_MOUNTED, mounted, true);
  if ('own' in carried) view.setUint32(layout.OFFSET_JAVA_PROGRAM_OWN, carried.own, true);
  else setObject(view, carried);
  return new Uint8Array(view.buffer);
}

function setObject(view: DataView, { collecting, collections, stale, coloured, class: virtual, classWord }: ByObject): void {
  view.setBigUint64(layout.OFFSET_JAVA_PROGRAM_COLLECTING, BigInt(collecting), true);
  view.setBigUint64(layout.OFFSET_JAVA_PROGRAM_COLLECTIONS, BigInt(collections), true);
  view.setBigUint64(layout.OFFSET_JAVA_PROGRAM_STALE, BigInt(stale), true);
  view.setBigUint64(layout.OFFSET_JAVA_PROGRAM_COLOURED, BigInt(coloured), true);
  view.setBigUint64(layout.OFFSET_JAVA_PROGRAM_CLASS, virtual, true);
  view.setBigUint64(layout.OFFSET_JAVA_PROGRAM_CLASS_MASK, classWord.mask, true);
  view.setUint32(layout.OFFSET_JAVA_PROGRAM_CLASS_AT, classWord.at, true);
  view.setUint32(layout.OFFSET_JAVA_PROGRAM_CLASS_SHIFT, classWord.shift, true);
}

function heapValue({ collecting, collections, from, to, offsetMask, zgc, thread, osThread, self, own, stackBase, start, top, end }: Heap, holder?: Holder): Uint8Array {
  const view = new DataView(new ArrayBuffer(layout.SIZE_JAVA_HEAP));
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_COLLECTING, BigInt(collecting), true);
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_COLLECTIONS, BigInt(collections), true);
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_FROM, BigInt(from), true);
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_TO, BigInt(to), true);
  view.setInt32(layout.OFFSET_JAVA_HEAP_THREAD, thread, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_OS_THREAD, osThread, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_SELF, self, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_OWN, own, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_STACK_BASE, stackBase, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_START, start, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_TOP, top, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_END, end, true);
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_OFFSET_MASK, offsetMask, true);
  if (zgc !== undefined) setPages(view, zgc);
  if (holder !== undefined) setHolder(view, holder);
  return new Uint8Array(view.buffer);
}

function waitsValue({ collecting, collections, oops, units, class: virtual, classWord, thread, osThread, self, mounted, id, task, wrapper, paths, inners, sizeAt, fieldsAt }: Waits): Uint8Array {
  const view = new DataView(new ArrayBuffer(layout.SIZE_JAVA_WAITS));
  const long = (at: number, value: number | bigint): void => { view.setBigUint64(at, BigInt(value), true); };
  const int = (at: number, value: number): void => { view.setUint32(at, value, true); };
  long(layout.OFFSET_JAVA_WAITS_COLLECTING, collecting);
  long(layout.OFFSET_JAVA_WAITS_COLLECTIONS, collections);
  long(layout.OFFSET_JAVA_WAITS_OOPS, oops?.base ?? 0);
  int(layout.OFFSET_JAVA_WAITS_OOP_SHIFT, oops?.shift ?? 0);
  int(layout.OFFSET_JAVA_WAITS_NARROW, oops === undefined ? 0 : 1);
  long(layout.OFFSET_JAVA_WAITS_CLASSES, units.base);
  int(layout.OFFSET_JAVA_WAITS_UNIT, units.shift);
  long(layout.OFFSET_JAVA_WAITS_CLASS, virtual);
  long(layout.OFFSET_JAVA_WAITS_CLASS_MASK, classWord.mask);
  int(layout.OFFSET_JAVA_WAITS_CLASS_AT, classWord.at);
  int(layout.OFFSET_JAVA_WAITS_CLASS_SHIFT, classWord.shift);
  view.setInt32(layout.OFFSET_JAVA_WAITS_THREAD, thread, true);
  int(layout.OFFSET_JAVA_WAITS_OS_THREAD, osThread);
  int(layout.OFFSET_JAVA_WAITS_SELF, self);
  int(layout.OFFSET_JAVA_WAITS_MOUNTED, mounted);
  int(layout.OFFSET_JAVA_WAITS_ID, id);
  task.forEach((field, index) => { int(layout.OFFSET_JAVA_WAITS_TASK + index * 4, field); });
  long(layout.OFFSET_JAVA_WAITS_WRAPPER, wrapper?.class ?? 0);
  int(layout.OFFSET_JAVA_WAITS_WRAPPER_SLOT, wrapper?.slot ?? 0);
  int(layout.OFFSET_JAVA_WAITS_WRAPPED, wrapper?.field ?? 0);
  paths.forEach((path, index) => {
    const at = layout.OFFSET_JAVA_WAITS_PATHS + index * layout.SIZE_JAVA_PATH;
    long(at + layout.OFFSET_JAVA_PATH_CLASS, path.class);
    int(at + layout.OFFSET_JAVA_PATH_SLOT, path.slot);
    int(at + layout.OFFSET_JAVA_PATH_OF_TASK, path.ofTask ? 1 : 0);
    path.fields.forEach((field, each) => { int(at + layout.OFFSET_JAVA_PATH_FIELDS + each * 4, field); });
    int(at + layout.OFFSET_JAVA_PATH_NEXT, path.next);
  });
  inners.forEach((inner, index) => {
    const at = layout.OFFSET_JAVA_WAITS_INNERS + index * layout.SIZE_JAVA_INNER;
    long(at + layout.OFFSET_JAVA_INNER_CLASS, inner.class);
    int(at + layout.OFFSET_JAVA_INNER_SLOT, inner.slot);
    int(at + layout.OFFSET_JAVA_INNER_FIELD, inner.field);
  });
  int(layout.OFFSET_JAVA_WAITS_SIZE_AT, sizeAt);
  int(layout.OFFSET_JAVA_WAITS_FIELDS_AT, fieldsAt);
  return new Uint8Array(view.buffer);
}

function setPages(view: DataView, { stale, coloured, pages, pageTime, pageStart, left }: Colours & Pages): void {
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_STALE, BigInt(stale), true);
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_COLOURED, BigInt(coloured), true);
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_PAGES, BigInt(pages), true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_PAGE_TIME, pageTime, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_PAGE_START, pageStart, true);
  for (const [index, table] of left.entries()) view.setBigUint64(layout.OFFSET_JAVA_HEAP_LEFT + index * 8, BigInt(table), true);
}

function setHolder(view: DataView, { class: holder, classWord, narrow, steps }: Holder): void {
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_HOLDER, holder, true);
  view.setBigUint64(layout.OFFSET_JAVA_HEAP_HOLDER_MASK, classWord.mask, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_HOLDER_AT, classWord.at, true);
  view.setUint32(layout.OFFSET_JAVA_HEAP_HOLDER_SHIFT, classWord.shift, true);
  if (narrow !== undefined) {
    view.setUint32(layout.OFFSET_JAVA_HEAP_NARROW, 1, true);
    view.setBigUint64(layout.OFFSET_JAVA_HEAP_POINTERS, BigInt(narrow.base), true);
    view.setUint32(layout.OFFSET_JAVA_HEAP_POINTER_SHIFT, narrow.shift, true);
  }
  for (const [index, at] of steps.entries()) view.setUint32(layout.OFFSET_JAVA_HEAP_STEPS + index * 4, at, true);
}
