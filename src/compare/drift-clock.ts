/**
 * Whether two times that differ are the clock's: each as far from the moment at which its call was made as the other, and that no
 * time at all, or a round while (a token is valid for an hour). A number that happens to look like a time, or a date that was
 * asked for, is seldom that. Pure.
 */
import { timeOf } from './drift-time.ts';

/** When a value was made, ms since 1970 by the service's clock: between the beginning of its session and its call. */
export interface Moment {
  readonly fromMs: number;
  readonly toMs: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** What clocks are read at, and written to, is not quite the moment. */
const SLACK_MS = 2_000;
/** The farther away, the rounder. */
const roundness = (apartMs: number): number => (apartMs < HOUR_MS ? MINUTE_MS : apartMs < DAY_MS ? 5 * MINUTE_MS : HOUR_MS);

export function isOfClock(recorded: string, live: string, recordedAt: Moment, liveAt: Moment): boolean {
  const [one, two] = [timeOf(recorded), timeOf(live)];
  if (one === undefined || two === undefined) return false;
  const grainMs = Math.min(one.grainMs, two.grainMs);
  return grainMs > 0 ? isCounted(two.atMs - one.atMs, grainMs, recordedAt, liveAt) : isRound(one.atMs, two.atMs, recordedAt, liveAt);
}

/** Both are whole minutes, hours or days: as many of these lie between them as passed between the two moments. */
function isCounted(movedMs: number, grainMs: number, { fromMs, toMs }: Moment, liveAt: Moment): boolean {
  for (const zoneMs of zonesOf(grainMs, liveAt.fromMs - fromMs)) {
    const at = (ms: number): number => Math.floor((ms + zoneMs) / grainMs);
    for (const before of [fromMs - SECOND_MS, toMs + SECOND_MS]) {
      for (const now of [liveAt.fromMs - SECOND_MS, liveAt.toMs + SECOND_MS]) if (movedMs === (at(now) - at(before)) * grainMs) return true;
    }
  }
  return false;
}

/** Whose midnight it may be: this host's, UTC's, and where a day or more has passed, anybody's. */
function zonesOf(grainMs: number, passedMs: number): readonly number[] {
  const here = -new Date().getTimezoneOffset() * MINUTE_MS;
  if (grainMs < DAY_MS || Math.abs(passedMs) < DAY_MS) return [0, here];
  return [0, here, ...Array.from({ length: 27 }, (_, hour) => (hour - 12) * HOUR_MS)];
}

function isRound(oneMs: number, twoMs: number, recordedAt: Moment, liveAt: Moment): boolean {
  const least = Math.max(oneMs - recordedAt.toMs, twoMs - liveAt.toMs) - SLACK_MS;
  const most = Math.min(oneMs - recordedAt.fromMs, twoMs - liveAt.fromMs) + SLACK_MS;
  if (least > most) return false;
  const grid = roundness(Math.min(Math.abs(least), Math.abs(most)));
  return Math.floor(most / grid) * grid >= least;
}
