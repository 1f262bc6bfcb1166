/**
 * How a segment file is laid out (docs/recording.md): a prelude, then blocks, each a header and a payload. All numbers
 * little-endian. The checksums are zlib's CRC-32.
 */
import { crc32 } from 'node:zlib';

/** Raised when an old reader would misread what a new writer writes. */
export const FORMAT_VERSION = 1;

export const PRELUDE_BYTES = 40;
export const BLOCK_HEADER_BYTES = 40;

const PRELUDE_MAGIC = Buffer.from('\x89KOALA\r\n', 'latin1');
/** Every block header begins with it; looked for when a damaged stretch is to be left behind. */
export const BLOCK_MAGIC = Buffer.from('\x8bKBLOCK\n', 'latin1');

/** The payload is one SegmentHeader. */
export const BLOCK_HAS_HEADER = 1;
/** All events of the block repeat what an earlier segment said. */
export const BLOCK_IS_SNAPSHOT = 2;

/** A block is closed when its payload has reached this. */
export const BLOCK_TARGET_BYTES = 256 * 1024;
/** No payload is longer: a bigger length in a file is damage. */
export const MAX_BLOCK_BYTES = 4 * 1024 * 1024;
/** No block has more events: an event takes at least this format's smallest message. */
export const MAX_BLOCK_EVENTS = MAX_BLOCK_BYTES / 2;
/** Highest number a segment's file name can say. */
export const MAX_SEQUENCE = 99_999_999;

const SEGMENT_NAME = /^(\d{8})\.koala$/;

export const segmentName = (sequence: number): string => `${String(sequence).padStart(8, '0')}.koala`;

/** The sequence number that a segment's file name says; undefined for other names. */
export function segmentSequence(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export interface Prelude {
  readonly version: number;
  /** Random, one for each segment, repeated in its block headers: bytes recorded from another recording's file don't pass for blocks. */
  readonly salt: number;
  readonly sequence: number;
  /** 16 bytes. */
  readonly recordingId: Uint8Array;
}

export function writePrelude(prelude: Prelude): Buffer {
  const bytes = Buffer.alloc(PRELUDE_BYTES);
  PRELUDE_MAGIC.copy(bytes);
  bytes.writeUInt32LE(prelude.version, 8);
  bytes.writeUInt32LE(prelude.salt, 12);
  bytes.writeUInt32LE(prelude.sequence, 16);
  bytes.set(prelude.recordingId, 20);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 36)), 36);
  return bytes;
}

/** `foreign`: no prelude of ours at all; `damaged`: ours once, with bits flipped or cut short. */
export function readPrelude(bytes: Buffer): Prelude | 'foreign' | 'damaged' {
  const whole = bytes.length >= PRELUDE_BYTES;
  if (whole && bytes.readUInt32LE(36) === crc32(bytes.subarray(0, 36)) && bytes.subarray(0, 8).equals(PRELUDE_MAGIC)) {
    return {
      version: bytes.readUInt32LE(8), salt: bytes.readUInt32LE(12), sequence: bytes.readUInt32LE(16),
      recordingId: Uint8Array.prototype.slice.call(bytes, 20, 36),
    };
  }
  const seen = bytes.subarray(0, Math.min(8, bytes.length));
  const alike = seen.filter((byte, index) => byte === PRELUDE_MAGIC[index]).length;
  return whole && alike < 4 && bytes.indexOf(BLOCK_MAGIC) !== PRELUDE_BYTES ? 'foreign' : 'damaged';
}

export interface BlockHeader {
  readonly length: number;
  readonly events: number;
  readonly payloadCrc: number;
  readonly flags: number;
  /** Unix nanoseconds that the events' times count from. */
  readonly baseUnixNs: bigint;
  readonly salt: number;
}

export function writeBlockHeader(out: Buffer, header: BlockHeader): void {
  BLOCK_MAGIC.copy(out);
  out.writeUInt32LE(header.length, 8);
  out.writeUInt32LE(header.events, 12);
  out.writeUInt32LE(header.payloadCrc, 16);
  out.writeUInt32LE(header.flags, 20);
  out.writeBigUInt64LE(header.baseUnixNs, 24);
  out.writeUInt32LE(header.salt, 32);
  out.writeUInt32LE(crc32(out.subarray(0, 36)), 36);
}

/** The header at `at`, or undefined when what stands there is none (wrong magic or checksum, a length over the cap, or cut short). */
export function readBlockHeader(bytes: Buffer, at: number): BlockHeader | undefined {
  if (bytes.length - at < BLOCK_HEADER_BYTES) return undefined;
  if (bytes.compare(BLOCK_MAGIC, 0, 8, at, at + 8) !== 0) return undefined;
  if (bytes.readUInt32LE(at + 36) !== crc32(bytes.subarray(at, at + 36))) return undefined;
  const header = {
    length: bytes.readUInt32LE(at + 8), events: bytes.readUInt32LE(at + 12), payloadCrc: bytes.readUInt32LE(at + 16),
    flags: bytes.readUInt32LE(at + 20), baseUnixNs: bytes.readBigUInt64LE(at + 24), salt: bytes.readUInt32LE(at + 32),
  };
  return header.length > MAX_BLOCK_BYTES || header.events > MAX_BLOCK_EVENTS ? undefined : header;
}
