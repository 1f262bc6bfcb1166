/** Bytes that are mostly ASCII: constants, comparing and short strings, without decoding what need not be decoded. */

/** The characters of `text` (each below 256) as bytes. */
export const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** Whether `wanted` stands in `bytes` at `from`. */
export function equalsAt(bytes: Uint8Array, from: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[from + i] !== wanted[i]) return false;
  return true;
}

export const startsWith = (bytes: Uint8Array, wanted: Uint8Array): boolean => equalsAt(bytes, 0, wanted);

/** `bytes[from, to)` as a string, ASCII letters in lower case; other bytes as Latin-1. */
export function asciiLower(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    text += String.fromCharCode(byte >= 65 && byte <= 90 ? byte | 0x20 : byte);
  }
  return text;
}

/** `bytes[from, to)` as Latin-1. */
export function latin1Text(bytes: Uint8Array, from = 0, to = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1', from, to);
}
