/**
 * The KOALA_* variables and the flags of the same meaning. A flag beats its variable; an empty variable is as good as
 * none; a value that can't be read is the user's mistake, and the message names where it came from.
 * docs/environment.md says which command takes which.
 */
import { parseAddress } from '../bytes/address.ts';
import { UserError } from '../errors.ts';
import { MATCH_STEPS, type MatchStep } from '../replay/played.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export const LOG_LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, 'μs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const DEFAULT_QUIET_MS = 5000;

interface Setting {
  readonly value: string;
  /** `--flag` or the variable's name. */
  readonly from: string;
}

function setting(environment: Environment, variable: string, flag?: string, given?: string): Setting | undefined {
  if (given !== undefined) return { value: given, from: `--${flag}` };
  const value = environment[variable];
  return value === undefined || value === '' ? undefined : { value, from: variable };
}

const bad = ({ value, from }: Setting, wanted: string): UserError => new UserError(`${from}: ${JSON.stringify(value)} is not ${wanted}`);

/** Milliseconds of a Go duration (`100ms`, `1m30s`, `1.5h`, `0`; Go's time.ParseDuration, not negative). */
export function parseDuration(text: string): number | undefined {
  if (/^\+?0$/.test(text)) return 0;
  if (!/^\+?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, value, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) sum += Number(value) * (UNIT_MS[unit ?? ''] ?? 0);
  return sum;
}

/** A duration flag's milliseconds. Throws UserError naming the flag. */
export function durationFlag(flag: string, value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined) throw bad({ value, from: `--${flag}` }, 'a duration like 500ms, 30s or 1m30s');
  return ms;
}

/** Bytes of a size (`64MiB`, `2GB`, `1048576`): KiB, MiB … are powers of 1024, KB, MB … of 1000, K, M, G like KiB …. Throws UserError naming the flag. */
export function sizeFlag(flag: string, value: string): number {
  const parts = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(iB|B|)$/i.exec(value);
  if (parts === null) throw bad({ value, from: `--${flag}` }, 'a size like 64MiB, 2GB or 1048576');
  const power = ['', 'K', 'M', 'G', 'T'].indexOf((parts[2] ?? '').toUpperCase());
  const base = (parts[3] ?? '').toUpperCase() === 'B' && power > 0 ? 1000 : 1024;
  return Math.round(Number(parts[1]) * base ** power);
}

export interface LogSettings {
  /** `STDOUT`, `STDERR` or a path; undefined: nobody asked for a log. */
  readonly file: string | undefined;
  readonly level: LogLevel;
}

/**
 * KOALA_LOG_FILE and KOALA_LOG_LEVEL; `--log-file`, `--log-level`. A level alone logs to STDERR, and so does STDOUT where
 * that is for data (`stdoutIsData`): who reads JSON lines there must find nothing else.
 */
export function logSettings(
  environment: Environment, flags: { file?: string | undefined; level?: string | undefined } = {}, stdoutIsData = false,
): LogSettings {
  const given = setting(environment, 'KOALA_LOG_FILE', 'log-file', flags.file);
  const file = given?.value === 'STDOUT' && stdoutIsData ? { ...given, value: 'STDERR' } : given;
  const level = setting(environment, 'KOALA_LOG_LEVEL', 'log-level', flags.level);
  if (level === undefined) return { file: file?.value, level: 'INFO' };
  const known = LOG_LEVELS.find((name) => name === level.value.toUpperCase());
  if (known === undefined) throw bad(level, `one of ${LOG_LEVELS.join(', ')}`);
  return { file: file?.value ?? 'STDERR', level: known };
}

/** KOALA_GC_GLOBAL_STATUS_TIMEOUT, `--quiet-after`: how long a thread that answered may be quiet before what it does is nobody's; default 5 s. */
export function quietMs(environment: Environment, given?: string): number {
  const found = setting(environment, 'KOALA_GC_GLOBAL_STATUS_TIMEOUT', 'quiet-after', given);
  if (found === undefined) return DEFAULT_QUIET_MS;
  const ms = parseDuration(found.value);
  if (ms === undefined || ms === 0) throw bad(found, 'a duration like 5s or 1m30s');
  return ms;
}

/** Similarity from which a recorded call may answer a live one that is not equal to it: koala's own default. */
const DEFAULT_THRESHOLD = 0.7;

/** KOALA_REPLAYING_MATCH_STRATEGY and KOALA_REPLAYING_MATCH_THRESHOLD; `--match`, `--threshold`. Without them nothing but an equal call answers. */
export function matching(environment: Environment, flags: { match?: string | undefined; threshold?: string | undefined }): { match: MatchStep; threshold: number } {
  const match = setting(environment, 'KOALA_REPLAYING_MATCH_STRATEGY', 'match', flags.match);
  const step = match === undefined ? 'none' : MATCH_STEPS.find((name) => name === match.value);
  if (match !== undefined && step === undefined) throw bad(match, `one of ${MATCH_STEPS.join(', ')}`);
  const least = setting(environment, 'KOALA_REPLAYING_MATCH_THRESHOLD', 'threshold', flags.threshold);
  const threshold = least === undefined ? DEFAULT_THRESHOLD : Number(least.value);
  if (least !== undefined && !(threshold >= 0 && threshold <= 1)) throw bad(least, 'a number from 0 to 1');
  return { match: step ?? 'none', threshold };
}

/** Traffic that is left alone. */
export interface Bypass {
  /** Canonical IP; undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
}

function parseBypass(part: string): Bypass | undefined {
  const bare = /^:(\d{1,5})$/.exec(part)?.[1];
  if (bare !== undefined) return Number(bare) >= 1 && Number(bare) <= 65_535 ? { host: undefined, port: Number(bare) } : undefined;
  const address = parseAddress(part);
  return address === undefined || address.port === 0 ? undefined : address;
}

/**
 * KOALA_OUTBOUND_BYPASS_ADDR (`ip:port` or `:port`, comma list), KOALA_OUTBOUND_BYPASS_PORT (ports, comma list), or
 * `--bypass`, which takes the form of the former. Names are no addresses here: koala takes numeric ones only.
 */
export function bypasses(environment: Environment, given?: readonly string[]): Bypass[] {
  const split = (text: string): string[] => text.split(',').map((part) => part.trim()).filter((part) => part !== '');
  if (given !== undefined && given.length > 0) return read(given.flatMap(split), '--bypass');
  const addresses = environment['KOALA_OUTBOUND_BYPASS_ADDR'] ?? '';
  const ports = environment['KOALA_OUTBOUND_BYPASS_PORT'] ?? '';
  return [
    ...read(split(addresses), 'KOALA_OUTBOUND_BYPASS_ADDR'),
    ...split(ports).map((value) => {
      const port = /^\d{1,5}$/.test(value) ? parseBypass(`:${value}`) : undefined;
      if (port === undefined) throw bad({ value, from: 'KOALA_OUTBOUND_BYPASS_PORT' }, 'a port (1 to 65535)');
      return port;
    }),
  ];
}

function read(parts: readonly string[], from: string): Bypass[] {
  return parts.map((value) => {
    const bypass = parseBypass(value);
    if (bypass === undefined) throw bad({ value, from }, 'an IP:PORT or :PORT');
    return bypass;
  });
}
