/** Bytes against bytes: where they part, in context. And bytes as what a report can show. */
import type { Differences } from './difference.ts';

/** This much is shown before and after the first byte that differs. */
const contextBytes = 24;
/** Bytes up to this length are shown whole. */
const maxShownBytes = 64;

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text whose UTF-8 these bytes are, control characters (but tab and line ends) excluded; else undefined. */
export function asText(bytes: Uint8Array): string | undefined {
  try {
    const text = STRICT.decode(bytes);
    return /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Text where it is text, else `{base64}`: never ambiguous. */
export function shown(bytes: Uint8Array): string | { readonly base64: string } {
  return asText(bytes) ?? { base64: Buffer.from(bytes).toString('base64') };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}

/** One difference of kind `bytes`, or none. */
export function compareBytes(path: string, recorded: Uint8Array, live: Uint8Array, out: Differences): void {
  if (sameBytes(recorded, live)) return;
  if (recorded.length === 0) out.add({ path, live: extract(live, 0), kind: 'added' });
  else if (live.length === 0) out.add({ path, recorded: extract(recorded, 0), kind: 'removed' });
  else {
    const offset = firstDifference(recorded, live);
    out.add({ path, recorded: extract(recorded, offset), live: extract(live, offset), kind: 'bytes' });
  }
}

function extract(bytes: Uint8Array, offset: number): unknown {
  if (bytes.length <= maxShownBytes && offset === 0) return shown(bytes);
  return { offset, length: bytes.length, context: shown(bytes.subarray(Math.max(0, offset - contextBytes), offset + contextBytes)) };
}
