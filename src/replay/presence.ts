/** Whether the SUT is there: waits until it listens, and says why it does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress, type Address } from '../bytes/address.ts';
import { EnvironmentError } from '../errors.ts';
import type { Confinement, Ended } from './confine.ts';
import type { IdleCall } from './played.ts';

const LOOK_EVERY_MS = 10;
/** So long may a service that listens no more take to end: its status says more. */
const DYING_MS = 2_000;

export interface StartOptions {
  /** Starts the SUT; empty when it runs already. */
  readonly command: readonly string[];
  readonly startupMs: number;
  readonly signal: AbortSignal;
}

const exitText = ({ status }: Ended): string => (status === undefined ? '' : ` (exit ${status})`);

export class Presence {
  readonly #confinement: Confinement;
  #ended: Ended | undefined;
  #isDying = false;

  constructor(confinement: Confinement) {
    this.#confinement = confinement;
    void confinement.ended.then((ended) => { this.#ended = ended; });
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Throws EnvironmentError when it never does. `idle`: what it asked for so far. */
  async untilListening(sut: Address, { command, startupMs, signal }: StartOptions, idle: () => Promise<readonly IdleCall[]>): Promise<void> {
    const until = performance.now() + startupMs;
    while (!this.#confinement.listening(sut.port)) {
      if (signal.aborted) return;
      if (this.#ended?.status === 127 || this.#ended?.status === 126) {
        throw new EnvironmentError(`Cannot start ${command[0] ?? ''}: it is not an executable command`);
      }
      if (this.#ended !== undefined) throw neverUp(`ended${exitText(this.#ended)} before it listened on port ${sut.port}`, await idle());
      if (performance.now() > until) throw neverUp(`did not listen on port ${sut.port} within ${startupMs / 1000} s`, await idle());
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Waits for its end once where it does not: a service that is about to end stops listening first. */
  async listens(sut: Address): Promise<boolean> {
    if (this.#confinement.listening(sut.port)) {
      this.#isDying = false;
      return true;
    }
    if (this.#isDying) return false;
    this.#isDying = true;
    await Promise.race([this.#confinement.ended, sleep(DYING_MS)]);
    return this.#confinement.listening(sut.port);
  }

  /** Why nobody listens. */
  absence(sut: Address): string {
    return this.#ended === undefined ? `nothing listens on ${formatAddress(sut)}` : `the service has ended${exitText(this.#ended)}`;
  }
}

/** What the SUT wanted while it started and did not get is the likeliest reason. */
function neverUp(how: string, idle: readonly IdleCall[]): EnvironmentError {
  const missed = idle.filter(({ answered }) => !answered);
  const asked = missed.slice(0, 3).map(({ destination, summary }) => `${destination} for ${summary}`).join(', ');
  return new EnvironmentError(`The service ${how}${asked === '' ? '' : `; it asked ${asked}, which nothing recorded answers`}`,
    'see its own output above; --sut names its port, --startup-timeout how long it may take');
}
