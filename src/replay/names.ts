/**
 * Names resolve as recorded, bypassed ones as in the real world, and those of moved services as the recorded ones did. A name that nobody asked for while recording (the pool was connected, a cache was warm) gets an
 * address of its own out of 198.18.0.0/15 (RFC 2544, never routed); a connection to that is taken for the one recorded
 * destination with its port, or is a call to a destination that was not recorded.
 */
import dns from 'dns-packet';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { NOTHING_BYPASSED, type Bypassed } from './bypass.ts';
import { NOTHING_MOVED, recordedPlace, type Moved } from './moved.ts';
import { formatAddress, parseAddress, type Address } from '../bytes/address.ts';

/** Names that are remembered; the address of the oldest is then given to another. */
const MAX_INVENTED = 0xffff;
const TTL_SECONDS = 1;

export interface Meant {
  /** Canonical "IP:PORT" as recorded, or "NAME:PORT" for a name that leads to nothing recorded. */
  readonly destination: string;
  /** Where that would be in the real world, where it is not at the address that was connected to. */
  readonly real?: { readonly host: string; readonly port: number };
}

const plain = (name: string): string => name.toLowerCase().replace(/\.$/, '');

export class Names {
  readonly #known: ReadonlyMap<string, readonly string[]>;
  readonly #recorded: readonly Address[];
  /** Address by name, the oldest first; and the other way round. */
  readonly #invented = new Map<string, string>();
  readonly #nameOf = new Map<string, string>();
  readonly #moved: Moved;

  /** `destinations`: every recorded "IP:PORT". */
  constructor(names: Readonly<Record<string, readonly string[]>>, destinations: readonly string[], bypassed: Bypassed = NOTHING_BYPASSED, moved: Moved = NOTHING_MOVED) {
    this.#known = new Map([
      ...Object.entries(names).map(([name, addresses]) => [plain(name), addresses] as const),
      // Of what moved with all its ports: where it was. Of a single port: an address of its own, by which `meant` knows it.
      ...moved.flatMap(({ recorded, live }) => {
        const was = Object.entries(names).find(([name]) => plain(name) === recorded.host)?.[1] ?? (isIP(recorded.host) === 0 ? undefined : [recorded.host]);
        return was === undefined || live.port !== undefined || isIP(live.host) !== 0 ? [] : [[live.host, was] as const];
      }),
      ...bypassed.names.map(({ name, addresses }) => [plain(name), addresses] as const),
    ]);
    this.#moved = moved;
    this.#recorded = destinations.flatMap((destination) => parseAddress(destination) ?? []);
  }

  /** Answers one DNS message; undefined when it is no query. */
  answer(message: Buffer): Buffer | undefined {
    let query: dns.DecodedPacket;
    try {
      query = dns.decode(message);
    } catch {
      return undefined;
    }
    const question = query.questions?.[0];
    if (query.type !== 'query' || question === undefined) return undefined;
    const addresses = this.#resolve(question.name.toLowerCase());
    const wanted = question.type === 'A' ? isIPv4 : question.type === 'AAAA' ? isIPv6 : () => false;
    const type = question.type === 'AAAA' ? 'AAAA' as const : 'A' as const;
    const answers = (addresses ?? []).filter((address) => wanted(address))
      .map((data) => ({ type, name: question.name, ttl: TTL_SECONDS, class: 'IN' as const, data }));
    const noSuchName = addresses === undefined ? 3 : 0;
    return dns.encode({
      type: 'response', id: query.id ?? 0, questions: [question], answers,
      flags: dns.RECURSION_DESIRED | dns.RECURSION_AVAILABLE | noSuchName,
    });
  }

  /** Which recorded destination a connection to this address was meant for. */
  meant(address: Address): Meant {
    const name = this.#nameOf.get(address.host);
    const hosts = name === undefined ? [address.host] : [address.host, name];
    const moved = recordedPlace(this.#moved, hosts, address.port, (recorded) => this.#known.get(recorded)?.[0]);
    const real = name === undefined ? {} : { real: { host: name, port: address.port } };
    if (moved !== undefined) return { destination: isIP(moved.host) === 0 ? `${moved.host}:${moved.port}` : formatAddress(moved), ...real };
    if (name === undefined) return { destination: formatAddress(address) };
    const [only, ...more] = this.#recorded.filter(({ port }) => port === address.port);
    if (only !== undefined && more.length === 0) return { destination: formatAddress(only), ...real };
    return { destination: `${name}:${address.port}`, ...real };
  }

  #resolve(name: string): readonly string[] | undefined {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const longer = [...this.#known.keys()].filter((other) => other.startsWith(`${name}.`));
    if (longer.length === 1) return this.#known.get(longer[0] ?? '');
    // A resolver that appends its search domains before it asks for the name itself.
    if ([...this.#known.keys()].some((other) => name.startsWith(`${other}.`) && other.includes('.'))) return undefined;
    return [this.#invent(name)];
  }

  #invent(name: string): string {
    const existing = this.#invented.get(name);
    if (existing !== undefined) return existing;
    const address = this.#invented.size < MAX_INVENTED ? inventedAddress(this.#invented.size + 1) : this.#oldestAddress();
    this.#invented.set(name, address);
    this.#nameOf.set(address, name);
    return address;
  }

  #oldestAddress(): string {
    const [name, address] = this.#invented.entries().next().value as [string, string];
    this.#invented.delete(name);
    return address;
  }
}

const inventedAddress = (number: number): string => `198.18.${number >> 8}.${number & 255}`;
