/**
 * Go's functions on arm64: instructions of four bytes (Arm ARM, C6.2). Since Go 1.18 the first arguments are in R0 to R15, the result in
 * R0, and `g` in R28. The kernel does branches, calls and returns itself (arch/arm64/kernel/probes/simulate-insn.c).
 */
import type { GoCode } from './code.ts';

const INSTRUCTION_BYTES = 4;
const LDR_R16_STACK_GUARD = 0xf9400b90; // ldr x16,[x28,#16]
const CMP_SP_R16 = 0xeb3063ff;
const MOV_R17_SP = 0x910003f1;
const CMP_R17_R16 = 0xeb10023f;
const RET = 0xd65f03c0;

const isSubR17Sp = (word: number | undefined): boolean => word !== undefined && ((word & 0xff8003ff) >>> 0) === 0xd10003f1;
const isBranchLowerOrSame = (word: number | undefined): boolean => word !== undefined && ((word & 0xff00001f) >>> 0) === 0x54000009;

const wordAt = (code: Buffer, index: number): number | undefined =>
  (index + 1) * INSTRUCTION_BYTES <= code.length ? code.readUInt32LE(index * INSTRUCTION_BYTES) : undefined;

/** How many instructions look how much stack is left, up to the jump where that is too little; undefined: it begins otherwise. */
function looksFor(code: Buffer): number | undefined {
  if (wordAt(code, 0) !== LDR_R16_STACK_GUARD) return undefined;
  const second = wordAt(code, 1);
  if (second === CMP_SP_R16) return 2;
  return (second === MOV_R17_SP || isSubR17Sp(second)) && wordAt(code, 2) === CMP_R17_R16 ? 3 : undefined;
}

export const arm64: GoCode = {
  start: '_rt0_arm64_linux',
  entryOf: ({ code, offset }) => {
    const looks = looksFor(code);
    return looks !== undefined && isBranchLowerOrSame(wordAt(code, looks)) ? offset + looks * INSTRUCTION_BYTES : undefined;
  },
  endsOf: ({ code, offset }) => placesOf(code, (word) => word === RET).map((at) => offset + at),
  // `bl`: 26 bits of distance, in instructions
  callsOf: ({ code, address, offset }, other) =>
    placesOf(code, (word, at) => word >>> 26 === 0b100101 && address + at + ((word << 6) >> 6) * INSTRUCTION_BYTES === other.address).map((at) => offset + at),
  afterCall: (offset) => offset + INSTRUCTION_BYTES,
};

function placesOf(code: Buffer, is: (word: number, at: number) => boolean): number[] {
  const found: number[] = [];
  for (let at = 0; at + INSTRUCTION_BYTES <= code.length; at += INSTRUCTION_BYTES) if (is(code.readUInt32LE(at), at)) found.push(at);
  return found;
}
