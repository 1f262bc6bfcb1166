/** Endpoints as the contract writes them: `IP:PORT`, `[v6]:PORT`, `unix:/path`. */
import { formatAddress } from '../bytes/address.ts';
import type { Endpoint } from '../events/event.ts';

export function endpointText(endpoint: Endpoint): string {
  return endpoint.host.startsWith('unix:') ? endpoint.host : formatAddress(endpoint);
}
