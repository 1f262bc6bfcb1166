/** Derivation as a generator: for whoever holds the events already. */
import type { Event } from '../events/event.ts';
import { Derivation } from './derivation.ts';
import type { DerivationOptions } from './derivation.ts';
import type { AmbientTalk, ConnectionAccount, Session } from './session.ts';

export type Derived =
  | { readonly kind: 'session'; readonly session: Session }
  | { readonly kind: 'ambient'; readonly talk: AmbientTalk }
  | { readonly kind: 'connection'; readonly account: ConnectionAccount };

/** `endedOrderly` is asked after the last event: a reader knows it only then. */
export function* derive(
  events: Iterable<Event>,
  options: Omit<DerivationOptions, 'onSession' | 'onAmbient' | 'onConnection'> & { readonly endedOrderly?: () => boolean },
): Generator<Derived> {
  let ready: Derived[] = [];
  const derivation = new Derivation({
    ...options,
    onSession: (session) => ready.push({ kind: 'session', session }),
    onAmbient: (talk) => ready.push({ kind: 'ambient', talk }),
    onConnection: (account) => ready.push({ kind: 'connection', account }),
  });
  for (const event of events) {
    derivation.push(event);
    if (ready.length === 0) continue;
    yield* ready;
    ready = [];
  }
  derivation.finish(options.endedOrderly?.() ?? true);
  yield* ready;
}
