/**
 * Where in a function of an x86-64 program it has made what it returns, and in which register that is: found by following its instructions, also
 * where it goes on as another. Best is a call or a jump, for the kernel does those itself, without a second trap:
 *
 *   call allocate          call allocate
 *   test %rax, %rax        mov  %rax, %rdi
 *   je   failed   <- rax   call track      <- rdi
 *
 * What they hold may be something else: who is called there has to look.
 */
import { createRequire } from 'node:module';
import type * as Iced from 'iced-x86';
import type { ElfFile } from '../elf.ts';

/** Read at a time; an instruction has 15 bytes at most. */
const WINDOW_BYTES = 512;
/** Of one function. Past that it is not one that we know. */
const MAX_INSTRUCTIONS = 4_096;

export interface Made {
  /** In the file. */
  readonly offset: number;
  readonly register: 'rax' | 'rdi';
}

interface Step {
  readonly at: number;
  readonly next: readonly number[];
  readonly kind: 'call' | 'return' | 'branch' | 'test' | 'move' | 'other';
  /** Of a move between registers: into rdi. */
  readonly toRdi: boolean;
}

/** It takes some 60 ms to load, and few need it. */
let iced: typeof Iced | undefined;
const decoding = (): typeof Iced => (iced ??= createRequire(import.meta.url)('iced-x86') as typeof Iced);

/** None where the function at `address` can't be followed, or returns nowhere. */
export function madeIn(elf: ElfFile, address: number): readonly Made[] {
  const steps = follow(elf, address);
  const found = new Map<number, Made['register']>();
  for (const { at, kind, next: [next] } of steps.values()) {
    if (kind === 'call' && next !== undefined) afterCall(steps, next, found);
    else if (kind === 'move') beforeCall(steps, at, found);
  }
  // What comes first on a way has not been made yet.
  const last = [...found].filter(([at]) => !reachesAnother(steps, at, found));
  const ends = [...steps.values()].filter(({ kind }) => kind === 'return').map(({ at }): [number, Made['register']] => [at, 'rax']);
  return (ends.length === 0 ? [] : last.length > 0 ? last : ends).flatMap(([at, register]) => {
    const offset = elf.offsetOf(at);
    return offset === undefined ? [] : [{ offset, register }];
  }).sort((one, other) => one.offset - other.offset);
}

/** A call returned to `from`: is it asked next whether that was nothing? */
function afterCall(steps: ReadonlyMap<number, Step>, from: number, found: Map<number, Made['register']>): void {
  let tested = false;
  for (let step = steps.get(from); step !== undefined; step = steps.get(step.next[0] ?? -1)) {
    if (step.kind === 'test') tested = true;
    else if (step.kind === 'branch' && tested) return void found.set(step.at, 'rax');
    else if (step.kind !== 'move' || step.toRdi) return;
  }
}

/** Is what is moved to rdi at `from` what the next call is given? */
function beforeCall(steps: ReadonlyMap<number, Step>, from: number, found: Map<number, Made['register']>): void {
  if (steps.get(from)?.toRdi !== true) return;
  for (let step = steps.get(steps.get(from)?.next[0] ?? -1); step !== undefined && !step.toRdi; step = steps.get(step.next[0] ?? -1)) {
    if (step.kind === 'call') return void found.set(step.at, 'rdi');
    if (step.kind === 'branch' || step.kind === 'return') return;
  }
}

function reachesAnother(steps: ReadonlyMap<number, Step>, from: number, found: ReadonlyMap<number, unknown>): boolean {
  const seen = new Set<number>();
  const open = [...steps.get(from)?.next ?? []];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (found.has(at) && at !== from) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...steps.get(at)?.next ?? []);
  }
  return false;
}

/** Its instructions by address; none where it can't be followed. What comes after a call that never returns is followed too, into whatever stands there. */
function follow(elf: ElfFile, address: number): ReadonlyMap<number, Step> {
  const { Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register } = decoding();
  const steps = new Map<number, Step>();
  const open = [address];
  const instruction = new Instruction();
  const decoders = new Map<number, Iced.Decoder>();
  const decode = (at: number): boolean => {
    const base = at - (at % WINDOW_BYTES);
    let decoder = decoders.get(base);
    if (decoder === undefined) {
      const offset = elf.offsetOf(base);
      if (offset === undefined) return false;
      decoders.set(base, decoder = new Decoder(64, elf.bytes(offset, WINDOW_BYTES + 16), DecoderOptions.None));
    }
    decoder.position = at - base;
    decoder.ip = BigInt(at);
    decoder.decodeOut(instruction);
    return instruction.code !== Code.INVALID;
  };
  const kindOf = (): Step['kind'] => {
    const { flowControl, mnemonic } = instruction;
    if (flowControl === FlowControl.Return) return 'return';
    if (flowControl === FlowControl.Call) return 'call';
    if (flowControl === FlowControl.ConditionalBranch) return 'branch';
    if (mnemonic === Mnemonic.Test && instruction.op0Register === Register.RAX && instruction.op1Register === Register.RAX) return 'test';
    return mnemonic === Mnemonic.Mov && instruction.op0Kind === OpKind.Register && instruction.op1Kind === OpKind.Register ? 'move' : 'other';
  };
  const nextOf = (): readonly number[] => {
    const { flowControl } = instruction;
    const next = Number(instruction.nextIP);
    if (flowControl === FlowControl.UnconditionalBranch) return [Number(instruction.nearBranchTarget)];
    if (flowControl === FlowControl.ConditionalBranch) return [next, Number(instruction.nearBranchTarget)];
    return flowControl === FlowControl.Next || flowControl === FlowControl.Call || flowControl === FlowControl.IndirectCall ? [next] : [];
  };
  try {
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (steps.has(at)) continue;
      if (steps.size >= MAX_INSTRUCTIONS || !decode(at)) return new Map();
      const kind = kindOf();
      const next = nextOf();
      steps.set(at, { at, next, kind, toRdi: instruction.op0Kind === OpKind.Register && instruction.op0Register === Register.RDI });
      open.push(...next);
    }
  } finally {
    for (const decoder of decoders.values()) decoder.free();
    instruction.free();
  }
  return steps;
}
