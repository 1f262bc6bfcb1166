/** IP addresses as text and as bytes, and the `IP:PORT` / `[v6]:PORT` text of recordings. */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

export interface Address {
  /** Canonical text: `10.0.0.1`, `::1`; a v4-mapped IPv6 address is written as the IPv4 address it means. */
  readonly host: string;
  readonly port: number;
}

/** The canonical text of an IP address, or undefined when it is none. */
export function canonicalHost(host: string): string | undefined {
  if (isIPv4(host)) return host;
  if (!isIPv6(host)) return undefined;
  const text = new SocketAddress({ address: host, family: 'ipv6' }).address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  return mapped?.[1] ?? text;
}

/** Reads `IP:PORT` or `[v6]:PORT`; undefined for anything else (a name, a unix socket, a port out of range). */
export function parseAddress(text: string): Address | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (parts === null) return undefined;
  const host = canonicalHost(parts[1] ?? parts[2] ?? '');
  const port = Number(parts[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The 4 or 16 bytes of a canonical address, in network order. */
export function addressBytes(host: string): Uint8Array {
  if (isIPv4(host)) return Uint8Array.from(host.split('.'), Number);
  const [head = '', tail] = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...octets: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = octets.map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }).split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const bytes = new Uint8Array(16);
  left.forEach((group, at) => bytes.set([group >> 8, group & 255], at * 2));
  right.forEach((group, at) => bytes.set([group >> 8, group & 255], 16 - (right.length - at) * 2));
  return bytes;
}

/** The text of 4 or 16 bytes in network order. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const groups = Array.from({ length: 8 }, (_, at) => view.getUint16(at * 2).toString(16));
  return canonicalHost(groups.join(':')) ?? groups.join(':');
}
