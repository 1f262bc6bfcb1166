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
  const words = new Uint32Array(last - first); // little-endian, as both architectures that koala-bpf knows
  for (let i = first; i < last; i++) words[i - first] = word(seed, i);
  return Buffer.from(words.buffer).subarray(from - first * 4, to - first * 4);
}

/** A range of a stream, in bytes. */
export interface Range {
  readonly from: number;
  readonly bytes: number;
}

/** Each is asked for by both ends' books and by the recording, and takes an emulated machine long. */
const known = new Map<string, string>();

/** SHA-256 of bytes [from, to) of the stream, without the holes. Holes are in stream order and don't overlap. */
export function streamHash(seed: number, from: number, to: number, holes: readonly Range[] = []): string {
  const name = JSON.stringify([seed, from, to, holes.map((hole) => [hole.from, hole.bytes])]);
  const found = known.get(name) ?? hashed(seed, from, to, holes);
  known.set(name, found);
  return found;
}

function hashed(seed: number, from: number, to: number, holes: readonly Range[]): string {
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
