/** What there is to know of a Go program before it runs: its release, where `g` is and what it holds, and some functions. */
import { ElfFile, EM_AARCH64, EM_X86_64 } from '../elf.ts';
import { goVersion } from './build-info.ts';
import { goFunctions, type GoFunctions } from './functions.ts';
import { offsetsFor, type GoOffsets } from './offsets.ts';

export interface GoExecutable {
  readonly version: string;
  readonly offsets: GoOffsets;
  /** Of the pointer to `g`, from the thread's fsbase; 0 where it is in a register. */
  readonly gAt: number;
  /** Reads more of the file, which takes some 20 ms for a large one; undefined when it is gone. */
  functions(path: string): GoFunctions | undefined;
  /** Where it begins, before it is moved. */
  readonly entry: number;
}

const WORD_BYTES = 8;
/** A program for another machine than this one may run by an emulator: whose registers the kernel sees then, is the emulator's affair. */
const MACHINE = process.arch === 'arm64' ? EM_AARCH64 : EM_X86_64;

/** Undefined: no Go program, or one that can't be read so. Quick, for the program is running already. */
export function readGoExecutable(path: string, machine = MACHINE): GoExecutable | undefined {
  return ElfFile.read(path, (elf) => {
    const version = elf.machine === machine ? goVersion(elf) : undefined;
    const offsets = version === undefined ? undefined : offsetsFor(version);
    const gAt = offsets === undefined ? undefined : machine === EM_X86_64 ? gOf(elf) : 0;
    if (version === undefined || offsets === undefined || gAt === undefined) return undefined;
    return { version, offsets, gAt, entry: elf.entry, functions: (again) => ElfFile.read(again, goFunctions) };
  });
}

/**
 * On amd64. Where thread-local storage ends, fsbase points; `g` is its last word, unless the C linker put more there, and then a symbol says
 * where (Go's cmd/link, "tlsg"; the padding as in LLVM's D61824).
 */
function gOf(elf: ElfFile): number | undefined {
  const { tls } = elf;
  if (tls === undefined || tls.memorySize === WORD_BYTES) return -WORD_BYTES;
  const within = elf.symbol('runtime.tlsg');
  if (within === undefined) return undefined;
  const align = tls.align || 1;
  const padding = (((-tls.address - tls.memorySize) % align) + align) % align;
  return within - tls.memorySize - padding;
}
