/**
 * What a user declares to be noise: `--ignore PATH`, and rules of a `noise.json` that can be reviewed, edited and committed.
 * A rule says where (a path, of which requests) and what may differ there. Pure.
 */
import { UserError } from '../errors.ts';
import { timeOf } from './drift-time.ts';
import type { CompareOptions, Difference, ListRule } from './difference.ts';
import { matchesPath, parsePattern, type PathPattern } from './path-pattern.ts';

export const NOISE_FORMAT = 'koala-bpf/noise@1';

/** As it stands in the file. Without any of the other fields whatever is there may differ. */
export interface NoiseRule {
  /** As in differences; `[*]`, `.*` and `..` stand for any item, any name, any depth. */
  readonly path: string;
  /** Only in sessions whose summary this is; `*` stands for any characters: `GET /orders/*`. */
  readonly of?: string;
  /** `true`: only the value: never its type, nor whether it is there. */
  readonly values?: boolean;
  /** Compare the list there in any order, or its items by the value of this key. */
  readonly list?: 'unordered' | { readonly key: string };
  /** Numbers that are no further apart. */
  readonly tolerance?: number;
  /** Both are times, however they are written. */
  readonly time?: boolean;
  /** The live text must match this regular expression. */
  readonly pattern?: string;
  /** The live value must be of this type. */
  readonly type?: 'string' | 'number' | 'boolean' | 'null' | 'array' | 'object';
  /** The live number must be from the first to the second. */
  readonly range?: readonly [number, number];
  /** Why, for people. */
  readonly why?: string;
  /** How often it was seen when it was learnt. */
  readonly seen?: number;
}

export interface NoiseFile {
  readonly format: typeof NOISE_FORMAT;
  readonly rules: readonly NoiseRule[];
}

const FIELDS = new Set(['path', 'of', 'values', 'list', 'tolerance', 'time', 'pattern', 'type', 'range', 'why', 'seen']);
const TYPES = ['string', 'number', 'boolean', 'null', 'array', 'object'];

interface Compiled {
  readonly rule: NoiseRule;
  readonly where: PathPattern;
  readonly of: RegExp | undefined;
  readonly pattern: RegExp | undefined;
}

/** Rules that asked for something of the live value begin with this in what is reported: they are counted apart. */
export const ASKED = 'as asked: ';

export class NoiseRules {
  readonly #rules: readonly Compiled[];

  constructor(rules: readonly NoiseRule[]) {
    this.#rules = rules.map(compile);
  }

  get size(): number {
    return this.#rules.length;
  }

  /** What holds for a session of this summary. */
  for(summary: string): CompareOptions {
    const rules = this.#rules.filter(({ of }) => of === undefined || of.test(summary));
    if (rules.length === 0) return {};
    const lists = rules.filter(({ rule }) => rule.list !== undefined);
    return {
      ignore: (difference) => {
        for (const one of rules) {
          const said = verdictOf(one, difference);
          if (said !== undefined) return said;
        }
        return undefined;
      },
      ...(lists.length === 0 ? {} : {
        list: (path): ListRule | undefined => lists.find(({ where }) => matchesPath(where, path, true))?.rule.list,
      }),
    };
  }
}

function compile(rule: NoiseRule): Compiled {
  const where = parsePattern(rule.path);
  if (where === undefined) throw new UserError(`${JSON.stringify(rule.path)} is no path like response.body.$.createdAt, calls[*].request.headers.x or response.body.$..id`);
  let pattern: RegExp | undefined;
  try {
    pattern = rule.pattern === undefined ? undefined : new RegExp(rule.pattern, 'u');
  } catch {
    throw new UserError(`${JSON.stringify(rule.pattern)} at ${rule.path} is no regular expression`);
  }
  const of = rule.of === undefined ? undefined : new RegExp(`^${rule.of.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`, 's');
  return { rule, where, of, pattern };
}

