/** Host names as a process resolved them, from the DNS answers that it received. */
import { decode } from 'dns-packet';
import type { UdpEvent } from '../events/event.ts';

export type NameTable = Readonly<Record<string, readonly string[]>>;

const DNS_PORT = 53;
/** Per process. Past that the name resolved longest ago is forgotten. */
const maxNames = 1_000;
const maxAddresses = 64;
const NONE: NameTable = Object.freeze({});

export function isDns(event: UdpEvent): boolean {
  return event.remote.port === DNS_PORT || event.local.port === DNS_PORT;
}

export class Names {
  /** Never changed in place: sessions keep what was known at their time. */
  table: NameTable = NONE;

  /** An answer adds the addresses of the name that was asked for. Anything unreadable is ignored: it is not what was resolved. */
  event(event: UdpEvent): void {
    if (event.direction !== 'ingress' || event.remote.port !== DNS_PORT) return;
    const found = answerOf(event.bytes);
    if (found === undefined) return;
    const known = this.table[found.name] ?? [];
    const addresses = [...new Set([...known, ...found.addresses])].slice(-maxAddresses);
    if (addresses.length === known.length) return;
    const { [found.name]: _replaced, ...others } = this.table;
    const entries = Object.entries(others).slice(-(maxNames - 1));
    this.table = Object.freeze(Object.fromEntries([...entries, [found.name, addresses]]));
  }
}

function answerOf(bytes: Uint8Array): { name: string; addresses: string[] } | undefined {
  try {
    const packet = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const name = packet.questions?.[0]?.name.toLowerCase();
    if (packet.type !== 'response' || name === undefined || name === '') return undefined;
    const addresses = (packet.answers ?? []).flatMap((answer) => (answer.type === 'A' || answer.type === 'AAAA' ? [answer.data] : []));
    return addresses.length === 0 ? undefined : { name, addresses };
  } catch {
    return undefined;
  }
}
