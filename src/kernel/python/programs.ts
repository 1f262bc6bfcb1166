/**
 * The Python programs among the watched processes: the kernel side is told where each interpreter keeps its threads and their contexts, and
 * is called where a context has been made, or work is handed over. What can't be read or placed is left: then contexts are not known, or what
 * a pool's thread is given to do.
 */
import {
  OFFSET_PYTHON_PROGRAM_CONTEXT, OFFSET_PYTHON_PROGRAM_CONTEXT_TYPE, OFFSET_PYTHON_PROGRAM_FIRST_THREAD, OFFSET_PYTHON_PROGRAM_INTERPRETER,
  OFFSET_PYTHON_PROGRAM_NEXT, OFFSET_PYTHON_PROGRAM_THREAD_ID, SIZE_PYTHON_PROGRAM,
} from '../layout.ts';
import { Awaited } from '../awaited.ts';
import type { ContextBits } from '../context-bits.ts';
import { ElfFile } from '../elf.ts';
import { remembered } from '../file-id.ts';
import { LoadError } from '../libbpf.ts';
import { rooted, type Loaded } from '../loaded.ts';
import { u32, type BpfMap } from '../map.ts';
import { processFacts } from '../processes.ts';
import { loadedPython, readPythonFile, type PythonFile } from './executable.ts';
import { queueModule, queuesIn, type Queues } from './queues.ts';
import type { UvloopPrograms } from './uvloop.ts';

/** How often it is looked whether a process has loaded its interpreter by now, and whether one is gone. */
const SWEEP_MS = 500;

/** Has the kernel run `program` at `offset` of a file, in one process, which need not have loaded it yet. Returns what ends that. Throws LoadError. */
export type PlaceIn = (program: string, path: string, offset: number, tgid: number) => () => void;

/** What a file was found to hold, by its id. */
interface Files {
  readonly interpreters: Map<string, PythonFile | undefined>;
  readonly queues: Map<string, Queues | undefined>;
}

export class PythonPrograms {
  readonly #programs: BpfMap;
  readonly #bits: ContextBits;
  readonly #place: PlaceIn | undefined;
  readonly #uvloop: UvloopPrograms;
  readonly #files: Files = { interpreters: new Map(), queues: new Map() };
  readonly #placed = new Map<number, (() => void)[]>();
  /** Processes without an interpreter so far. */
  readonly #awaited = new Awaited();
  #sweeping: NodeJS.Timeout | undefined;

  /** `place`: absent where the kernel has no uprobes. */
  constructor(programs: BpfMap, bits: ContextBits, place: PlaceIn | undefined, uvloop: UvloopPrograms) {
    this.#programs = programs;
    this.#bits = bits;
    this.#place = place;
    this.#uvloop = uvloop;
  }

  /** A watched process runs what it runs now. To be called again after each exec. `fresh`: it has only begun to, and may load its interpreter yet. */
  add(tgid: number, fresh = false): void {
    if (this.#place === undefined || (this.#placed.has(tgid) && !fresh)) return;
    this.#remove(tgid);
    if (!this.#look(tgid) && fresh) this.#awaited.add(tgid);
    if (this.#placed.size + this.#awaited.size > 0) this.#sweeping ??= setInterval(() => { this.#sweep(); }, SWEEP_MS).unref();
  }

  /** `parent` has made `tgid`, which runs the same. */
  forked(parent: number, tgid: number): void {
    if (this.#placed.has(parent)) this.add(tgid);
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

  /** False: it has no interpreter, or none yet. */
  #look(tgid: number): boolean {
    const loaded = loadedPython(tgid);
    if (loaded === undefined) return false;
    const file = remembered(this.#files.interpreters, rooted(tgid, loaded.path), (path) => readPythonFile(path, loaded.path));
    if (file === undefined) return true;
    const bias = loaded.start - file.base;
    this.#programs.set(u32(tgid), valueOf(file, bias));
    const placed: (() => void)[] = [];
    this.#placed.set(tgid, placed);
    if (!this.#placeAll(tgid, placed, loaded.path, file.made.map(({ offset, register }) => [`python_makes_${register}`, offset]))) {
      this.forget(tgid);
      return true;
    }
    const queues = this.#queuesOf(tgid, loaded, file);
    if (queues !== undefined) this.#placeAll(tgid, placed, queues.path, [['python_puts', queues.put], ...queues.got.map(({ offset, register }) => [`python_takes_${register}`, offset] as const)]);
    this.#bits.set(tgid);
    this.#uvloop.add(tgid);
    return true;
  }

  /** Programs, each at its offset, or none of them: then it is false. */
  #placeAll(tgid: number, placed: (() => void)[], path: string, programs: readonly (readonly [string, number])[]): boolean {
    const before = placed.length;
    try {
      for (const [program, offset] of programs) placed.push((this.#place as PlaceIn)(program, rooted(tgid, path), offset, tgid));
      return true;
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      for (const remove of placed.splice(before)) remove();
      return false;
    }
  }

  /** In a file of their own, or in the interpreter's. */
  #queuesOf(tgid: number, { path: interpreter }: Loaded, { minor }: PythonFile): Queues & { readonly path: string } | undefined {
    const path = queueModule(tgid, interpreter, minor) ?? interpreter;
    const queues = remembered(this.#files.queues, rooted(tgid, path), (seen) => ElfFile.read(seen, queuesIn));
    return queues === undefined ? undefined : { ...queues, path };
  }

  /** Also those whose end was seen by the kernel side alone. */
  #sweep(): void {
    for (const tgid of [...this.#placed.keys()]) if (processFacts(tgid) === undefined) this.#remove(tgid);
    this.#awaited.look((tgid) => this.#look(tgid));
    this.#uvloop.sweep();
  }

  #remove(tgid: number): void {
    this.#awaited.delete(tgid);
    for (const remove of this.#placed.get(tgid) ?? []) remove();
    this.#placed.delete(tgid);
    this.#uvloop.remove(tgid);
  }
}

function valueOf({ offsets, runtime, contextType }: PythonFile, bias: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(SIZE_PYTHON_PROGRAM));
  view.setBigUint64(OFFSET_PYTHON_PROGRAM_INTERPRETER, BigInt(runtime + bias + offsets.interpreter), true);
  view.setBigUint64(OFFSET_PYTHON_PROGRAM_CONTEXT_TYPE, BigInt(contextType + bias), true);
  view.setUint32(OFFSET_PYTHON_PROGRAM_FIRST_THREAD, offsets.firstThread, true);
  view.setUint32(OFFSET_PYTHON_PROGRAM_NEXT, offsets.next, true);
  view.setUint32(OFFSET_PYTHON_PROGRAM_THREAD_ID, offsets.threadId, true);
  view.setUint32(OFFSET_PYTHON_PROGRAM_CONTEXT, offsets.context, true);
  return new Uint8Array(view.buffer);
}
