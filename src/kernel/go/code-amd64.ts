/** Go's functions on amd64. Since Go 1.17 the first arguments are in AX, BX, CX and DI, the result in AX, and `g` in R14. */
import type { GoCode } from './code.ts';

/**
 * How a function of more than a few bytes begins: it looks how much stack is left, `cmp rsp,[r14+16]` or, with a large frame,
 * `lea r12,[rsp-N]; cmp r12,[r14+16]`; and jumps where that is too little, `jbe`.
 */
const PROLOGUE = /^(493b6610|4c8d6424..4d3b6610|4c8da424.{8}4d3b6610)(?:76|0f86)/;
const PROLOGUE_BYTES = 14;
const CALL_BYTES = 5;

export const amd64: GoCode = {
  start: '_rt0_amd64_linux',
  entryOf: ({ code, offset }) => {
    const looks = PROLOGUE.exec(code.toString('hex', 0, PROLOGUE_BYTES))?.[1];
    return looks === undefined ? undefined : offset + looks.length / 2;
  },
  // `add rsp,N`, up to Go 1.20 without `pop rbp`, `ret`
  endsOf: ({ code, offset }) => {
    const ends: number[] = [];
    for (let at = code.indexOf(0x48); at >= 0; at = code.indexOf(0x48, at + 1)) {
      const immediate = code[at + 2] !== 0xc4 ? 0 : code[at + 1] === 0x83 ? 1 : code[at + 1] === 0x81 ? 4 : 0;
      const next = at + 3 + immediate;
      if (immediate > 0 && (code[next] === 0xc3 || (code[next] === 0x5d && code[next + 1] === 0xc3))) ends.push(offset + at);
    }
    return ends;
  },
  callsOf: ({ code, address, offset }, other) => {
    const found: number[] = [];
    for (let at = code.indexOf(0xe8); at >= 0 && at + CALL_BYTES <= code.length; at = code.indexOf(0xe8, at + 1)) {
      if (address + at + CALL_BYTES + code.readInt32LE(at + 1) === other.address) found.push(offset + at);
    }
    return found;
  },
  afterCall: (offset) => offset + CALL_BYTES,
};
