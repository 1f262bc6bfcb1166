/** Connections that the user wants left alone, and the recorder's own: none of their events is recorded. */
import type { Event } from '../events/event.ts';

/** Where koala-bpf calls a runtime's inspector from (--instrument): an address that nobody else has a use for. */
export const INSPECTOR_CLIENT = '127.127.127.126';

export interface BypassAddress {
  /** Canonical IP; undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
}

export class LeftOut {
  readonly #addresses: readonly BypassAddress[];
  readonly #connections = new Set<number>();

  constructor(addresses: readonly BypassAddress[]) {
    this.#addresses = addresses;
  }

  /** Whether any connection is left out now: else nothing needs to be looked up. */
  get any(): boolean {
    return this.#connections.size > 0;
  }

  has(connection: number): boolean {
    return this.#connections.has(connection);
  }

  /** Whether this event is to be left out. Opens and ends are to be shown to it all. */
  takes(event: Event): boolean {
    if (event.kind === 'open' && (event.remote.host === INSPECTOR_CLIENT || event.local.host === INSPECTOR_CLIENT)) this.#connections.add(event.connection);
    if (event.kind === 'open' && event.role === 'outbound') {
      const { host, port } = event.remote;
      const matches = this.#addresses.some((address) => address.port === port && (address.host === undefined || address.host === host));
      if (matches) this.#connections.add(event.connection);
    }
    if (!this.any || !('connection' in event) || !this.#connections.has(event.connection)) return false;
    if (event.kind === 'close' && (event.phase === 'done' || event.phase === 'failed')) this.#connections.delete(event.connection);
    return true;
  }
}
