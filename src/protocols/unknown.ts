/** Bytes that no protocol claims: they record and replay all the same, cut by the turn of direction. */
import { looseText, oneLine } from './one-line.ts';
import type { Protocol } from './protocol.ts';
import { unsureFramer } from './unsure-framer.ts';

const maxShownBytes = 24;

function name(bytes: Uint8Array): string {
  const head = bytes.subarray(0, 400);
  const text = looseText(head);
  const odd = head.reduce((count, byte) => count + ((byte < 32 && byte !== 9 && byte !== 10 && byte !== 13) || byte === 127 ? 1 : 0), 0);
  if (odd === 0 && !text.slice(0, -3).includes('\ufffd')) return oneLine(text.trim().split(/\r?\n/, 1)[0]!);
  const hex = Buffer.from(bytes.subarray(0, maxShownBytes)).toString('hex').replace(/(..)(?=.)/g, '$1 ');
  return bytes.length > maxShownBytes ? `${hex} …` : hex;
}

export const unknown: Protocol = {
  name: 'unknown',
  recognise: () => 'no',
  framer: () => unsureFramer('unknown protocol'),
  /** Its first line where it is text, else its first bytes in hexadecimal, and how long it is. */
  summarise(request) {
    if (request.length === 0) return { text: '(nothing)' };
    const size = `${request.length} ${request.length === 1 ? 'byte' : 'bytes'}`;
    const text = name(request);
    return { text: text === '' ? size : oneLine(`${text.length > 160 ? `${text.slice(0, 160)}…` : text} (${size})`) };
  },
};
