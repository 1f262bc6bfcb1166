/** How alike two requests are, cheaply: which recorded call a live one is nearest to. */
import { sameBytes } from './bytes.ts';

/** This much of each is looked at, and what stands at the beginning (a request line, a statement) counts for more. */
const maxBytes = 16 << 10;
const openingBytes = 256;
const openingWeight = 4;
const slots = 4096;
const shingle = 4;

/**
 * 0..1, 1 only for equal bytes: what the runs of four bytes of the two have in common (Sørensen–Dice, weighted). The same for the
 * same two, in either order. Linear in the lengths, at most 16 KiB of each.
 */
export function similarity(a: Uint8Array, b: Uint8Array): number {
  if (sameBytes(a, b)) return 1;
  if (a.length === 0 || b.length === 0) return 0;
  const one = profile(a);
  const two = profile(b);
  let common = 0;
  let all = 0;
  for (let at = 0; at < slots; at++) {
    common += Math.min(one[at]!, two[at]!);
    all += one[at]! + two[at]!;
  }
  return Math.min(0.999, all === 0 ? 0 : (2 * common) / all);
}

function profile(bytes: Uint8Array): Uint32Array {
  const counts = new Uint32Array(slots);
  const end = Math.min(bytes.length, maxBytes);
  const opening = Math.min(openingBytes, lineEnd(bytes));
  for (let at = 0; at < Math.max(1, end - shingle + 1); at++) {
    const word = (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8 | (bytes[at + 2] ?? 0) << 16 | (bytes[at + 3] ?? 0) << 24;
    counts[Math.imul(word, 0x9e3779b1) >>> 20]! += at < opening ? openingWeight : 1;
  }
  return counts;
}

function lineEnd(bytes: Uint8Array): number {
  const end = bytes.indexOf(13);
  return end < 0 || end > openingBytes || bytes[0] === 0x2a ? openingBytes : end;
}
