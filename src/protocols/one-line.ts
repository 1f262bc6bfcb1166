/** Text for people out of bytes for machines: one line, nothing that moves a cursor, bounded. */

/** The most characters a summary has. */
export const maxSummaryChars = 200;

const CONTROL = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]+/gu;

/** `text` as one line of at most `maxSummaryChars` characters: runs of white space and control characters become a space. */
export function oneLine(text: string): string {
  const line = text.slice(0, maxSummaryChars * 8).replace(CONTROL, ' ').replace(/\s+/g, ' ').trim();
  if (line.length <= maxSummaryChars) return line;
  const cut = line.slice(0, maxSummaryChars - 1);
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** The bytes as text where they are UTF-8, with replacement characters where they are not. Reads at most `maxBytes`. */
export function looseText(bytes: Uint8Array, maxBytes = 4096): string {
  return LOOSE.decode(bytes.length > maxBytes ? bytes.subarray(0, maxBytes) : bytes);
}

const LOOSE = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
