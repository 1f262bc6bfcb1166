/** The letters of HTTP/1: constants and the small readers that framing, recognising and comparing share. */
import { equalsAt, latin1 } from './ascii.ts';

export const METHODS = new Set([
  'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'PROPFIND', 'PROPPATCH', 'MKCOL',
  'COPY', 'MOVE', 'LOCK', 'UNLOCK', 'SEARCH', 'REPORT', 'PURGE', 'QUERY', 'MKCALENDAR', 'LINK', 'UNLINK', 'BIND',
]);
export const maxMethodChars = 32;

export const CR = 13, LF = 10, SP = 32, HTAB = 9, COLON = 58;
export const HTTP_1 = latin1('HTTP/1.');

/** What a Content-Length says that is absent, no number, or two different numbers. */
export const NO_LENGTH = -1, BAD_LENGTH = -2, TWO_LENGTHS = -3;

export const trimCr = (bytes: Uint8Array, from: number, to: number): number => (to > from && bytes[to - 1] === CR ? to - 1 : to);
export const isBlank = (byte: number): boolean => byte === SP || byte === HTAB;
/** RFC 9110 §5.6.2 tchar, by byte. */
const TOKEN = Uint8Array.from({ length: 256 }, (_, byte) => (/[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(byte)) ? 1 : 0));
export const isToken = (byte: number): boolean => TOKEN[byte] === 1;

/** Whether a Transfer-Encoding's last coding is `chunked` (RFC 9112 §6.1). */
export function isChunked(transfer: string): boolean {
  const last = transfer.slice(transfer.lastIndexOf(',') + 1);
  const semicolon = last.indexOf(';');
  return (semicolon < 0 ? last : last.slice(0, semicolon)).trim() === 'chunked';
}

/** Offset of the value if `bytes[from, to)` is the field `name` (lower case), else -1. Blanks before the colon are tolerated. */
export function valueOf(bytes: Uint8Array, from: number, to: number, name: Uint8Array): number {
  const { length } = name;
  if (to - from <= length) return -1;
  for (let i = 0; i < length; i++) if ((bytes[from + i]! | 0x20) !== name[i]) return -1;
  let at = from + length;
  while (at < to && isBlank(bytes[at]!)) at++;
  return bytes[at] === COLON && at < to ? at + 1 : -1;
}

/** The decimal number `bytes[from, to)`, -2 when it is empty, no number or beyond what a number holds. */
export function digits(bytes: Uint8Array, from: number, to: number): number {
  if (to <= from) return BAD_LENGTH;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) return BAD_LENGTH;
    value = value * 10 + digit;
  }
  return value > Number.MAX_SAFE_INTEGER ? BAD_LENGTH : value;
}

/** The value of a hexadecimal digit, -1 for anything else. */
export function hex(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}


const PREFACE = latin1('PRI * HTTP/2.0');
export const isPreface = (bytes: Uint8Array, from: number, to: number): boolean => to - from === PREFACE.length && equalsAt(bytes, from, PREFACE);
