/**
 * Processes that have loaded a uvloop which queues what is written (up to 0.22): the kernel side is called where it does (bpf/uvloop.h). Programs
 * load it late, so they are looked at for a while. What can't be read or placed is left: then it is not known for whom the loop writes.
 */
import { Awaited } from '../awaited.ts';
import { ElfFile, EM_X86_64 } from '../elf.ts';
import { remembered } from '../file-id.ts';
import { LoadError } from '../libbpf.ts';
import { loadedFiles, rooted } from '../loaded.ts';
import { u32, type BpfMap } from '../map.ts';
import { Pointers } from './pointers.ts';

const FILE = /\/uvloop\/loop\.[\w.-]+\.so$/;
/** In a PyTypeObject, after its name. */
const SIZE_AFTER_NAME = 8;
/** Of a UVStream, as bpf/uvloop.bpf.c reads it: its fields are the same from 0.16 to 0.22. */
const STREAM_BYTES = 400n;
const QUEUING = [{ name: 'write', doc: 'UVStream.write(self, buf)\0' }, { name: 'writelines', doc: 'UVStream.writelines(self, bufs)\0' }];
/** The handle that writes later; since 0.23 there is none. */
const QUEUE = '\0loop._exec_queued_writes\0';

/** Where in the file the functions begin that queue. None where it queues nothing, or is not as it is known. */
export function readUvloop(path: string): readonly number[] {
  return ElfFile.read(path, (elf) => {
    if (elf.machine !== EM_X86_64) return undefined;
    const pointers = new Pointers(elf);
    const isKnown = pointers.toText('uvloop.loop.UVStream\0').some((slot) => {
      const offset = elf.offsetOf(slot + SIZE_AFTER_NAME);
      return offset !== undefined && elf.bytes(offset, 8).readBigUInt64LE() === STREAM_BYTES;
    });
    if (!pointers.holds(QUEUE) || !isKnown) return undefined;
    const found = QUEUING.flatMap((method) => {
      const address = pointers.method(method)?.address;
      return (address === undefined ? undefined : elf.offsetOf(address)) ?? [];
    });
    return found.length === QUEUING.length ? found : undefined;
  }) ?? [];
}

/** Has the kernel look, in one process, where its file queues. Returns what ends that. Throws LoadError. */
export type PlaceQueues = (offset: number, path: string, tgid: number) => () => void;

/** Of the processes that run Python. */
export class UvloopPrograms {
  readonly #programs: BpfMap;
  readonly #place: PlaceQueues;
  readonly #files = new Map<string, readonly number[] | undefined>();
  readonly #placed = new Map<number, (() => void)[]>();
  readonly #awaited = new Awaited();

  constructor(programs: BpfMap, place: PlaceQueues) {
    this.#programs = programs;
    this.#place = place;
  }

  add(tgid: number): void {
    if (!this.#look(tgid)) this.#awaited.add(tgid);
  }

  /** Those that may have loaded it by now. To be called now and then. */
  sweep(): void {
    this.#awaited.look((tgid) => this.#look(tgid));
  }

  /** It has ended, or runs something else. */
  remove(tgid: number): void {
    this.#awaited.delete(tgid);
    for (const remove of this.#placed.get(tgid) ?? []) remove();
    if (this.#placed.delete(tgid)) this.#programs.delete(u32(tgid));
  }

  /** False: it has no uvloop, or none yet. */
  #look(tgid: number): boolean {
    const [loaded] = loadedFiles(tgid, FILE);
    if (loaded === undefined) return false;
    const path = rooted(tgid, loaded.path);
    const queues = remembered(this.#files, path, readUvloop) ?? [];
    if (queues.length === 0) return true;
    const placed: (() => void)[] = [];
    this.#placed.set(tgid, placed);
    this.#programs.set(u32(tgid), u32(1));
    try {
      for (const offset of queues) placed.push(this.#place(offset, path, tgid));
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      this.remove(tgid);
    }
    return true;
  }
}
