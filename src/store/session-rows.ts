/** The index file's layout: a head, blobs, then one row of fixed size for each session, by start. Little-endian. */
import { crc32 } from 'node:zlib';

/** Raised with every change of the layout: an older file is built anew. */
export const INDEX_VERSION = 3;
export const INDEX_NAME = 'index.sessions';
export const INDEX_MAGIC = Buffer.from('\x8eKOALAIX', 'latin1');
/** magic 8, version u32, row count u32, offset of the rows f64, offset f64 and length u32 of the JSON head. */
export const INDEX_HEAD_BYTES = 40;
export const ROW_BYTES = 104;

const ID_BYTES = 16;
/** A string is kept by offset and length in one 64-bit field: 48 bits and 16. */
const TWO_16 = 65_536;
const TWO_32 = 4294967296;

export const STATES = ['complete', 'incomplete', 'open'] as const;
const FLAG_TLS = 1;

/** Offset and length of a blob; a text is at most 65,535 bytes long. */
export interface BlobPlace {
  readonly offset: number;
  readonly length: number;
}

export interface Row {
  readonly id: string;
  /** Unix µs. */
  readonly startedAtUs: number;
  readonly durationMs: number;
  readonly tgid: number;
  readonly outbound: number;
  readonly ties: { readonly proven: number; readonly likely: number; readonly unknown: number };
  readonly state: (typeof STATES)[number];
  /** TLS was spoken meanwhile: what it carried is not in the session. */
  readonly tls: boolean;
  readonly command: BlobPlace;
  readonly summary: BlobPlace;
  /** Length 0: none. */
  readonly status: BlobPlace;
  readonly recipe: BlobPlace;
  /** Digests of the trace's id and of a request id; 0: none. */
  readonly trace: readonly [number, number];
}

function writePlace(out: Buffer, at: number, { offset, length }: BlobPlace): void {
  out.writeUInt32LE(offset % TWO_32, at);
  out.writeUInt16LE(Math.floor(offset / TWO_32), at + 4);
  out.writeUInt16LE(length, at + 6);
}

const readPlace = (from: Buffer, at: number): BlobPlace => ({
  offset: from.readUInt32LE(at) + from.readUInt16LE(at + 4) * TWO_32, length: from.readUInt16LE(at + 6),
});

export const MAX_TEXT_BYTES = TWO_16 - 1;

export function writeRow(out: Buffer, at: number, row: Row): void {
  out.fill(0, at, at + ROW_BYTES);
  out.write(row.id, at, ID_BYTES, 'latin1');
  out.writeDoubleLE(row.startedAtUs, at + 16);
  out.writeDoubleLE(row.durationMs, at + 24);
  out.writeUInt32LE(row.tgid, at + 32);
  out.writeUInt32LE(row.outbound, at + 36);
  out.writeUInt32LE(row.ties.proven, at + 40);
  out.writeUInt32LE(row.ties.likely, at + 44);
  out.writeUInt32LE(row.ties.unknown, at + 48);
  out.writeUInt8(STATES.indexOf(row.state), at + 52);
  out.writeUInt8(row.tls ? FLAG_TLS : 0, at + 53);
  writePlace(out, at + 56, row.command);
  writePlace(out, at + 64, row.summary);
  writePlace(out, at + 72, row.status);
  out.writeUInt32LE(row.recipe.offset % TWO_32, at + 80);
  out.writeUInt32LE(Math.floor(row.recipe.offset / TWO_32), at + 84);
  out.writeUInt32LE(row.recipe.length, at + 88);
  out.writeUInt32LE(row.trace[0], at + 92);
  out.writeUInt32LE(row.trace[1], at + 96);
}

/** What filters look at first, without making a row. */
export const rowStart = (from: Buffer, at: number): number => from.readDoubleLE(at + 16);
export const rowTgid = (from: Buffer, at: number): number => from.readUInt32LE(at + 32);
export const rowState = (from: Buffer, at: number): (typeof STATES)[number] => STATES[from.readUInt8(at + 52)] ?? 'incomplete';
export const rowSummary = (from: Buffer, at: number): BlobPlace => readPlace(from, at + 64);
export const rowStatus = (from: Buffer, at: number): BlobPlace => readPlace(from, at + 72);
export const rowMayHaveTrace = (from: Buffer, at: number, digest: number): boolean => from.readUInt32LE(at + 92) === digest || from.readUInt32LE(at + 96) === digest;
/** Of a trace's or a request's id; never 0. */
export const traceDigest = (id: string): number => crc32(id) || 1;
export const rowHasPrefix = (from: Buffer, at: number, prefix: string): boolean =>
  from.toString('latin1', at, at + prefix.length) === prefix;

export function readRow(from: Buffer, at: number): Row {
  return {
    id: from.toString('latin1', at, at + ID_BYTES).replace(/\0+$/, ''),
    startedAtUs: rowStart(from, at), durationMs: from.readDoubleLE(at + 24), tgid: rowTgid(from, at),
    outbound: from.readUInt32LE(at + 36),
    ties: { proven: from.readUInt32LE(at + 40), likely: from.readUInt32LE(at + 44), unknown: from.readUInt32LE(at + 48) },
    state: rowState(from, at), tls: (from.readUInt8(at + 53) & FLAG_TLS) !== 0,
    command: readPlace(from, at + 56), summary: readPlace(from, at + 64), status: readPlace(from, at + 72),
    recipe: { offset: from.readUInt32LE(at + 80) + from.readUInt32LE(at + 84) * TWO_32, length: from.readUInt32LE(at + 88) },
    trace: [from.readUInt32LE(at + 92), from.readUInt32LE(at + 96)],
  };
}

/** The order in which rows with these keys are sorted; stable, and quick where they nearly are already. */
export function sortedOrder(keys: Float64Array): Uint32Array {
  let from = Uint32Array.from(keys, (_, index) => index);
  let to = new Uint32Array(keys.length);
  const key = (index: number): number => keys[from[index] ?? 0] ?? 0;
  for (let width = 1; width < keys.length; width *= 2) {
    for (let start = 0; start < keys.length; start += 2 * width) {
      const middle = Math.min(start + width, keys.length);
      const end = Math.min(start + 2 * width, keys.length);
      if (middle === end || key(middle - 1) <= key(middle)) {
        to.set(from.subarray(start, end), start);
        continue;
      }
      for (let left = start, right = middle, at = start; at < end; at++) {
        const takeLeft = left < middle && (right >= end || key(left) <= key(right));
        to[at] = (takeLeft ? from[left++] : from[right++]) ?? 0;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
