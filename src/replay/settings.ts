/**
 * What a connection was set up to be: whose, in which database, with which settings. Of the requests that set up, only what has
 * an effect on later calls: questions (`SELECT @@version`), names that say who asks (application_name, CLIENT SETNAME) and
 * passwords are none. Pure.
 */
import { readHandshakeResponse } from '../protocols/mysql-login.ts';
import { Fields, readMessages } from '../protocols/postgresql-messages.ts';
import { readCommands } from '../protocols/redis-value.ts';
import type { ProtocolName } from '../protocols/protocol.ts';

/** By name: `database`, `user`, `search_path`, `sql_mode`. */
export type SettingValues = ReadonlyMap<string, string>;

/** Longer requests set nothing up. */
const MAX_REQUEST_BYTES = 4 << 10;
/** So many settings of a connection are told apart. */
const MAX_SETTINGS = 64;
const MAX_VALUE_CHARS = 1_000;

const REDIS = /^(?:\*\d+\r\n\$\d+\r\n)?(?:select|auth|hello|readonly|readwrite)\b/i;
const SQL = /\b(?:set|use|reset|discard|set_config)\b/i;
const LABELS = /^(?:(?:fallback_)?application_name|program_name)$/;

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();

/** Cheap and first: nearly all requests are others. */
function maySet(protocol: ProtocolName, request: Uint8Array): boolean {
  if (request.length < 5 || request.length > MAX_REQUEST_BYTES) return false;
  if (protocol === 'redis') return REDIS.test(text(request.subarray(0, 32)));
  if (protocol === 'postgresql') return (request[0] === 0x51 || request[0] === 0x50) && SQL.test(text(request.subarray(5)));
  if (protocol === 'mysql') return request[4] === 0x02 || request[4] === 0x1f || (request[4] === 0x03 && SQL.test(text(request.subarray(5))));
  return false;
}

/** Undefined for a protocol of which nothing is known that sets a connection up. */
export const settingsOf = (protocol: ProtocolName): Settings | undefined => (['redis', 'postgresql', 'mysql'].includes(protocol) ? new Settings(protocol) : undefined);

/** The values that one request by itself sets. */
export function settingsIn(protocol: ProtocolName, request: Uint8Array): SettingValues | undefined {
  if (!maySet(protocol, request)) return undefined;
  const settings = new Settings(protocol);
  settings.hear(request);
  return settings.values.size === 0 ? undefined : settings.values;
}

export class Settings {
  readonly #protocol: ProtocolName;
  readonly #values = new Map<string, string>();
  /** As the login left them: what `RESET` goes back to. */
  #initial: SettingValues = new Map();
  #text: string | undefined;

  constructor(protocol: ProtocolName) {
    this.#protocol = protocol;
  }

  get values(): SettingValues {
    return this.#values;
  }

