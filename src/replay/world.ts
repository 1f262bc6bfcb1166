/** What holds for a whole run, gathered from its sessions. */
import { isIP } from 'node:net';
import { parseAddress } from '../bytes/address.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { Prologue, Session } from '../sessions/session.ts';
import { bytesOf, neverConnected } from './calls.ts';
import { NOTHING_BYPASSED } from './bypass.ts';
import { canonicalDestination } from './destination.ts';
import { hostField } from './host-header.ts';
import { NOTHING_MOVED } from './moved.ts';
import { AT_ONCE } from './pace.ts';
import type { World } from './played.ts';
import type { Plain } from './plain.ts';

/** More different set-ups of one destination than this are not told apart. */
const MAX_PROLOGUES = 16;

export type WorldOptions = Pick<World, 'match' | 'threshold' | 'onMiss' | 'answerMs' | 'quietMs'> & Partial<Pick<World, 'bypassed' | 'moved' | 'pace'>>;

/** `sessions`: all that will be played. */
export function worldOf(sessions: readonly Session[], options: WorldOptions, { prepared = {}, inquiries = {} }: Partial<Pick<Plain, 'prepared' | 'inquiries'>> = {}): World {
  const protocols = new Map<string, ProtocolName>();
  const names = new Map<string, Set<string>>();
  const prologues = new Map<string, Prologue>();
  const perDestination = new Map<string, number>();
  const hosts = new Map<string, string | undefined>();
  const name = (host: string, address: string): void => {
    const addresses = names.get(host.toLowerCase());
    if (addresses === undefined) names.set(host.toLowerCase(), new Set([address]));
    else addresses.add(address);
  };
  const places = new Map<string, { readonly destination: string; readonly address: string | undefined }>();
  const placeOf = (remote: string): { readonly destination: string; readonly address: string | undefined } => {
    let place = places.get(remote);
    if (place === undefined) {
      const destination = canonicalDestination(remote);
      places.set(remote, place = { destination, address: parseAddress(destination)?.host });
    }
    return place;
  };
  for (const session of sessions) {
    for (const [host, addresses] of Object.entries(session.names)) for (const address of addresses) name(host, address);
    for (const talk of session.outbound) {
      const { destination, address } = placeOf(talk.connection.remote);
      const known = protocols.get(destination);
      if (!neverConnected(talk) && (known === undefined || known === 'unknown')) protocols.set(destination, talk.connection.protocol);
      else if (known === undefined) protocols.set(destination, 'unknown');
      const host = talk.connection.protocol === 'http' ? hostHeader(bytesOf(talk.request)) : undefined;
      if (host !== undefined && address !== undefined) name(host, address);
      if (options.moved === undefined || options.moved.length === 0 || talk.connection.protocol !== 'http') continue;
      const field = hostField(bytesOf(talk.request))?.value;
      hosts.set(destination, hosts.has(destination) && hosts.get(destination) !== field ? undefined : field);
    }
    for (const prologue of session.prologues) {
      const key = `${canonicalDestination(prologue.destination)} ${fingerprint(prologue)}`;
      const destination = canonicalDestination(prologue.destination);
      const count = perDestination.get(destination) ?? 0;
      if (prologues.has(key) || prologue.chunks.length === 0 || count >= MAX_PROLOGUES) continue;
      prologues.set(key, prologue);
      perDestination.set(destination, count + 1);
    }
  }
  const { match, threshold, onMiss, answerMs, quietMs, bypassed = NOTHING_BYPASSED, moved = NOTHING_MOVED, pace = AT_ONCE } = options;
  return {
    match, threshold, onMiss, answerMs, quietMs, bypassed, moved, pace,
    protocols: Object.fromEntries(protocols),
    prologues: [...prologues.values()], prepared, inquiries,
    hosts: Object.fromEntries([...hosts].filter((one): one is [string, string] => one[1] !== undefined)),
    names: Object.fromEntries([...names].map(([host, addresses]) => [host, [...addresses]])),
  };
}

function fingerprint(prologue: Prologue): string {
  return prologue.chunks.map((chunk) => `${chunk.direction} ${'bytes' in chunk ? Buffer.from(chunk.bytes).toString('latin1') : chunk.gap}`).join('\n');
}

/** The name in an HTTP request's Host header, when it is a name: the service asked for it, though we may not have seen it do so. */
function hostHeader(request: Uint8Array): string | undefined {
  const host = /^([^:\][]+)(?::\d+)?$/.exec(hostField(request)?.value ?? '')?.[1];
  return host === undefined || isIP(host) !== 0 ? undefined : host;
}
