/** What the recordings hold beside the sessions that are played: calls of no session, prepared statements, what drivers asked of new connections. */
import type { Loaded } from './options.ts';
import { byDestination, type Plain } from './plain.ts';

/** `firstUs`: when the first session began that is in the recordings. */
export type Background = Pick<Plain, 'ambient' | 'prepared' | 'inquiries'> & { readonly firstUs?: number };

export function backgroundOf(loaded: readonly Loaded[], startup: readonly Plain[]): Background {
  const all = [...startup, ...new Set(loaded.flatMap(({ background }) => background ?? []))];
  const prepared = byDestination(all.flatMap((one) => Object.entries(one.prepared)));
  const inquiries = byDestination(all.flatMap((one) => Object.entries(one.inquiries)));
  const firstUs = all.reduce((first, { sessions }) => sessions.reduce((least, { startedAtUs }) => Math.min(least, startedAtUs), first), Infinity);
  return { ambient: all.flatMap(({ ambient }) => ambient), prepared, inquiries, ...(firstUs === Infinity ? {} : { firstUs }) };
}
