/** HTTP's "100 Continue" (RFC 9110, section 10.1.1). Pure. */

export const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

function headText(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 64 << 10)).toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? undefined : text.slice(0, end + 4);
}

/** A client that waits for `CONTINUE` before it sends its body. */
export function expectsContinue(bytes: Uint8Array): boolean {
  return /\r\nexpect:[ \t]*100-continue/i.test(headText(bytes) ?? '');
}

/** A recorded answer less the "100 Continue" that it begins with. */
export function withoutContinue(bytes: Uint8Array): Uint8Array {
  const head = headText(bytes);
  return head !== undefined && /^HTTP\/1\.[01] 100 /.test(head) ? bytes.subarray(head.length) : bytes;
}
