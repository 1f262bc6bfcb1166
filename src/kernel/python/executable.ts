/** What there is to know of a Python program: its release, and where its interpreter keeps which thread runs in which context. */
import { ElfFile, EM_X86_64 } from '../elf.ts';
import { loadedFiles, type Loaded } from '../loaded.ts';
import { PYTHON_OFFSETS, type PythonOffsets } from './offsets.ts';
import { madeIn, type Made } from './made.ts';

/** Files that may hold an interpreter: the executable by its usual names, or a library, also within another program. Free-threaded ones (3.13t) are left. */
const FILE = /\/(?:lib)?python3(?:\.\d+)?(?:\.so(?:\.1(?:\.0)?)?)?$/;
const MINOR = /python3\.(\d+)[^/]*$/;

export interface PythonFile {
  /** The second number of the release. */
  readonly minor: number;
  readonly offsets: PythonOffsets;
  /** Addresses before it is loaded. */
  readonly runtime: number;
  readonly contextType: number;
  /** Where PyContext_CopyCurrent has made a context. */
  readonly made: readonly Made[];
  /** Of the file's first byte, likewise. */
  readonly base: number;
}

/** Undefined: no interpreter that is known. */
export function readPythonFile(path: string, name: string): PythonFile | undefined {
  return ElfFile.read(path, (elf) => {
    if (elf.machine !== EM_X86_64) return undefined;
    const minor = minorOf(elf, name);
    const offsets = minor === undefined ? undefined : PYTHON_OFFSETS.get(minor);
    const [runtime, contextType, copy] = ['_PyRuntime', 'PyContext_Type', 'PyContext_CopyCurrent'].map((symbol) => elf.exported(symbol));
    const { base } = elf;
    if (minor === undefined || offsets === undefined || runtime === undefined || contextType === undefined || copy === undefined || base === undefined) return undefined;
    const made = madeIn(elf, copy);
    return made.length === 0 ? undefined : { minor, offsets, runtime, contextType, made, base };
  });
}

/** Since 3.11 a variable says it; before, the file's name does. */
function minorOf(elf: ElfFile, name: string): number | undefined {
  const at = elf.exported('Py_Version');
  const offset = at === undefined ? undefined : elf.offsetOf(at);
  if (offset === undefined) return Number(MINOR.exec(name)?.[1] ?? NaN) || undefined;
  const version = elf.bytes(offset, 4);
  return version[3] === 3 ? version[2] : undefined;
}

/** The file with the interpreter that a process has loaded; undefined where it has none, or none yet. */
export function loadedPython(tgid: number): Loaded | undefined {
  const files = loadedFiles(tgid, FILE);
  // The executable may be a launcher only: a library comes after it, and has it all.
  return files.findLast(({ path }) => path.includes('/lib')) ?? files[0];
}
