/** Destinations as keys: the same address is always the same text. */
import { formatAddress, parseAddress } from '../bytes/address.ts';

/** "IP:PORT" in canonical form; anything else (a unix socket) as it is. */
export function canonicalDestination(text: string): string {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress(address);
}
