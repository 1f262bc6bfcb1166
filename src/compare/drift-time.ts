/** Times as services write them: RFC 3339, HTTP dates, seconds to nanoseconds since 1970, PostgreSQL's binary timestamps. */

/** How it is written: the same for two times of one writer. */
export type TimeForm = string;

export interface WrittenTime {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly form: TimeForm;
  /** How coarse it is: a day, an hour, a minute, or nothing to speak of. */
  readonly grainMs: number;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** 2001-09-09 to 2065: what else ten digits say is no time. */
const [EARLIEST_MS, LATEST_MS] = [1_000_000_000_000, 3_000_000_000_000];
/** 2000-01-01, from which PostgreSQL counts microseconds. */
const POSTGRESQL_EPOCH_MS = 946_684_800_000;

const EPOCH_UNITS: Readonly<Record<number, number>> = { 10: 1_000, 13: 1, 16: 1e-3, 19: 1e-6 };

/** The time that the whole of `text` is; undefined when it is none. Without a zone it is taken for UTC. */
export function timeOf(text: string): WrittenTime | undefined {
  if (/^\\x[0-9a-f]{16}$/.test(text)) return inRange(Number(BigInt(`0x${text.slice(2)}`)) / 1_000 + POSTGRESQL_EPOCH_MS, 'postgresql');
  const epoch = /^(\d{10}|\d{13}|\d{16}|\d{19})(\.\d+)?$/.exec(text);
  if (epoch !== null) return inRange(Number(text) * (EPOCH_UNITS[epoch[1]!.length] ?? NaN), `epoch ${epoch[1]!.length}${epoch[2] === undefined ? '' : '.'}`);
  const date = /^(\d{4}-\d\d-\d\d)(?:([T ])(\d\d:\d\d)(:\d\d)?([.,]\d+)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/.exec(text);
  if (date === null) return inRange(Date.parse(text), 'http');
  const [, day = '', separator, minutes, seconds, fraction, zone] = date;
  if (minutes === undefined) return inRange(Date.parse(`${day}T00:00:00Z`), 'day', DAY_MS);
  const offset = zone === undefined || zone === 'Z' ? 'Z' : zone.length === 3 ? `${zone}:00` : zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
  const atMs = Date.parse(`${day}T${minutes}${seconds ?? ':00'}${(fraction ?? '').replace(',', '.').slice(0, 4)}${offset}`);
  return inRange(atMs, `${separator}${seconds === undefined ? 'm' : 's'}${zone === undefined ? '' : zone === 'Z' ? 'Z' : '+'}`);
}

/** `grainMs` undefined: by the zeros that the time ends with. */
function inRange(atMs: number, form: TimeForm, grainMs = grainOf(atMs)): WrittenTime | undefined {
  return atMs >= EARLIEST_MS && atMs <= LATEST_MS ? { atMs, form, grainMs } : undefined;
}

const grainOf = (atMs: number): number => [DAY_MS, HOUR_MS, MINUTE_MS].find((grain) => atMs % grain === 0) ?? 0;
