/** What the recordings hold beside the sessions that are played: calls of no session, prepared statements, what drivers asked of new connections. */
import type { Loaded } from './options.ts';
import type { Plain } from './plain.ts';
import type { Pair, Prepared } from './statements/statements.ts';

/** `firstUs`: when the first session began that is in the recordings. */
export type Background = Pick<Plain, 'ambient' | 'prepared' | 'inquiries'> & { readonly firstUs?: number };

export function backgroundOf(loaded: readonly Loaded[], startup: readonly Plain[]): Background {
  const all = [...startup, ...new Set(loaded.flatMap(({ background }) => background ?? []))];
  const prepared: Record<string, Prepared[]> = {};
  const inquiries: Record<string, Pair[]> = {};
  for (const one of all) {
    for (const [destination, some] of Object.entries(one.prepared)) (prepared[destination] ??= []).push(...some);
    for (const [destination, some] of Object.entries(one.inquiries)) (inquiries[destination] ??= []).push(...some);
  }
  const firstUs = all.reduce((first, { sessions }) => sessions.reduce((least, { startedAtUs }) => Math.min(least, startedAtUs), first), Infinity);
  return { ambient: all.flatMap(({ ambient }) => ambient), prepared, inquiries, ...(firstUs === Infinity ? {} : { firstUs }) };
}
