/** Destinations as keys: the same address is always the same text. */
import { formatAddress, parseAddress } from '../bytes/address.ts';

/** Results are kept: there are few destinations, and each is asked for at every call. */
const MAX_KNOWN = 4_096;
const known = new Map<string, string>();

/** "IP:PORT" in canonical form; anything else (a unix socket) as it is. */
export function canonicalDestination(text: string): string {
  const before = known.get(text);
  if (before !== undefined) return before;
  const address = parseAddress(text);
  const canonical = address === undefined ? text : formatAddress(address);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(text, canonical);
  return canonical;
}
