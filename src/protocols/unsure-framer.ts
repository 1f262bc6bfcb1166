import type { Framer } from './protocol.ts';

/** The framer of a protocol that is not framed: unsure from its first byte, so the turn of direction cuts. */
export const unsureFramer = (reason: string): Framer => ({ push() {}, gap() {}, end() {}, sure: false, unsureBecause: reason });
