/** Recorded text and bytes made fit for a terminal, and quantities for people. Nothing recorded reaches a terminal raw. */

// C0 and C1 controls, DEL, and the characters that reorder or hide text (Unicode: bidi controls, zero width, BOM, line separators).
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  return SHORT[character] ?? (code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`);
}

/** One line: control characters and what could deceive the eye are shown as escapes. */
export const oneLine = (text: string): string => text.replace(UNSAFE, escapeCharacter);

/** Lines of text, each safe; tabs become spaces. A final line break makes no empty last line. */
export function textLines(text: string): string[] {
  const lines = text.replaceAll('\t', '    ').split(/\r?\n/).map(oneLine);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text that these bytes are, or undefined when they are not valid UTF-8 or mostly unprintable. */
export function readableText(bytes: Uint8Array): string | undefined {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
  const controls = text.match(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g)?.length ?? 0;
  return controls * 20 > text.length ? undefined : text;
}

/** `offset  16 bytes in hex  ascii`, a line per 16 bytes. */
export function hexdump(bytes: Uint8Array, from = 0): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0'));
    const left = hex.slice(0, 8).join(' ').padEnd(23);
    const right = hex.slice(8).join(' ').padEnd(23);
    const ascii = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${(from + at).toString(16).padStart(8, '0')}  ${left}  ${right}  ${ascii}`);
  }
  return lines;
}

/** `0.4 ms`, `12 ms`, `3.2 s`, `4m 10s`, `2h 5m`. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes}m ${Math.floor((ms % 60_000) / 1000)}s`;
  return `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

/** `17 B`, `3.4 KiB`, `12 MiB`. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `1 session`, `12 sessions`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Local time of Unix µs: `2026-11-23 14:12:12.123`. */
export function localTime(atUs: number): string {
  const date = new Date(atUs / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** Cuts to `width` characters with an ellipsis. */
export const clip = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`);
