/** HTTP/2 in the clear, by its preface (RFC 9113 §3.4). Recognised, so that it can be said; not framed. */
import { latin1 } from './ascii.ts';
import type { Protocol, Recognition } from './protocol.ts';
import { unsureFramer } from './unsure-framer.ts';

const PREFACE = latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const http2: Protocol = {
  name: 'http2',
  recognise(client, server): Recognition {
    if (client.length === 0 && server.length > 0) return 'no'; // the preface comes first
    const known = Math.min(client.length, PREFACE.length);
    for (let i = 0; i < known; i++) if (client[i] !== PREFACE[i]) return 'no';
    return known === PREFACE.length ? 'yes' : 'more';
  },
  framer: () => unsureFramer('HTTP/2 is not framed'),
  summarise: () => ({ text: 'HTTP/2' }),
};
