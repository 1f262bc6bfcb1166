/** What one system call moved: when, whose it was, and its bytes as lines. */
import type { Chunk, Session } from '../sessions/session.ts';
import { hexdump, readableText, size, textLines } from './text.ts';

/** When in the session, and whose it was. */
export const whenText = (chunk: Chunk, session: Session): string => `+${((chunk.atUs - session.startedAtUs) / 1000).toFixed(3)} ms, ${whoseText(chunk)}`;
const whoseText = (chunk: Chunk): string => `tid ${chunk.tid}${'goroutine' in chunk && chunk.goroutine !== undefined ? `, goroutine ${chunk.goroutine}` : ''}`;

export function chunkLines(chunk: Chunk): string[] {
  if ('gap' in chunk) return [`[${size(chunk.gap)} missing: ${chunk.cause}]`];
  const text = readableText(chunk.bytes);
  if (text !== undefined) return textLines(text);
  return mixed(chunk.bytes);
}

/** A readable head (HTTP's) before a binary body is shown as text. */
function mixed(bytes: Uint8Array): string[] {
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('\r\n\r\n');
  const head = end < 0 ? undefined : readableText(bytes.subarray(0, end + 4));
  if (head === undefined) return hexdump(bytes);
  return [...textLines(head), ...hexdump(bytes.subarray(end + 4))];
}
