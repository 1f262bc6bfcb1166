/** The recorded set-ups of all destinations, and what they answer on any number of connections; nothing is used up. */
import type { Judge } from './calls.ts';
import { loginOf } from './logins.ts';
import type { Setup } from './setups.ts';
import type { ProtocolName } from '../protocols/protocol.ts';

export class SetupBook {
  readonly #setups: readonly Setup[];
  readonly #at = new Map<string, Setup[]>();
  readonly #judge: Judge;

  constructor(setups: readonly Setup[], judge: Judge) {
    this.#setups = setups;
    this.#judge = judge;
    for (const setup of setups) {
      const same = this.#at.get(setup.destination);
      if (same === undefined) this.#at.set(setup.destination, [setup]);
      else same.push(setup);
    }
  }

  /**
   * The set-up to play on a new connection: the first recorded one of the destination whose login went through, else one of the same
   * protocol, else (every connection was older than the recorder) one that is made up.
   */
  newConnection(destination: string, protocol: ProtocolName | undefined): Setup | undefined {
    const here = this.#at.get(destination) ?? [];
    const recorded = here.find(({ login }) => login?.invented !== true) ?? here[0]
      ?? this.#setups.find((setup) => setup.protocol === protocol && setup.login !== undefined);
    const login = protocol === undefined ? undefined : loginOf(protocol, undefined);
    return recorded ?? (protocol === undefined || login === undefined ? undefined : { destination, protocol, pairs: [], login });
  }

  /** The recorded answer to a set-up request: of the same bytes, else of one that is equal to its protocol. */
  answer(destination: string, bytes: Uint8Array, protocol: ProtocolName | undefined): Uint8Array | undefined {
    const setups = this.#at.get(destination) ?? [];
    for (const same of [Buffer.compare, undefined]) {
      for (const setup of setups) {
        const pair = setup.pairs.find(({ request }) => (same === undefined
          ? protocol !== undefined && this.#judge.equal(request, bytes, protocol) : same(request, bytes) === 0));
        if (pair !== undefined) return pair.response;
      }
    }
    return undefined;
  }
}
