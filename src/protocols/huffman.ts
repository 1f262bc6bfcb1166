/** The Huffman code of HPACK (RFC 7541 §5.2, appendix B), undone. */
import { CODE_LENGTHS, EOS_BITS } from './hpack-tables.ts';

/** A tree in two arrays: what follows node n on a 0 (a 1); below zero: octet −1 − value. 0: nothing, the root is nobody's child. */
const ZERO = new Int16Array(512);
const ONE = new Int16Array(512);
const EOS = -1 - 256;

function grow(): void {
  const codes = [...CODE_LENGTHS.map((bits, octet) => ({ bits, leaf: -1 - octet })), { bits: EOS_BITS, leaf: EOS }];
  codes.sort((a, b) => a.bits - b.bits || b.leaf - a.leaf);
  let next = 1;
  let code = 0;
  let length = 0;
  for (const { bits, leaf } of codes) {
    code *= 2 ** (bits - length);
    length = bits;
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit -= 1) {
      const side = (code >>> bit) & 1 ? ONE : ZERO;
      node = side[node] ||= next++;
    }
    (code & 1 ? ONE : ZERO)[node] = leaf;
    code += 1;
  }
}
grow();

/** Each octet as the character of that code (Latin-1). Undefined: no string of this code, or longer than `maxChars`. */
export function unHuffman(bytes: Uint8Array, from: number, to: number, maxChars: number): string | undefined {
  const codes: number[] = [];
  let node = 0;
  let bits = 0;
  let ones = true;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at] as number;
    for (let bit = 7; bit >= 0; bit -= 1) {
      const one = (byte >>> bit) & 1;
      const follows = (one === 1 ? ONE : ZERO)[node] as number;
      bits += 1;
      ones &&= one === 1;
      if (follows === EOS) return undefined;
      if (follows >= 0) {
        node = follows;
        continue;
      }
      if (codes.push(-1 - follows) > maxChars) return undefined;
      node = bits = 0;
      ones = true;
    }
  }
  // What is left over is the beginning of EOS, shorter than an octet.
  if (bits > 7 || !ones) return undefined;
  return text(codes);
}

function text(codes: readonly number[]): string {
  if (codes.length < 4096) return String.fromCharCode(...codes);
  return Buffer.from(codes).toString('latin1');
}