  /** The values as one text: the same for the same settings. `settingValues` reads it. */
  get text(): string {
    return (this.#text ??= JSON.stringify([...this.#values].sort(([a], [b]) => (a < b ? -1 : 1))));
  }

  /** The client's bytes of its login, without what it said of TLS. */
  logIn(bytes: Uint8Array): void {
    if (this.#protocol === 'postgresql') this.#postgresqlStartup(bytes);
    if (this.#protocol === 'mysql') this.#mysqlLogin(bytes);
    this.#initial = new Map(this.#values);
  }

  /** A request after the login; most set nothing up. */
  hear(request: Uint8Array): void {
    if (!maySet(this.#protocol, request)) return;
    if (this.#protocol === 'redis') {
      for (const words of readCommands(request).commands) this.#redis(words.map(text));
    } else if (this.#protocol === 'postgresql') {
      for (const { type, body } of readMessages(request, 'client')) {
        const fields = new Fields(body);
        if (type === 'P') fields.text();
        if (type === 'Q' || type === 'P') this.#sql(fields.text());
      }
    } else {
      if (request[4] === 0x02) this.#set('database', text(request.subarray(5)));
      else if (request[4] === 0x03) this.#sql(text(request.subarray(5)));
      else if (request[4] === 0x1f) this.#reset();
    }
  }

  #set(name: string, value: string | undefined): void {
    if (LABELS.test(name) || (!this.#values.has(name) && this.#values.size >= MAX_SETTINGS)) return;
    this.#text = undefined;
    if (value === undefined) this.#values.delete(name);
    else this.#values.set(name, value.slice(0, MAX_VALUE_CHARS));
  }

  #reset(): void {
    this.#text = undefined;
    this.#values.clear();
    for (const [name, value] of this.#initial) this.#values.set(name, value);
  }

  #redis([first = '', ...args]: readonly string[]): void {
    switch (first.toUpperCase()) {
      // 0 is where a connection begins.
      case 'SELECT': return this.#set('database', args[0] === '0' ? undefined : args[0]);
      case 'AUTH': return this.#set('user', args.length > 1 ? args[0] : 'default');
      case 'HELLO': {
        const auth = args.findIndex((word) => word.toUpperCase() === 'AUTH');
        if (auth >= 0) this.#set('user', args[auth + 1]);
        return;
      }
      case 'READONLY': return this.#set('readonly', 'yes');
      case 'READWRITE': return this.#set('readonly', undefined);
      default:
    }
  }

  /** StartupMessage: length, version, names and values. */
  #postgresqlStartup(bytes: Uint8Array): void {
    const fields = new Fields(bytes.subarray(8));
    const values = new Map<string, string>();
    for (let name = fields.text(); name !== '' && fields.whole; name = fields.text()) values.set(name, fields.text());
    for (const [name, value] of values) {
      if (name === 'options') for (const [, key = '', its = ''] of value.matchAll(/(?:-c\s*|--)([\w.]+)=((?:\\.|\S)*)/g)) this.#set(key.toLowerCase(), its.replace(/\\(.)/g, '$1'));
      else this.#set(name.toLowerCase(), value);
    }
    const user = values.get('user');
    if (user !== undefined && !values.has('database')) this.#set('database', user);
  }

  #mysqlLogin(bytes: Uint8Array): void {
    const said = readHandshakeResponse(bytes);
    if (said === undefined) return;
    this.#set('character set', String(said.characterSet));
    this.#set('user', said.user);
    if (said.database !== '') this.#set('database', said.database);
  }

  #sql(sql: string): void {
    for (const statement of sql.replace(EXECUTED, ' $1 ').replace(COMMENTS, ' ').split(';')) this.#statement(statement.trim());
  }

  #statement(statement: string): void {
    if (!/^(?:set|use|reset|discard|select\s+(?:pg_catalog\.)?set_config)\b/i.test(statement)) return;
    const used = /^use\s+(\S+)$/i.exec(statement);
    if (used !== null) return this.#set('database', unquoted(used[1]!));
    const configured = /^select\s+(?:pg_catalog\.)?set_config\s*\(\s*'([^']+)'\s*,\s*'([^']*)'/i.exec(statement);
    if (configured !== null) return this.#set(configured[1]!.toLowerCase(), configured[2]);
    if (/^(?:reset|discard)\s+all$/i.test(statement)) return this.#reset();
    const reset = /^reset\s+(?:session\s+)?([\w.]+)$/i.exec(statement);
    if (reset !== null) return this.#set(reset[1]!.toLowerCase(), this.#initial.get(reset[1]!.toLowerCase()));
    // Of this transaction only, or of the whole server.
    if (!/^set\s/i.test(statement) || /^set\s+(?:local|global|transaction|constraints|persist|statement)\b/i.test(statement)) return;
    const rest = statement.replace(/^set\s+(?:session\s+(?!characteristics|authorization))?/i, '');
    const named = SPECIAL.find(({ pattern }) => pattern.test(rest));
    if (named !== undefined) return this.#set(named.name, unquoted(rest.replace(named.pattern, '')));
    for (const part of this.#protocol === 'mysql' ? rest.split(OUTER_COMMA) : [rest]) this.#assignment(part.trim());
  }

  #assignment(part: string): void {
    const match = /^(?:@@)?(?:(?:session|local)(?:\.|\s+))?([@\w."`]+)\s*(?::=|=|\s+to\s)\s*([^]*)$/i.exec(part);
    if (match === null) return;
    const [, name = '', value = ''] = match;
    this.#set(unquoted(name).toLowerCase(), value.split(',').map((one) => unquoted(one.trim())).join(', '));
  }
}

// As in `protocols/sql-setup.ts`.
const EXECUTED = /\/\*M?!\d*([^]*?)\*\//g;
const COMMENTS = /\/\*[^]*?\*\/|^\s*(?:--|#).*$/gm;
/** One outside of brackets and quotes. */
const OUTER_COMMA = /,(?=(?:[^'"()]|'[^']*'|"[^"]*"|\([^()]*\))*$)/;

const SPECIAL = [
  { pattern: /^names\s+/i, name: 'names' },
  { pattern: /^(?:character set|charset)\s+/i, name: 'names' },
  { pattern: /^time zone\s+/i, name: 'timezone' },
  { pattern: /^role\s+(?!=)/i, name: 'role' },
  { pattern: /^session authorization\s+/i, name: 'user' },
  { pattern: /^(?:session characteristics as )?transaction\s+/i, name: 'transaction' },
];

const unquoted = (value: string): string => value.trim().replace(/^(['"`])([^]*)\1$/, '$2');

/** What `Settings.text` says. */
export function settingValues(said: string): SettingValues {
  return new Map(JSON.parse(said) as [string, string][]);
}
