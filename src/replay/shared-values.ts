/**
 * Values that stand in the calls of several recorded sessions. A service that makes a value anew makes another each time: what is
 * the same in two sessions is its configuration's, or its process's, and another one now is a difference.
 */
import { canonicalText, requestModel, tokensOf } from '../compare/index.ts';
import type { Session } from '../sessions/session.ts';
import { callsOf } from './calls.ts';

/** Values that are remembered. */
const MAX_VALUES = 200_000;
const SEVERAL = '';

export class SharedValues {
  /** The session in whose calls it stands. */
  readonly #of = new Map<string, string>();
  readonly #known = new Set<string>();
  /** Not read yet: most runs never ask. */
  #learnt: Session[] = [];

  learn(session: Session): void {
    if (session.id === '' || this.#known.has(session.id)) return;
    this.#known.add(session.id);
    this.#learnt.push(session);
  }

  isShared(value: string): boolean {
    for (const session of this.#learnt) {
      for (const { request, protocol } of callsOf(session)) {
        for (const token of tokensOf(canonicalText(requestModel(request, protocol)))) this.#note(token, session.id);
      }
    }
    this.#learnt = [];
    return this.#of.get(value) === SEVERAL;
  }

  #note(value: string, session: string): void {
    const known = this.#of.get(value);
    if (known === undefined && this.#of.size < MAX_VALUES) this.#of.set(value, session);
    else if (known !== undefined && known !== session) this.#of.set(value, SEVERAL);
  }
}
