/** How Go's compiler writes a function, by the machine that it is for. */
import { amd64 } from './code-amd64.ts';
import { arm64 } from './code-arm64.ts';
import { EM_AARCH64, EM_X86_64 } from '../elf.ts';
import type { GoFunction } from './pclntab.ts';

export interface GoCode {
  /** With this function Go's linker begins a program. */
  readonly start: string;
  /**
   * Where in the file it may be probed as it begins, its arguments in place: the jump of its first lines, which the kernel does itself, as
   * it does calls. Any other instruction it lets the processor do and then trap once more; in a virtual machine that trap goes through the
   * host, and costs several times as much as all the rest. Undefined: it begins otherwise than Go's functions do. If so, the text begins
   * somewhere else than was thought, and nothing may be placed there.
   */
  readonly entryOf: (one: GoFunction) => number | undefined;
  /** Where it leaves its frame to return, or returns, its result in place. */
  readonly endsOf: (one: GoFunction) => number[];
  /** Where in the file `other` is called by it. */
  readonly callsOf: (one: GoFunction, other: GoFunction) => number[];
  /** Where a call at `offset` comes back to, its result in place. */
  readonly afterCall: (offset: number) => number;
}

/** Undefined: nothing is known of programs for that machine. */
export const goCode = (machine: number): GoCode | undefined => machine === EM_X86_64 ? amd64 : machine === EM_AARCH64 ? arm64 : undefined;
