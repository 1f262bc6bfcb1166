/**
 * The Go programs among the watched processes: the kernel side is told where each keeps its goroutines, and probes are placed in
 * executables that have use for them. What can't be read or placed is left: then goroutines are not known, or not for whom one writes.
 */
import {
  OFFSET_GO_PROGRAM_COMPLETE, OFFSET_GO_PROGRAM_CURRENT, OFFSET_GO_PROGRAM_FUNCTION, OFFSET_GO_PROGRAM_GOID, OFFSET_GO_PROGRAM_G_AT, OFFSET_GO_PROGRAM_M, OFFSET_GO_PROGRAM_PARENT, OFFSET_GO_PROGRAM_ROLES, SIZE_GO_PROGRAM,
} from '../layout.ts';
import { EnvironmentError } from '../../errors.ts';
import type { ContextBits } from '../context-bits.ts';
import { fileId } from '../file-id.ts';
import { AT_ENTRY, auxiliary } from '../auxiliary.ts';
import { u32, type BpfMap } from '../map.ts';
import { processFacts } from '../processes.ts';
import { readGoExecutable, type GoExecutable } from './executable.ts';
import type { GoFunctions, GoProbe } from './functions.ts';

/** Executables remembered, most of them as no Go program. Past that all are looked at anew. */
const MAX_EXECUTABLES = 4_096;
/** How often probes are looked at that nobody may need any more. */
const SWEEP_MS = 1_000;
const NO_FUNCTIONS: GoFunctions = { roles: [], probes: [] };

/** Attaches a program to the byte at `offset` of the file; returns what detaches it. Throws where it can't. */
export type Place = (probe: GoProbe, path: string, offset: number) => () => void;

interface Known {
  readonly id: string;
  readonly go: GoExecutable | undefined;
  /** Undefined: not looked at yet. */
  functions: GoFunctions | undefined;
  readonly users: Set<number>;
  placed: (() => void)[];
}

export class GoPrograms {
  readonly #programs: BpfMap;
  readonly #bits: ContextBits;
  readonly #place: Place | undefined;
  readonly #executables = new Map<string, Known>();
  readonly #runs = new Map<number, Known>();
  #sweeping: NodeJS.Timeout | undefined;

  /** `place`: absent where the kernel has no uprobes. */
  constructor(programs: BpfMap, bits: ContextBits, place: Place | undefined) {
    this.#programs = programs;
    this.#bits = bits;
    this.#place = place;
  }

  /**
   * A watched process runs what it runs now. To be called again after each exec. True for a Go program whose goroutines are known
   * from here on. More of them than there is room for are left.
   */
  add(tgid: number): boolean {
    try {
      return this.#add(tgid);
    } catch (error) {
      if (error instanceof EnvironmentError) return false;
      throw error;
    }
  }

  /** The file is about to be run: what takes time is read now. */
  expect(path: string): void {
    const known = this.#look(path);
    if (known?.go !== undefined) known.functions ??= known.go.functions(path) ?? NO_FUNCTIONS;
  }

  #look(path: string): Known | undefined {
    const id = fileId(path);
    if (id === undefined) return undefined;
    let known = this.#executables.get(id);
    if (known === undefined) {
      if (this.#executables.size >= MAX_EXECUTABLES) this.#forgetUnused();
      this.#executables.set(id, known = { id, go: readGoExecutable(path), functions: undefined, users: new Set(), placed: [] });
    }
    return known;
  }

  #add(tgid: number): boolean {
    this.#leave(tgid);
    const path = `/proc/${tgid}/exe`;
    const known = this.#look(path);
    if (known?.go === undefined) return false;
    const { go, id } = known;
    const bias = biasOf(tgid, go);
    if (bias === undefined) return false;
    this.#programs.set(u32(tgid), valueOf(go, bias, known.functions));
    this.#bits.set(tgid);
    known.functions ??= go.functions(path) ?? NO_FUNCTIONS;
    // Probes first: a goroutine that is told of only when it is met may have begun for something earlier.
    if (known.users.size === 0) known.placed = this.#probe(path, known.functions);
    known.users.add(tgid);
    this.#runs.set(tgid, known);
    this.#sweeping ??= setInterval(() => { this.#sweep(); }, SWEEP_MS).unref();
    this.#programs.set(u32(tgid), valueOf(go, bias, known.functions));
    if (fileId(path) === id) return true;
    // It runs something else by now, and its exec may have come before what was written here.
    this.forget(tgid);
    return false;
  }

  /** It has ended, and its end was not seen. */
  forget(tgid: number): void {
    this.#programs.delete(u32(tgid));
    this.#leave(tgid);
  }

  close(): void {
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }

  /** It runs what it ran no more. */
  #leave(tgid: number): void {
    this.#runs.get(tgid)?.users.delete(tgid);
    this.#runs.delete(tgid);
  }

  /** Probes are taken out of executables that no watched process runs any more. */
  #sweep(): void {
    for (const tgid of [...this.#runs.keys()]) if (processFacts(tgid) === undefined) this.#leave(tgid);
    for (const { users, placed } of this.#executables.values()) if (users.size === 0) for (const remove of placed.splice(0)) remove();
  }

  #probe(path: string, { probes }: GoFunctions): (() => void)[] {
    const placed: (() => void)[] = [];
    if (this.#place === undefined) return placed;
    for (const together of probes) {
      const some: (() => void)[] = [];
      try {
        for (const { probe, offset } of together) some.push(this.#place(probe, path, offset));
        placed.push(...some);
      } catch {
        for (const remove of some) remove();
      }
    }
    return placed;
  }

  #forgetUnused(): void {
    for (const [id, { users }] of this.#executables) if (users.size === 0) this.#executables.delete(id);
  }
}

/** How far from what its file says it was loaded, by where the kernel said that it begins (AT_ENTRY of elf.h). */
function biasOf(tgid: number, { entry }: GoExecutable): number | undefined {
  const at = auxiliary(tgid, AT_ENTRY);
  return at === undefined ? undefined : at - entry;
}

function valueOf(go: GoExecutable, bias: number, functions: GoFunctions | undefined): Uint8Array {
  const view = new DataView(new ArrayBuffer(SIZE_GO_PROGRAM));
  view.setBigInt64(OFFSET_GO_PROGRAM_G_AT, BigInt(go.gAt), true);
  view.setUint32(OFFSET_GO_PROGRAM_GOID, go.offsets.goid, true);
  view.setUint32(OFFSET_GO_PROGRAM_PARENT, go.offsets.parent, true);
  view.setUint32(OFFSET_GO_PROGRAM_FUNCTION, go.offsets.function, true);
  view.setUint32(OFFSET_GO_PROGRAM_M, go.offsets.m, true);
  view.setUint32(OFFSET_GO_PROGRAM_CURRENT, go.offsets.current, true);
  view.setUint32(OFFSET_GO_PROGRAM_COMPLETE, Number(functions !== undefined), true);
  functions?.roles.forEach((address, index) => {
    if (address !== 0) view.setBigUint64(OFFSET_GO_PROGRAM_ROLES + index * 8, BigInt(address + bias), true);
  });
  return new Uint8Array(view.buffer);
}
