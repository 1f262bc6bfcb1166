/** TLS: recognised by its ClientHello (RFC 8446 §4.1.2, §5.1) and named by the server it asks for (RFC 6066 §3). Opaque. */
import { latin1Text } from './ascii.ts';
import { oneLine } from './one-line.ts';
import type { Protocol, Recognition } from './protocol.ts';
import { TlsTurns } from './tls-turns.ts';
import { unsureFramer } from './unsure-framer.ts';

const HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_NAME = 0, HOST_NAME = 0;
/** A ClientHello with post-quantum shares is 2 KiB; resumption tickets can add as much again. */
const maxHelloBytes = 64 << 10;

function recognise(client: Uint8Array, server: Uint8Array): Recognition {
  if (client.length === 0) return server.length === 0 ? 'more' : 'no'; // TLS servers never speak first
  const wanted = [HANDSHAKE, 3];
  for (const [at, byte] of wanted.entries()) {
    if (at >= client.length) return 'more';
    if (client[at] !== byte) return 'no';
  }
  if (client.length < 6) return 'more';
  const length = client[3]! << 8 | client[4]!;
  return client[2]! <= 4 && length >= 4 && length <= (1 << 14) + 256 && client[5] === CLIENT_HELLO ? 'yes' : 'no';
}

/** The handshake bytes of the leading records, record headers taken out. */
function handshake(client: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at + 5 <= client.length && at < maxHelloBytes && client[at] === HANDSHAKE) {
    const length = client[at + 3]! << 8 | client[at + 4]!;
    parts.push(client.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return Buffer.concat(parts);
}

/** The server name in a ClientHello, also when its end was not recorded; undefined: none there, or not readable. */
function serverName(client: Uint8Array): string | undefined {
  const hello = handshake(client);
  const byte = (at: number): number => hello[at] ?? NaN;
  const word = (at: number): number => byte(at) << 8 | byte(at + 1);
  if (byte(0) !== CLIENT_HELLO) return undefined;
  let at = 4 + 2 + 32; // message head, version, random
  at += 1 + byte(at); // session id
  at += 2 + word(at); // cipher suites
  at += 1 + byte(at); // compression
  const end = Math.min(hello.length, at + 2 + word(at));
  at += 2;
  while (at + 4 <= end) {
    const type = word(at);
    const length = word(at + 2);
    if (type === SERVER_NAME) {
      const nameLength = word(at + 7);
      const name = at + 9;
      if (byte(at + 6) !== HOST_NAME || nameLength === 0 || name + nameLength > Math.min(hello.length, at + 4 + length)) return undefined;
      return oneLine(latin1Text(hello, name, name + nameLength));
    }
    at += 4 + length;
  }
  return undefined;
}

export const tls: Protocol = {
  name: 'tls',
  recognise,
  framer: () => unsureFramer('TLS is opaque'),
  turns: () => new TlsTurns(),
  summarise(request) {
    const name = serverName(request);
    return { text: name === undefined ? 'TLS' : `TLS to ${name}` };
  },
  serverName,
};
