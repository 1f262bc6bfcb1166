/** The flags of `replay` that say what of the real world is let in, where dependencies are now, and how fast they answer. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Argv } from 'yargs';
import { canonicalHost, parseAddress } from '../bytes/address.ts';
import { EnvironmentError, UserError } from '../errors.ts';
import type { Bypassed, BypassedAddress, BypassedOperation } from '../replay/bypass.ts';
import type { Moved, Place } from '../replay/moved.ts';
import type { Pace } from '../replay/pace.ts';
import { bypasses, type Environment } from './environment.ts';

export interface WorldFlags {
  bypass: string[] | undefined;
  map: string[] | undefined;
  latency: string;
  chunks: 'none' | 'recorded';
}

export const withWorld = <T>(yargs: Argv<T>): Argv<T & WorldFlags> => yargs
  .option('bypass', {
    type: 'string', array: true, nargs: 1, requiresArg: true,
    describe: 'what goes to the real world: IP:PORT, :PORT, IP, NAME[:PORT], unix:PATH, \'GET HOST/PATH*\', \'redis COMMAND\' (repeatable; KOALA_OUTBOUND_BYPASS_ADDR, _PORT)',
  })
  .option('map', { type: 'string', array: true, nargs: 1, requiresArg: true, describe: 'RECORDED=NOW: a dependency that is elsewhere now, as IP:PORT, IP or NAME[:PORT] (repeatable)' })
  .option('latency', { type: 'string', default: 'none', requiresArg: true, describe: 'how long answers take: none, recorded, or recorded times a factor: x2, x0.5' })
  .option('chunks', { choices: ['none', 'recorded'] as const, default: 'none' as const, describe: 'recorded: answers are sent in the pieces in which they came' }) as unknown as Argv<T & WorldFlags>;

const PORT = /^(.+?):(\d{1,5})$/;

/** `IP`, `IP:PORT`, `[v6]:PORT`, `NAME`, `NAME:PORT`. */
function place(text: string): Place | undefined {
  const address = parseAddress(text);
  if (address !== undefined) return address.port === 0 ? undefined : address;
  const host = canonicalHost(text.replace(/^\[(.*)\]$/, '$1'));
  if (host !== undefined) return { host };
  const [, name = text, port] = PORT.exec(text) ?? [];
  if (!/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/i.test(name) || /^[\d.]+$/.test(name) || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))) return undefined;
  return { host: name.toLowerCase(), ...(port === undefined ? {} : { port: Number(port) }) };
}

function operation(text: string): BypassedOperation | undefined {
  const [first = '', second, more] = text.trim().split(/\s+/);
  if (second === undefined || more !== undefined) return undefined;
  if (first.toLowerCase() === 'redis') return { protocol: 'redis', command: second };
  if (!/^([A-Z]+|\*)$/.test(first)) return undefined;
  return { protocol: 'http', method: first, target: second.replace(/^https?:\/\//, '') };
}

/** Names are resolved here, in the real world. Throws UserError for what can't be meant, EnvironmentError for a name that is none. */
export async function bypassedOf(environment: Environment, given: readonly string[] | undefined): Promise<Bypassed> {
  if (given === undefined || given.length === 0) return { addresses: bypasses(environment).map(plainAddress), names: [], operations: [] };
  const addresses: BypassedAddress[] = [];
  const names: { name: string; port?: number }[] = [];
  const operations: BypassedOperation[] = [];
  const sockets: string[] = [];
  for (const text of given.flatMap((one) => (/\s/.test(one.trim()) ? [one] : one.split(',').filter((part) => part !== '')))) {
    const made = /\s/.test(text.trim()) ? operation(text) : undefined;
    if (made !== undefined) operations.push(made);
    else if (text.startsWith('unix:/')) sockets.push(text.slice('unix:'.length));
    else if (/^:\d+$/.test(text)) addresses.push(...bypasses({}, [text]).map(plainAddress));
    else {
      const where = place(text.trim());
      if (where === undefined) {
        throw new UserError(`--bypass ${JSON.stringify(text)} is not an IP:PORT, :PORT, IP, NAME[:PORT], unix:PATH, 'METHOD HOST/PATH' or 'redis COMMAND'`);
      }
      if (isIP(where.host) !== 0) addresses.push(where);
      else names.push({ name: where.host, ...(where.port === undefined ? {} : { port: where.port }) });
    }
  }
  return { addresses, operations, ...(sockets.length === 0 ? {} : { sockets }), names: await Promise.all(names.map(async (one) => ({ ...one, addresses: await resolve(one.name) }))) };
}

const plainAddress = ({ host, port }: { host: string | undefined; port: number }): BypassedAddress => ({ ...(host === undefined ? {} : { host }), port });

async function resolve(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => canonicalHost(address) ?? address);
  } catch (error) {
    throw new EnvironmentError(`--bypass ${name}: that name does not resolve here (${(error as NodeJS.ErrnoException).code ?? ''})`);
  }
}

export function movedOf(given: readonly string[] | undefined): Moved {
  return (given ?? []).map((text) => {
    const [from = '', to = '', ...more] = text.split('=');
    const [recorded, live] = [place(from), place(to)];
    if (recorded === undefined || live === undefined || more.length > 0 || (recorded.port === undefined) !== (live.port === undefined)) {
      throw new UserError(`--map ${JSON.stringify(text)} is not RECORDED=NOW, such as 10.0.0.5:5432=127.0.0.1:5433 or db.internal=db.test (both with a port, or neither)`);
    }
    return { recorded, live };
  });
}

export function paceOf(latency: string, chunks: WorldFlags['chunks']): Pace {
  const factor = latency === 'none' ? 0 : latency === 'recorded' ? 1 : Number(/^x(\d+(?:\.\d+)?|\.\d+)$/.exec(latency)?.[1] ?? Number.NaN);
  if (Number.isNaN(factor)) throw new UserError(`--latency ${JSON.stringify(latency)} is not none, recorded or a factor like x2`);
  return { latency: factor, chunks: chunks === 'recorded' };
}
