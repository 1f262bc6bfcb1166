/**
 * The JVMs among the watched processes: once one has begun with virtual threads, the kernel side is told where it keeps which of its threads
 * carries which. Nothing is placed in it. What can't be read is left: then virtual threads are not known.
 */
import { Awaited } from '../awaited.ts';
import type { ContextBits } from '../context-bits.ts';
import {
  OFFSET_JAVA_PROGRAM_CLASS, OFFSET_JAVA_PROGRAM_CLASS_AT, OFFSET_JAVA_PROGRAM_CLASS_MASK, OFFSET_JAVA_PROGRAM_CLASS_SHIFT, OFFSET_JAVA_PROGRAM_COLLECTING,
  OFFSET_JAVA_PROGRAM_COLLECTIONS, OFFSET_JAVA_PROGRAM_COLOURED, OFFSET_JAVA_PROGRAM_ID, OFFSET_JAVA_PROGRAM_MOUNTED, OFFSET_JAVA_PROGRAM_OS_THREAD, OFFSET_JAVA_PROGRAM_OWN,
  OFFSET_JAVA_PROGRAM_SELF, OFFSET_JAVA_PROGRAM_STALE, OFFSET_JAVA_PROGRAM_THREAD, SIZE_JAVA_PROGRAM,
} from '../layout.ts';
import { loadedFiles } from '../loaded.ts';
import { u32, type BpfMap } from '../map.ts';
import { ProcessMemory } from './memory.ts';
import { mayRunVirtual, virtualThreadsOf, type ByObject, type VirtualThreads, type WhyUnknown } from './virtual-threads.ts';
import { exportsOf, VmStructs } from './vm-structs.ts';

const FILE = /\/libjvm\.so$/;
/** How often it is looked whether a process has loaded a JVM by now, and whether that has begun with virtual threads. */
const SWEEP_MS = 500;
/** Looked at so often while it is unlike what is known: threads may come and go meanwhile. */
const MAX_LOOKS = 20;

/** What was said of a JVM's own structures, and how often these were looked at since it has begun with virtual threads. */
interface Jvm {
  readonly structs: VmStructs;
  looks: number;
}

export class JavaPrograms {
  readonly #programs: BpfMap;
  readonly #bits: ContextBits;
  readonly #onUnknown: (tgid: number, why: WhyUnknown) => void;
  readonly #awaited = new Awaited();
  /** Those that have begun no virtual thread so far. */
  readonly #idle = new Map<number, Jvm>();
  #sweeping: NodeJS.Timeout | undefined;

  /** `onUnknown`: a JVM has virtual threads, and which of them runs can't be told. */
  constructor(programs: BpfMap, bits: ContextBits, onUnknown: (tgid: number, why: WhyUnknown) => void) {
    this.#programs = programs;
    this.#bits = bits;
    this.#onUnknown = onUnknown;
  }

  /** A watched process runs what it runs now. To be called again after each exec. `fresh`: it has only begun to, and may load a JVM yet. */
  add(tgid: number, fresh = false): void {
    // Where a thread's pointer is, is known of this architecture only (bpf/registers.h).
    if (process.arch !== 'x64' || (!fresh && (this.#idle.has(tgid) || this.#programs.get(u32(tgid)) !== undefined))) return;
    this.#remove(tgid);
    if (!this.#find(tgid) && fresh) this.#awaited.add(tgid);
    if (this.#idle.size + this.#awaited.size > 0) this.#sweeping ??= setInterval(() => { this.#sweep(); }, SWEEP_MS).unref();
  }

  /** It has ended, and its end was not seen. */
  forget(tgid: number): void {
    this.#programs.delete(u32(tgid));
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
    if (structs === undefined || !mayRunVirtual(structs)) return true;
    const jvm: Jvm = { structs, looks: 0 };
    if (!this.#look(tgid, jvm)) this.#idle.set(tgid, jvm);
    return true;
  }

  /** False: it is to be looked at again. */
  #look(tgid: number, jvm: Jvm): boolean {
    const found = ProcessMemory.read(tgid, (memory) => virtualThreadsOf(memory, jvm.structs));
    if (found === undefined) return true; // it is gone
    if (found === 'unused') return false;
    if (typeof found === 'object') {
      this.#programs.set(u32(tgid), valueOf(found));
      this.#bits.set(tgid);
      return true;
    }
    if (found === 'unlike' && ++jvm.looks < MAX_LOOKS) return false;
    this.#onUnknown(tgid, found);
    return true;
  }

  #sweep(): void {
    this.#awaited.look((tgid) => this.#find(tgid));
    for (const [tgid, jvm] of [...this.#idle]) if (this.#look(tgid, jvm)) this.#idle.delete(tgid);
  }

  #remove(tgid: number): void {
    this.#awaited.delete(tgid);
    this.#idle.delete(tgid);
  }
}

function valueOf({ thread, osThread, self, mounted, id, carried }: VirtualThreads): Uint8Array {
  const view = new DataView(new ArrayBuffer(SIZE_JAVA_PROGRAM));
  view.setInt32(OFFSET_JAVA_PROGRAM_THREAD, thread, true);
  view.setUint32(OFFSET_JAVA_PROGRAM_OS_THREAD, osThread, true);
  view.setUint32(OFFSET_JAVA_PROGRAM_SELF, self, true);
  view.setUint32(OFFSET_JAVA_PROGRAM_ID, id, true);
  view.setUint32(OFFSET_JAVA_PROGRAM_MOUNTED, mounted, true);
  if ('own' in carried) view.setUint32(OFFSET_JAVA_PROGRAM_OWN, carried.own, true);
  else setObject(view, carried);
  return new Uint8Array(view.buffer);
}

function setObject(view: DataView, { collecting, collections, stale, coloured, class: virtual, classWord }: ByObject): void {
  view.setBigUint64(OFFSET_JAVA_PROGRAM_COLLECTING, BigInt(collecting), true);
  view.setBigUint64(OFFSET_JAVA_PROGRAM_COLLECTIONS, BigInt(collections), true);
  view.setBigUint64(OFFSET_JAVA_PROGRAM_STALE, BigInt(stale), true);
  view.setBigUint64(OFFSET_JAVA_PROGRAM_COLOURED, BigInt(coloured), true);
  view.setBigUint64(OFFSET_JAVA_PROGRAM_CLASS, virtual, true);
  view.setBigUint64(OFFSET_JAVA_PROGRAM_CLASS_MASK, classWord.mask, true);
  view.setUint32(OFFSET_JAVA_PROGRAM_CLASS_AT, classWord.at, true);
  view.setUint32(OFFSET_JAVA_PROGRAM_CLASS_SHIFT, classWord.shift, true);
}
