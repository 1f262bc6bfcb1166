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
  readonly kind: 'call' | 'return' | 'branch' | 'jump' | 'test' | 'move' | 'other';
  /** Of a move between registers: into rdi. */
  readonly toRdi: boolean;
  /** Registers that it sets, of 64 bits, by their numbers; of a move between registers, from which. */
  readonly sets: readonly number[];
  readonly from: number | undefined;
  /** What it sets is 0 then. */
  readonly clears: boolean;
  /** Of a call of a function whose address stands there. */
  readonly callee: number | undefined;
}

/** Registers that a call keeps (System V psABI): those that compilers take first. */
const KEPT = ['rbx', 'rbp', 'r12', 'r13'] as const;
export type Held = 'rax' | (typeof KEPT)[number];
export interface Returned {
  /** In the file. */
  readonly offset: number;
  readonly register: Held;
}
/** Functions looked at, one of which returns what another one does. */
const MAX_DEPTH = 3;
/** Before the instruction at an address, what is looked for was in a register, by its number. */
type Way = readonly [at: number, register: number];

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

/**
 * Where the function at `address` has what it returns: at the last call or jump before, and in which register, which the kernel does itself; at
 * its returns, where it is not so on each way. None where it can't be followed. Of two that one way leads by the first is enough, and where there
 * is nothing on each way, none is needed.
 *
 *   mov (%rdx), %rbx     je  1f   <- rbx      call unlock   jmp 1f      1: mov %rbx, %rax   ret
 */
export function returnedIn(elf: ElfFile, address: number): readonly Returned[] {
  const found = new Map<number, Held>();
  const ways = held(elf, address, found, MAX_DEPTH) && found.size > 0 ? found : new Map([...follow(elf, address).values()].flatMap(({ at, kind }): [number, Held][] => (kind === 'return' ? [[at, 'rax']] : [])));
  return [...ways].flatMap(([at, register]) => {
    const offset = elf.offsetOf(at);
    return offset === undefined ? [] : [{ offset, register }];
  });
}

/** Goes back from each return. False: on some way it is not known where that was before. */
function held(elf: ElfFile, address: number, found: Map<number, Held>, depth: number): boolean {
  if (depth === 0) return false;
  const { Register } = decoding();
  const kept = new Map(KEPT.map((name) => [Register[name.toUpperCase() as Uppercase<typeof name>] as number, name]));
  const steps = follow(elf, address);
  const before = new Map<number, number[]>();
  for (const { at, next } of steps.values()) for (const to of next) before.set(to, [...before.get(to) ?? [], at]);
  const open = [...steps.values()].flatMap(({ at, kind }): Way[] => (kind === 'return' ? [[at, Register.RAX]] : []));
  if (open.length === 0) return false;
  const seen = new Set<string>();
  for (let way = open.pop(); way !== undefined; way = open.pop()) {
    const [at, register] = way;
    if (seen.has(way.join())) continue;
    seen.add(way.join());
    if (at === address) return false;
    for (const previous of before.get(at) ?? []) {
      const { kind, sets, from, clears, callee } = steps.get(previous) as Step;
      const name = kept.get(register);
      if (name !== undefined && (kind === 'call' || kind === 'branch' || kind === 'jump')) found.set(previous, name);
      else if (kind === 'call') {
        if (register !== Register.RAX || callee === undefined || !held(elf, callee, found, depth - 1)) return false;
      } else if (!sets.includes(register)) open.push([previous, register]);
      else if (from !== undefined) open.push([previous, from]);
      else if (!clears) return false;
    }
  }
  /** What is there then was not at another of them before, on some way, and is something. */
  const isFirst = (site: Way): boolean => {
    const back = [site];
    const been = new Set<string>();
    for (let way = back.pop(); way !== undefined; way = back.pop()) {
      const [at, register] = way;
      if (been.has(way.join())) continue;
      been.add(way.join());
      if (at === address) return true;
      for (const previous of before.get(at) ?? []) {
        const { kind, sets, from, clears } = steps.get(previous) as Step;
        const name = kept.get(register);
        if (name !== undefined && found.get(previous) === name) continue;
        if (kind === 'call' && name === undefined) return true;
        if (!sets.includes(register)) back.push([previous, register]);
        else if (from !== undefined) back.push([previous, from]);
        else if (!clears) return true;
      }
    }
    return false;
  };
  for (const [at, name] of found) if (steps.has(at) && !isFirst([at, Register[name.toUpperCase() as Uppercase<typeof name>]])) found.delete(at);
  return true;
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
  const { Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, RegisterExt } = decoding();
  const steps = new Map<number, Step>();
  const open = [address];
  const instruction = new Instruction();
  const infos = new InstructionInfoFactory();
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
    if (flowControl === FlowControl.UnconditionalBranch) return 'jump';
    if (mnemonic === Mnemonic.Test && instruction.op0Register === Register.RAX && instruction.op1Register === Register.RAX) return 'test';
    return mnemonic === Mnemonic.Mov && instruction.op0Kind === OpKind.Register && instruction.op1Kind === OpKind.Register ? 'move' : 'other';
  };
  const setsOf = (): readonly number[] => {
    const info = infos.info(instruction);
    const used = info.usedRegisters();
    const sets = used.flatMap(({ register, access }) => (access === OpAccess.Read || access === OpAccess.CondRead || access === OpAccess.NoMemAccess ? [] : [RegisterExt.fullRegister(register)]));
    for (const one of used) one.free();
    info.free();
    return sets;
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
      const { op0Kind, op0Register, op1Kind, op1Register } = instruction;
      steps.set(at, {
        at, next, kind, toRdi: op0Kind === OpKind.Register && op0Register === Register.RDI, sets: setsOf(),
        from: kind === 'move' ? RegisterExt.fullRegister(op1Register) : undefined,
        clears: instruction.mnemonic === Mnemonic.Xor && op0Kind === OpKind.Register && op1Kind === OpKind.Register && op0Register === op1Register,
        callee: instruction.flowControl === FlowControl.Call ? Number(instruction.nearBranchTarget) : undefined,
      });
      open.push(...next);
    }
  } finally {
    for (const decoder of decoders.values()) decoder.free();
    instruction.free();
    infos.free();
  }
  return steps;
}
