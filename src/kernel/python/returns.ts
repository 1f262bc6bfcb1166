/** Where a function of an x86-64 program returns, found by following its instructions: also where it ends by going on as another. */
import { createRequire } from 'node:module';
import type * as Iced from 'iced-x86';
import type { ElfFile } from '../elf.ts';

/** Read at a time; an instruction has 15 bytes at most. */
const WINDOW_BYTES = 512;
/** Of one function. Past that it is not one that we know. */
const MAX_INSTRUCTIONS = 4_096;

/** It takes some 60 ms to load, and few need it. */
let iced: typeof Iced | undefined;
const decoding = (): typeof Iced => (iced ??= createRequire(import.meta.url)('iced-x86') as typeof Iced);

/**
 * Offsets in the file of the `ret` instructions that end the function at `address`; none where it can't be followed. What comes after a
 * call that never returns is followed too, so that one of them may be another function's.
 */
export function returnsOf(elf: ElfFile, address: number): readonly number[] {
  const { Code, Decoder, DecoderOptions, FlowControl, Instruction } = decoding();
  const ends = new Set<number>();
  const seen = new Set<number>();
  const open = [address];
  const instruction = new Instruction();
  const decoders = new Map<number, Iced.Decoder>();
  /** At `at`, decoded from the block that holds it and all of its bytes. */
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
  try {
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      if (seen.size > MAX_INSTRUCTIONS || !decode(at)) return [];
      const { flowControl } = instruction;
      const next = Number(instruction.nextIP);
      if (flowControl === FlowControl.Return) {
        const offset = elf.offsetOf(at);
        if (offset !== undefined) ends.add(offset);
      } else if (flowControl === FlowControl.UnconditionalBranch) open.push(Number(instruction.nearBranchTarget));
      else if (flowControl === FlowControl.ConditionalBranch) open.push(Number(instruction.nearBranchTarget), next);
      else if (flowControl === FlowControl.Next || flowControl === FlowControl.Call || flowControl === FlowControl.IndirectCall) open.push(next);
    }
  } finally {
    for (const decoder of decoders.values()) decoder.free();
    instruction.free();
  }
  return [...ends].sort((a, b) => a - b);
}
