/** A replay from end to end: what can be played is, the rest is told of, and whatever happens, everything is undone. */
import { backgroundOf } from './background.ts';
import type { Loaded, ReplayOptions } from './options.ts';
import { whyNot } from './playable.ts';
import { settingsJudge } from './recorded-settings.ts';
import type { Replayed } from './replayed.ts';
import { Run } from './run.ts';
import { unplayed } from './verdict.ts';

/** Plays `loaded`, several at a time; yields a verdict each, in their order. Whatever happens, nothing is left behind. */
export async function* replay(loaded: readonly Loaded[], options: ReplayOptions): AsyncGenerator<Replayed> {
  const playable = loaded.filter(({ session }) => whyNot(session, options.allowIncomplete) === undefined);
  const run = playable.length === 0 ? undefined : await begunUnlessOver(options.signal, Run.begin(playable.map(({ session }) => session), backgroundOf(playable, options.startup ?? []), { ...options, settings: settingsJudge(playable, options.startup ?? []) }));
  if (options.signal.aborted && run === undefined) return;
  options.facts?.({ concurrency: 0, tracker: 'none', serialised: 0, again: 0, untied: 0, background: 0 });
  try {
    if (run !== undefined) {
      // Those that warm the process up are through before any other begins.
      const warm = options.warmUp ?? 0;
      yield* run.play(loaded.slice(0, warm));
      yield* run.play(loaded.slice(warm));
    }
    else for (const { session, file } of loaded) {
      yield { ...unplayed(session, 'skipped', whyNot(session, options.allowIncomplete) ?? ''), ...(file === undefined ? {} : { file }) };
    }
  } finally {
    if (run !== undefined) options.facts?.(run.facts);
    await run?.end();
  }
}

/** A start that was interrupted is no failed one, whatever it says. */
function begunUnlessOver(signal: AbortSignal, begun: Promise<Run>): Promise<Run | undefined> {
  return begun.catch((error: unknown) => {
    if (signal.aborted) return undefined;
    throw error;
  });
}
