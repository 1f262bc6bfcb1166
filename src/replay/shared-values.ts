/**
 * Values that stand in the calls of several recorded sessions. A service that makes a value anew makes another each time: what is
 * the same in two sessions is its configuration's, or its process's, and another one now is a difference.
 */
import { canonicalText, requestModel, tokensOf } from '../compare/index.ts';
import type { Session } from '../sessions/session.ts';
import { callsOf, lengthOf } from './calls.ts';

/** Values that are remembered. */
const MAX_VALUES = 200_000;
/**
 * Sessions, the latest, that are held until somebody asks, and bytes of their calls. What is configured stands in most of them, so
 * that it is found among these.
 */
const MAX_UNREAD = 1_000;
const MAX_UNREAD_BYTES = 32 << 20;
const SEVERAL = '';

interface Unread {
  readonly session: Session;
  readonly bytes: number;
}

export class SharedValues {
  /** The session in whose calls it stands. */
  readonly #of = new Map<string, string>();
  /** Not read yet: most runs never ask. */
  readonly #unread = new Map<string, Unread>();
  #unreadBytes = 0;

  /** Once more is as good as once. `bytes`: of its calls, about; given where these are not to be read yet. */
  learn(session: Session, bytes = session.outbound.reduce((sum, { request, response }) => sum + lengthOf(request) + lengthOf(response), 0)): void {
    if (session.id === '') return;
    this.#drop(session.id);
    this.#unread.set(session.id, { session, bytes });
    this.#unreadBytes += bytes;
    for (const oldest of this.#unread.keys()) {
      if (this.#unread.size <= MAX_UNREAD && (this.#unreadBytes <= MAX_UNREAD_BYTES || this.#unread.size === 1)) return;
      this.#drop(oldest);
    }
  }

  isShared(value: string): boolean {
    for (const { session } of this.#unread.values()) {
      for (const { request, protocol } of callsOf(session)) {
        for (const token of tokensOf(canonicalText(requestModel(request, protocol)))) this.#note(token, session.id);
      }
    }
    this.#unread.clear();
    this.#unreadBytes = 0;
    return this.#of.get(value) === SEVERAL;
  }

  #drop(id: string): void {
    this.#unreadBytes -= this.#unread.get(id)?.bytes ?? 0;
    this.#unread.delete(id);
  }

  #note(value: string, session: string): void {
    const known = this.#of.get(value);
    if (known === undefined && this.#of.size < MAX_VALUES) this.#of.set(value, session);
    else if (known !== undefined && known !== session) this.#of.set(value, SEVERAL);
  }
}
