/**
 * What a driver says because its connection is new, beyond logging in: it asks its server what it is (`sql-inquiry.ts`), in a transaction or not, which
 * it then ends. SQLAlchemy does so on the first connection of a process, asyncpg on each, whatever request came first; so that is no call of a session's.
 *
 *   BEGIN   select version()   show …   ROLLBACK      the connection's own, all four
 *   BEGIN   select * from items                       a session's: BEGIN is held until that shows
 *
 * Only the beginning of a connection is looked at, up to the first thing else. The same for a recorded connection and a live one, of a
 * protocol that has statements (`statements/statements.ts`). Pure.
 */
import { Fields, int16Bytes as int16, int32Bytes as int32, postgresqlMessage as message, readMessages, textBytes as text } from '../protocols/postgresql-messages.ts';
import { sqlKind, type SqlKind } from '../protocols/sql-inquiry.ts';
import { COM } from '../protocols/mysql-fields.ts';
import { mysqlOk } from '../protocols/mysql-packets.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import { INVENTED_PARAMETERS } from './logins.ts';

/** inquires: the connection's own. holds: only what comes shows whose it is. ends: it and what was held are the connection's own. over: a call's. */
export type OpeningStep = 'inquires' | 'holds' | 'ends' | 'over';

const STEPS: Readonly<Record<SqlKind, OpeningStep>> = { inquiry: 'inquires', begins: 'holds', within: 'holds', ends: 'ends', other: 'over' };
/** A driver says less; and what is held is kept. */
const MAX_STEPS = 64;
const NOTHING = new Uint8Array(0);

export class Opening {
  readonly #protocol: ProtocolName;
  #inquired = false;
  #held = false;
  #steps = 0;
  #over = false;

  constructor(protocol: ProtocolName) {
    this.#protocol = protocol;
  }

  /** `request`: in its plain form. */
  hear(request: Uint8Array): OpeningStep {
    const step = this.#over || this.#steps >= MAX_STEPS ? 'over' : STEPS[sqlKind(this.#protocol, sqlOf(this.#protocol, request)?.sql ?? '')];
    this.#steps += 1;
    if (step === 'over' || (step === 'ends' && !this.#inquired)) {
      this.#over = true;
      return 'over';
    }
    if (step === 'inquires') this.#inquired = true;
    else this.#held = step === 'holds';
    if (step === 'ends') this.#inquired = false;
    return step;
  }

  /** Its answer, told as of the transaction that it stands in now. */
  told(answer: Uint8Array): Uint8Array {
    if (this.#protocol !== 'postgresql' || answer.at(-6) !== READY) return answer;
    return Buffer.concat([answer.subarray(0, -1), Buffer.from(this.#held ? 'T' : 'I')]);
  }
}

const READY = 0x5a;

interface Statement {
  readonly sql: string;
  /** PostgreSQL: said by Parse, Bind and Execute. */
  readonly extended: boolean;
}

/** The one statement that a request in its plain form is; undefined where it is another thing. */
function sqlOf(protocol: ProtocolName, request: Uint8Array): Statement | undefined {
  if (protocol === 'mysql') return request[4] === COM.query ? { sql: Buffer.from(request.subarray(5)).toString(), extended: false } : undefined;
  let found: Statement | undefined;
  for (const { type, body, missing } of readMessages(request, 'client')) {
    if (missing > 0) return undefined;
    if (type !== 'Q' && type !== 'P') continue;
    if (found !== undefined) return undefined;
    const fields = new Fields(body);
    if (type === 'P') fields.text();
    found = { sql: fields.text(), extended: type === 'P' };
  }
  return found;
}

/** What is said in answer where nothing was recorded that answers it: to what is held, to an end, to an inquiry. Undefined: nobody can know. */
export function inventedOpening(protocol: ProtocolName, request: Uint8Array): Uint8Array | undefined {
  const statement = sqlOf(protocol, request);
  if (statement === undefined) return undefined;
  const { sql, extended } = statement;
  const kind = sqlKind(protocol, sql);
  if (protocol === 'mysql') return kind === 'inquiry' || kind === 'other' ? undefined : mysqlOk(1);
  const parts = kind === 'inquiry' ? inquired(sql) : [message('C', text(sql.trim().split(/[\s;]+/)[0]?.toUpperCase() ?? ''))];
  return Buffer.concat([...(extended ? [message('1', NOTHING), message('2', NOTHING)] : []), ...parts, message('Z', Buffer.from('I'))]);
}

/** Type text, of no fixed size. */
const TEXT_TYPE = 25;

/** One row of one column of text; of what asks for types, none. */
function inquired(sql: string): Buffer[] {
  const [name, value] = settingOf(sql);
  if (value === undefined) return [message('T', int16(0)), message('C', text('SELECT 0'))];
  const bytes = Buffer.from(value);
  return [
    message('T', Buffer.concat([int16(1), text(name), int32(0), int16(0), int32(TEXT_TYPE), int16(-1), int32(-1), int16(0)])),
    message('D', Buffer.concat([int16(1), int32(bytes.length), bytes])),
    message('C', text(/^\s*show/i.test(sql) ? 'SHOW' : 'SELECT 1')),
  ];
}

const PARAMETERS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(INVENTED_PARAMETERS).map(([name, value]) => [name.toLowerCase(), value])),
  'transaction isolation level': 'read committed', transaction_isolation: 'read committed', default_transaction_isolation: 'read committed', server_version_num: '150000',
  transaction_read_only: 'off', default_transaction_read_only: 'off', search_path: '"$user", public', max_identifier_length: '63',
};

/** The column's name, and its value where it has one. */
function settingOf(sql: string): readonly [string, string | undefined] {
  const called = /^\s*SELECT\s+(?:pg_catalog\.)?(\w+)\s*\(\s*(?:'([^']*)')?/i.exec(sql);
  if (called !== null && !/\bFROM\b/i.test(sql)) {
    const [, name = '', setting] = called;
    const values: Readonly<Record<string, string>> = {
      version: `PostgreSQL ${INVENTED_PARAMETERS.server_version} on x86_64-pc-linux-gnu, 64-bit`, current_schema: 'public', current_database: 'postgres', pg_is_in_recovery: 'f', pg_backend_pid: '1',
    };
    return [name.toLowerCase(), setting === undefined ? values[name.toLowerCase()] : PARAMETERS[setting.toLowerCase()] ?? ''];
  }
  const shown = /^\s*SHOW\s+([^;]+?)\s*;?\s*$/i.exec(sql)?.[1]?.replace(/\s+/g, ' ').toLowerCase();
  return shown === undefined ? ['', undefined] : [shown.replaceAll(' ', '_'), PARAMETERS[shown] ?? ''];
}
