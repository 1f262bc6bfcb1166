/** The one door to protocols: which there are, and which one a connection speaks. */
import { fastcgi } from './fastcgi.ts';
import { http } from './http.ts';
import { http2 } from './http2.ts';
import type { Protocol } from './protocol.ts';
import { mysql } from './mysql.ts';
import { postgresql } from './postgresql.ts';
import { redis } from './redis.ts';
import { tls } from './tls.ts';
import { unknown } from './unknown.ts';

export type { Frame, Framer, Protocol, Recognition, Side, Summary } from './protocol.ts';
export { unknown };

/** Every protocol that can be recognised, strictest signature first. */
export const PROTOCOLS: readonly Protocol[] = [tls, http2, http, fastcgi, postgresql, mysql, redis];

/** With this many bytes of a side seen and nobody certain, nobody will be. */
export const maxRecogniseBytes = 16 << 10;

/**
 * Which protocol a connection speaks, by the first bytes of both sides (as many as are there; either may be empty).
 * `more`: not decidable yet, ask again with more. `undefined`: none that is known; use `unknown`.
 */
export function recognise(client: Uint8Array, server: Uint8Array, hint: { readonly serverPort: number }): Protocol | 'more' | undefined {
  let undecided = false;
  for (const protocol of PROTOCOLS) {
    const answer = protocol.recognise(client, server, hint);
    if (answer === 'yes') return protocol;
    if (answer === 'more') undecided = true;
  }
  return undecided && client.length < maxRecogniseBytes && server.length < maxRecogniseBytes ? 'more' : undefined;
}

/** The protocol of that name; `unknown` for a name that is not ours (a recording of a newer version). */
export function protocolNamed(name: string): Protocol {
  return PROTOCOLS.find((protocol) => protocol.name === name) ?? unknown;
}
