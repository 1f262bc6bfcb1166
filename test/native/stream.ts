/**
 * The bytes that mover moves, made again: a function of seed and position alone (the twin of programs/mover/stream.c).
 */
import { createHash } from 'node:crypto';

function word(seed: number, number: number): number {
  let x = number ^ Math.imul(seed, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Bytes [from, to) of the stream of `seed`. */
export function streamBytes(seed: number, from: number, to: number): Buffer {
  const first = Math.floor(from / 4);
  const last = Math.ceil(to / 4);
  const words = Buffer.alloc((last - first) * 4);
  for (let i = first; i < last; i++) words.writeUInt32LE(word(seed, i), (i - first) * 4);
  return words.subarray(from - first * 4, to - first * 4);
}

/** A range of a stream, in bytes. */
export interface Range {
  readonly from: number;
  readonly bytes: number;
}

/** SHA-256 of bytes [from, to) of the stream, without the holes. Holes are in stream order and don't overlap. */
export function streamHash(seed: number, from: number, to: number, holes: readonly Range[] = []): string {
  const hash = createHash('sha256');
  const step = 1 << 20;
  let at = from;
  const add = (until: number): void => {
    for (; at < until; at = Math.min(until, at + step)) hash.update(streamBytes(seed, at, Math.min(until, at + step)));
  };
  for (const hole of holes) {
    add(hole.from);
    at = Math.max(at, hole.from + hole.bytes);
  }
  add(to);
  return hash.digest('hex');
}
