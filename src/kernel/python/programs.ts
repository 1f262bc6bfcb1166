/**
 * The Python programs among the watched processes: the kernel side is told where each interpreter keeps its threads and their contexts, and
 * is called where a context has been made. What can't be read or placed is left: then contexts are not known.
 */
import {
  OFFSET_PYTHON_PROGRAM_CONTEXT, OFFSET_PYTHON_PROGRAM_CONTEXT_TYPE, OFFSET_PYTHON_PROGRAM_FIRST_THREAD, OFFSET_PYTHON_PROGRAM_INTERPRETER,
  OFFSET_PYTHON_PROGRAM_NEXT, OFFSET_PYTHON_PROGRAM_THREAD_ID, SIZE_PYTHON_PROGRAM,
} from '../layout.ts';
import { Awaited } from '../awaited.ts';
import type { ContextBits } from '../context-bits.ts';
import { fileId } from '../file-id.ts';
import { LoadError } from '../libbpf.ts';
import { rooted, type Loaded } from '../loaded.ts';
import { u32, type BpfMap } from '../map.ts';
import { loadedPython, readPythonFile, type PythonFile } from './executable.ts';
import type { Made } from './made.ts';

/** Files remembered. Past that all are read anew. */
const MAX_FILES = 64;
/** How often it is looked whether a process has loaded its interpreter by now, and whether one is gone. */
const SWEEP_MS = 500;

/** Has the kernel look, in one process, where its file makes contexts. Returns what ends that. Throws LoadError. */
export type PlaceIn = (made: Made, path: string, tgid: number) => () => void;

export class PythonPrograms {
  readonly #programs: BpfMap;
  readonly #bits: ContextBits;
  readonly #place: PlaceIn | undefined;
  readonly #files = new Map<string, PythonFile | undefined>();
  readonly #placed = new Map<number, (() => void)[]>();
  /** Processes without an interpreter so far. */
  readonly #awaited = new Awaited();
  #sweeping: NodeJS.Timeout | undefined;

  /** `place`: absent where the kernel has no uprobes. */
  constructor(programs: BpfMap, bits: ContextBits, place: PlaceIn | undefined) {
    this.#programs = programs;
    this.#bits = bits;
    this.#place = place;
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
    const file = loaded === undefined ? undefined : this.#read(tgid, loaded);
    if (loaded === undefined) return false;
    if (file === undefined) return true;
    const bias = loaded.start - file.base;
    this.#programs.set(u32(tgid), valueOf(file, bias));
    const placed: (() => void)[] = [];
    this.#placed.set(tgid, placed);
    try {
      for (const made of file.made) placed.push((this.#place as PlaceIn)(made, rooted(tgid, loaded.path), tgid));
      this.#bits.set(tgid);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      this.forget(tgid);
    }
    return true;
  }

  #read(tgid: number, { path }: Loaded): PythonFile | undefined {
    const seen = rooted(tgid, path);
    const id = fileId(seen);
    if (id === undefined) return undefined;
    if (this.#files.has(id)) return this.#files.get(id);
    if (this.#files.size >= MAX_FILES) this.#files.clear();
    const file = readPythonFile(seen, path);
    this.#files.set(id, file);
    return file;
  }

  /** Also those whose end was seen by the kernel side alone. */
  #sweep(): void {
    for (const tgid of [...this.#placed.keys()]) if (this.#programs.get(u32(tgid)) === undefined) this.#remove(tgid);
    this.#awaited.look((tgid) => this.#look(tgid));
  }

  #remove(tgid: number): void {
    this.#awaited.delete(tgid);
    for (const remove of this.#placed.get(tgid) ?? []) remove();
    this.#placed.delete(tgid);
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
