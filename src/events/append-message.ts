/**
 * What is appended, from ring memory into an Event of recording.proto: services log each request, and protobufjs would take several
 * times as long as all else that the recorder does for one. Field numbers and wire types are recording.proto's; a test decodes it.
 */
import { varintSize, writeVarint } from '../bytes/varint.ts';
import type { AppendedFile } from './appended-files.ts';
import {
  OFFSET_SAMPLE_CAPTURED, OFFSET_SAMPLE_CAUSE, OFFSET_SAMPLE_CONTEXT, OFFSET_SAMPLE_FLAGS, OFFSET_SAMPLE_LENGTH, OFFSET_SAMPLE_POSITION, OFFSET_SAMPLE_TGID, OFFSET_SAMPLE_TID, PATH_END,
  SAMPLE_MORE, SIZE_SAMPLE,
} from './layout.ts';
import { readU64 } from './sample.ts';

/** Of `bpf/append.h`, APPEND_MAX, rounded up to the sample that carries it; a path; the fields' heads. */
const out = Buffer.alloc((64 << 10) + 3 * PATH_END + 128);

/** The message of the sample at `from`, without its time and its length. Borrowed: the next call spoils it. */
export function appendMessage(ring: Uint8Array, view: DataView, from: number, { path, inode }: AppendedFile): Uint8Array {
  const context = readU64(view, from + OFFSET_SAMPLE_CONTEXT);
  const position = readU64(view, from + OFFSET_SAMPLE_POSITION);
  const length = readU64(view, from + OFFSET_SAMPLE_LENGTH);
  const cause = view.getUint8(from + OFFSET_SAMPLE_CAUSE);
  const more = (view.getUint8(from + OFFSET_SAMPLE_FLAGS) & SAMPLE_MORE) !== 0;
  const captured = view.getUint32(from + OFFSET_SAMPLE_CAPTURED, true);
  const pathBytes = Buffer.byteLength(path);
  const inner = 1 + varintSize(pathBytes) + pathBytes + 3 + varintSize(inode) + varintSize(position) + varintSize(length)
    + (cause === 0 ? 0 : 1 + varintSize(cause)) + (more ? 2 : 0) + 1 + varintSize(captured) + captured;
  let at = field(0, 0x10, view.getUint32(from + OFFSET_SAMPLE_TGID, true)); // Event.tgid
  at = field(at, 0x18, view.getUint32(from + OFFSET_SAMPLE_TID, true)); // Event.tid
  if (context !== 0) at = field(at, 0x20, context); // Event.context
  out[at] = 0xb2; // Event.append, field 22
  at = field(at + 1, 0x01, inner);
  at = field(at, 0x0a, pathBytes); // Append.path
  at += out.write(path, at, 'utf8');
  at = field(at, 0x10, inode);
  at = field(at, 0x18, position);
  at = field(at, 0x20, length);
  if (cause !== 0) at = field(at, 0x28, cause);
  if (more) at = field(at, 0x38, 1);
  at = field(at, 0x7a, captured); // Append.bytes
  out.set(ring.subarray(from + SIZE_SAMPLE, from + SIZE_SAMPLE + captured), at);
  return out.subarray(0, at + captured);
}

/** A tag of one byte and a number. */
function field(at: number, tag: number, value: number): number {
  out[at] = tag;
  return writeVarint(out, at + 1, value);
}
