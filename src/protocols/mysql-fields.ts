/** What stands in MySQL's packets: numbers, the byte by which an answer begins, and what its flags say (MySQL Internals, "Protocol Basics"). */

/** Commands, by their first byte. */
export const COM = {
  quit: 1, initDb: 2, query: 3, fieldList: 4, statistics: 9, processInfo: 10, changeUser: 17, binlogDump: 18, tableDump: 19,
  prepare: 22, execute: 23, longData: 24, closeStatement: 25, fetch: 28, binlogDumpGtid: 30, resetConnection: 31, bulkExecute: 250,
} as const;
/** A packet of this length goes on in the next one. */
export const FULL = 0xffffff;

/** First bytes of answers. */
export const OK = 0x00, ERR = 0xff, EOF = 0xfe, INFILE = 0xfb;
/** MariaDB's progress report looks like an error with this number. */
const PROGRESS = 0xffff;

/** The status flags of an OK packet (0x00, or 0xfe at the end of a result set) or of an EOF packet. */
export function statusOf(bytes: Uint8Array, body: number, to: number): number {
  if (bytes[body] === EOF && to - body === 5) return int16(bytes, body + 3);
  const affected = lenenc(bytes, body + 1);
  if (affected === undefined) return 0;
  const inserted = lenenc(bytes, body + 1 + affected.size);
  if (inserted === undefined) return 0;
  const status = body + 1 + affected.size + inserted.size;
  return status + 2 <= to ? int16(bytes, status) : 0;
}

export const isProgress = (bytes: Uint8Array, body: number): boolean => int16(bytes, body + 1) === PROGRESS;
export const int16 = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8;
export const int24 = (bytes: Uint8Array, at: number): number => int16(bytes, at) | (bytes[at + 2] ?? 0) << 16;
export const int32 = (bytes: Uint8Array, at: number): number => int24(bytes, at) | (bytes[at + 3] ?? 0) << 24;

/** A length-encoded integer and how many bytes it takes. */
export function lenenc(bytes: Uint8Array, at: number): { value: number; size: number } | undefined {
  const first = bytes[at];
  if (first === undefined || first === INFILE || first === ERR) return undefined;
  if (first < INFILE) return { value: first, size: 1 };
  if (first === 0xfc) return { value: int16(bytes, at + 1), size: 3 };
  if (first === 0xfd) return { value: int24(bytes, at + 1), size: 4 };
  return { value: (int32(bytes, at + 1) >>> 0) + (int32(bytes, at + 5) >>> 0) * 2 ** 32, size: 9 };
}