function verdictOf({ rule, where, pattern }: Compiled, { path, recorded, live, kind }: Difference): string | undefined {
  if (rule.list !== undefined || !matchesPath(where, path)) return undefined;
  const at = where.text;
  if (rule.values === true && !isValue({ path, recorded, live, kind })) return undefined;
  if (rule.tolerance !== undefined) return near(recorded, live, rule.tolerance) ? `within ${rule.tolerance} at ${at}` : undefined;
  if (rule.time === true) return isTime(recorded) && isTime(live) ? `a time at ${at}` : undefined;
  if (pattern !== undefined) return typeof live === 'string' && pattern.test(live) ? `${ASKED}matches ${rule.pattern} at ${at}` : undefined;
  if (rule.type !== undefined) return live !== undefined && typeOf(live) === rule.type ? `${ASKED}a ${rule.type} at ${at}` : undefined;
  if (rule.range !== undefined) return inRange(live, rule.range) ? `${ASKED}from ${rule.range[0]} to ${rule.range[1]} at ${at}` : undefined;
  return `ignored at ${at}`;
}

/** Only the value differs. Never: whether it is there, its type, a status, what is asked for, on what connection, how a message ends. */
export function isValue({ path, recorded, live, kind }: Pick<Difference, 'path' | 'recorded' | 'live' | 'kind'>): boolean {
  if (FIXED.test(path)) return false;
  if (kind === 'bytes') return lengthOf(recorded) === lengthOf(live);
  return kind === 'changed' && typeOf(recorded) === typeOf(live);
}

const FIXED = /^(?:calls\[\d+\]\.)?(?:connection\b|response\.(?:status|whole|version|interim|end|rest|records|appStatus|protocolStatus)|response\..*\.(?:error|errors|code|state)\b|response\.errors|response\.reply\.error|request\.(?:method|path|version|whole|rest|statement|command|messages|records|role|args\[0\])|request\.(?:steps|packets|commands)\[\d+\]\.(?:statement|command|args\[0\]))/;

const lengthOf = (value: unknown): unknown => (typeof value === 'string' ? value.length : (value as { length?: unknown } | undefined)?.length ?? JSON.stringify(value)?.length);
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN);
const near = (a: unknown, b: unknown, tolerance: number): boolean => Math.abs(numberOf(a) - numberOf(b)) <= tolerance;
const inRange = (value: unknown, [least, most]: readonly [number, number]): boolean => numberOf(value) >= least && numberOf(value) <= most;
const isTime = (value: unknown): boolean => (typeof value === 'string' || typeof value === 'number') && timeOf(String(value)) !== undefined;
const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

/** The rules of a file's text. Throws UserError that names `from` and what is wrong. */
export function parseNoise(text: string, from: string): NoiseRule[] {
  const wrong = (what: string): UserError => new UserError(`Cannot read ${from}: ${what}`);
  let file: Partial<NoiseFile>;
  try {
    file = JSON.parse(text) as Partial<NoiseFile>;
  } catch {
    throw wrong('it is not JSON');
  }
  if (file?.format !== NOISE_FORMAT || !Array.isArray(file.rules)) throw wrong(`expected {"format": "${NOISE_FORMAT}", "rules": […]}`);
  return (file.rules as readonly unknown[]).map((rule, at) => checked(rule, (what) => wrong(`rule ${at + 1}: ${what}`)));
}

function checked(value: unknown, wrong: (what: string) => UserError): NoiseRule {
  if (typeof value !== 'object' || value === null) throw wrong('it is no object');
  const rule = value as NoiseRule;
  const odd = Object.keys(rule).find((name) => !FIELDS.has(name));
  if (odd !== undefined) throw wrong(`${JSON.stringify(odd)} is no field of a rule`);
  if (typeof rule.path !== 'string' || parsePattern(rule.path) === undefined) throw wrong(`${JSON.stringify(rule.path)} is no path`);
  const { list, range } = rule;
  if (list !== undefined && list !== 'unordered' && typeof list.key !== 'string') throw wrong('list is "unordered" or {"key": NAME}');
  if (rule.tolerance !== undefined && !(rule.tolerance >= 0)) throw wrong('tolerance is a number, 0 or more');
  if (rule.type !== undefined && !TYPES.includes(rule.type)) throw wrong(`type is one of ${TYPES.join(', ')}`);
  if (range !== undefined && !(Array.isArray(range) && range.length === 2 && range.every((bound) => typeof bound === 'number'))) throw wrong('range is [LEAST, MOST]');
  for (const name of ['of', 'pattern', 'why'] as const) if (rule[name] !== undefined && typeof rule[name] !== 'string') throw wrong(`${name} is a text`);
  for (const name of ['values', 'time'] as const) if (rule[name] !== undefined && typeof rule[name] !== 'boolean') throw wrong(`${name} is true or false`);
  compile(rule);
  return rule;
}
