/** The recorded set-ups of all destinations, and what drivers asked new connections (`opening.ts`): what is answered on any number of connections; nothing is used up. */
import type { Judge } from './calls.ts';
import { loginOf } from './logins.ts';
import type { Setup, SetupPair } from './setups.ts';
import type { ProtocolName } from '../protocols/protocol.ts';

export class SetupBook {
  readonly #setups: readonly Setup[];
  readonly #at = new Map<string, Setup[]>();
  /** All requests of these. */
  readonly #pairs = new Map<string, SetupPair[]>();
  readonly #inquiries: Readonly<Record<string, readonly SetupPair[]>>;
  readonly #judge: Judge;

  constructor(setups: readonly Setup[], judge: Judge, inquiries: Readonly<Record<string, readonly SetupPair[]>> = {}) {
    this.#setups = setups;
    this.#judge = judge;
    this.#inquiries = inquiries;
    for (const setup of setups) {
      const same = this.#at.get(setup.destination);
      if (same === undefined) this.#at.set(setup.destination, [setup]);
      else same.push(setup);
      this.#pairs.set(setup.destination, [...this.#pairs.get(setup.destination) ?? [], ...setup.pairs]);
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
    return this.#answerIn(this.#pairs.get(destination) ?? [], bytes, protocol);
  }

  /** Likewise, to what a driver asks because its connection is new. */
  inquiry(destination: string, bytes: Uint8Array, protocol: ProtocolName | undefined): Uint8Array | undefined {
    return this.#answerIn(this.#inquiries[destination] ?? [], bytes, protocol);
  }

  #answerIn(pairs: readonly SetupPair[], bytes: Uint8Array, protocol: ProtocolName | undefined): Uint8Array | undefined {
    const pair = pairs.find(({ request }) => Buffer.compare(request, bytes) === 0)
      ?? (protocol === undefined ? undefined : pairs.find(({ request }) => this.#judge.equal(request, bytes, protocol)));
    return pair?.response;
  }
}
