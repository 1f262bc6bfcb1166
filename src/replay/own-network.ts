/**
 * What a command that plays its own client says to itself: whatever it calls on this host's own addresses, and was not recorded as a
 * dependency there, goes to its own listeners without us, and is refused by the kernel where none listens. So a client that waits
 * until the service is up does. The kernel's hash tables (xt_hashlimit) note which ports were asked and refused.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { parseAddress, type Address } from '../bytes/address.ts';
import type { Bypassed } from './bypass.ts';
import type { Moved } from './moved.ts';

export type Family = 'v4' | 'v6';

export interface Played {
  /** Every recorded destination. */
  readonly destinations: readonly string[];
  readonly bypassed: Bypassed;
  readonly moved: Moved;
}

const LOOPBACK = { v4: '127.0.0.0/8', v6: '::1/128' } as const;
/** Ports that are noted. */
const MAX_NOTED = 65_536;
const WEEK_MS = 7 * 86_400_000;
const ASKED = 'koala-asked';
const REFUSED = 'koala-refused';

const isOf = (family: Family, host: string): boolean => host.includes(':') === (family === 'v6');

/** Addresses of this host but loopback's. */
export const hostAddresses = (): string[] => Object.values(networkInterfaces()).flatMap((some) => (some ?? []).filter(({ internal }) => !internal).map(({ address }) => address.replace(/%.*/, '')));

/** Lines of nat's OUTPUT chain, before the one that redirects everything: what is played on own addresses goes to `port`, the rest its way. */
export function ownRules(family: Family, { destinations, bypassed, moved }: Played, own: readonly string[], port: number): string[] {
  const addresses = destinations.flatMap((destination) => parseAddress(destination) ?? []);
  const places: Partial<Address>[] = [
    ...addresses, ...bypassed.addresses, ...moved.map(({ live }) => live),
    ...bypassed.names.flatMap(({ addresses: some, port: theirs }) => some.map((host) => ({ host, ...(theirs === undefined ? {} : { port: theirs }) }))),
  ];
  const played = places.filter(({ host }) => host === undefined || (isIP(host) !== 0 && isOf(family, host)))
    .map(({ host, port: theirs }) => `-A OUTPUT -p tcp${host === undefined ? '' : ` -d ${host}`}${theirs === undefined ? '' : ` --dport ${theirs}`} -j REDIRECT --to-ports ${port}`);
  const direct = [LOOPBACK[family], ...own.filter((host) => isOf(family, host))].map((range) => `-A OUTPUT -p tcp -d ${range} -j RETURN`);
  return [...new Set(played), ...direct];
}

/** Lines of filter's OUTPUT chain that have the kernel note who was asked, and who refused. */
export const notingRules = (): string[] => [
  ['--syn', 'dstport', ASKED], ['--tcp-flags RST,ACK RST,ACK', 'srcport', REFUSED],
].map(([which, mode, name]) => `-A OUTPUT -o lo -p tcp ${which} -m hashlimit --hashlimit-upto 10000/sec --hashlimit-mode ${mode} --hashlimit-name ${name} --hashlimit-htable-max ${MAX_NOTED} --hashlimit-htable-expire ${WEEK_MS}`);

/** Ports of own addresses at which somebody asked and was refused, at one time or another; `pid`: a process in that network. */
export function refusedPorts(pid: number): number[] {
  const [asked, refused] = [ASKED, REFUSED].map((name) => new Set(FILES.flatMap((file) => portsIn(read(`/proc/${pid}/net/${file}/${name}`)))));
  return [...asked ?? []].filter((port) => refused?.has(port));
}

const FILES = ['ipt_hashlimit', 'ip6t_hashlimit'];

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The kernel lacks it: then nobody can tell.
    return '';
  }
}

/** Lines like `86399 0.0.0.0:0->0.0.0.0:9999 …`, `86399 [0000:…]:9999->[…]:0 …`: of the two ports one is kept. Pure. */
export const portsIn = (text: string): number[] => text.split('\n').flatMap((line) => {
  const [, from, to] = /^\d+ \S*?:(\d+)->\S*:(\d+) /.exec(line) ?? [];
  const port = Number(from) || Number(to);
  return port > 0 ? [port] : [];
});
