/** Whose a live call is, and whether that is a session in play. Pure. */
import type { Certainty } from '../sessions/session.ts';
import type { Play } from './play.ts';

/** Whose call it is, as the kernel saw it. */
export interface CallOwner {
  /** It may be over: then the call is of no session in play, as it is where there is none: another client of the service's asked for it. */
  readonly play: Play | undefined;
  readonly certainty: Certainty;
}

export type OwnedInPlay = CallOwner & { readonly play: Play };

/** The owner where it is a session in play; undefined: nobody can tell. `elsewhere`: it is none of those in play. */
export function inPlay(owner: CallOwner | undefined): OwnedInPlay | undefined | 'elsewhere' {
  if (owner === undefined) return undefined;
  return owner.play === undefined || (owner.play.over && !owner.play.late) ? 'elsewhere' : owner as OwnedInPlay;
}
