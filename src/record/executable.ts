/** Whether a command can be run, before anything is recorded for it. */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { commandFiles, mayExecute } from '../kernel/command-files.ts';

const HEAD_BYTES = 256; // what execve(2) looks at (BINPRM_BUF_SIZE)
/** Offsets of an ELF header's e_machine, and of the 64-bit ones e_phoff, e_phentsize, e_phnum (elf.h). */
const ELF = { class: 4, machine: 18, phoff: 32, phentsize: 54, phnum: 56 } as const;
const ELF64 = 2;

/** Throws UserError that says why `program` (a path, or a name in PATH) can't be executed. */
export function refuseUnrunnable(program: string): void {
  const there = commandFiles(program);
  if (there.length === 0) throw new UserError(`${program}: no such command${program.includes('/') ? '' : ' in PATH'}`);
  const path = there.find(mayExecute);
  if (path === undefined) throw new UserError(`${program}: not executable (chmod +x ${there[0] ?? program}?)`);
  const why = wrongFormat(path);
  if (why !== undefined) throw new UserError(`${program}: ${why}`);
}

function read(path: string): { head: Buffer; size: number } | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined; // may be executed and not read
  }
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return { head: head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0)), size: fstatSync(fd).size };
  } finally {
    closeSync(fd);
  }
}

const isElf = (head: Buffer): boolean => head.length >= 20 && head.readUInt32BE(0) === 0x7f454c46;

/** Why execve(2) would refuse the file (ENOEXEC, or an interpreter that is not there); undefined: nothing speaks against it. */
function wrongFormat(path: string): string | undefined {
  const file = read(path);
  if (file === undefined) return undefined;
  const { head, size } = file;
  const [interpreter] = /^#!\s*(\S+)/.exec(head.toString('latin1'))?.slice(1) ?? [];
  if (interpreter !== undefined) {
    return statSync(interpreter, { throwIfNoEntry: false }) === undefined ? `its interpreter ${interpreter} is not there` : undefined;
  }
  if (runsOtherFormats()) return undefined;
  if (isElf(head)) {
    const own = read('/proc/self/exe')?.head;
    if (own !== undefined && head.readUInt16LE(ELF.machine) !== own.readUInt16LE(ELF.machine)
      && head[ELF.class] === own[ELF.class]) return 'a program for another kind of machine';
    if (head[ELF.class] !== ELF64) return undefined;
    const headers = head.length < 64 ? Infinity
      : Number(head.readBigUInt64LE(ELF.phoff)) + head.readUInt16LE(ELF.phentsize) * head.readUInt16LE(ELF.phnum);
    return headers > size ? 'a program that was cut short' : undefined;
  }
  // A script without an interpreter is the shell's, as everywhere; what has a NUL in its first line is none (as bash tells them).
  const line = head.indexOf(10);
  return head.subarray(0, line < 0 ? head.length : line).includes(0) ? 'not a program of this machine (exec format error)' : undefined;
}

/** Formats that this host hands to interpreters of their own (binfmt_misc): then the kernel is asked by running it. */
function runsOtherFormats(): boolean {
  try {
    return readdirSync('/proc/sys/fs/binfmt_misc').some((name) => name !== 'register' && name !== 'status');
  } catch {
    return false;
  }
}
