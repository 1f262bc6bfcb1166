/** Recorded calls that are like a live one, in any of the sessions in play. */
import { bestOf } from './best.ts';
import type { Found } from './calls.ts';
import type { Play } from './play.ts';
import type { How, World } from './played.ts';

export type FoundIn = Found & { readonly play: Play };

/** The recorded call that may answer although it is another one, where the user asked for that. */
export function likeOf(
  { destination, bytes }: { readonly destination: string; readonly bytes: Uint8Array }, plays: readonly Play[], { match, onMiss, threshold }: Pick<World, 'match' | 'onMiss' | 'threshold'>,
): (FoundIn & { readonly how: How }) | undefined {
  if (match === 'chunk') {
    for (const play of plays) {
      const found = play.book.chunk(destination, bytes, play.latest(destination));
      if (found !== undefined) return { play, ...found, how: 'chunk' };
    }
  }
  const nearest = match === 'sim' || onMiss === 'nearest' ? nearestOf(plays, destination, bytes) : undefined;
  if (nearest !== undefined && match === 'sim' && nearest.score >= threshold) return { ...nearest, how: 'similar' };
  return nearest !== undefined && onMiss === 'nearest' ? { ...nearest, how: 'nearest' } : undefined;
}

export function nearestOf(plays: readonly Play[], destination: string, bytes: Uint8Array): FoundIn | undefined {
  const found = plays.flatMap((play): FoundIn[] => {
    const nearest = play.book.nearest(destination, bytes);
    return nearest === undefined ? [] : [{ play, ...nearest }];
  });
  return bestOf(found, ({ score }) => score)?.call;
}
