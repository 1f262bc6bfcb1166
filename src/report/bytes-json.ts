/** Recorded bytes in JSON: `text` where they are valid UTF-8, else `base64`; never ambiguous, never lossy. */
import { isUtf8 } from 'node:buffer';

export function bytesJson(recorded: Uint8Array): { text: string } | { base64: string } {
  const bytes = Buffer.from(recorded.buffer, recorded.byteOffset, recorded.length);
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') };
}
