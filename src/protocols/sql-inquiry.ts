/**
 * SQL by which a driver gets to know its server on a new connection, and that reads nothing of anybody's: version, settings, the schema that it is in,
 * the numbers of types. SQLAlchemy, psycopg, asyncpg, pgx, Npgsql, Connector/J and the like ask so, some on each connection, some on the first of a process.
 */
const INQUIRIES: Readonly<Record<string, RegExp>> = {
  postgresql: new RegExp([
    String.raw`^SELECT\s+(?:pg_catalog\.)?(?:version|current_schema|current_database|pg_is_in_recovery|pg_backend_pid)\s*\(\s*\)$`,
    String.raw`^SELECT\s+(?:pg_catalog\.)?current_setting\s*\([^()]*\)(?:\s+AS\s+\w+)?$`,
    String.raw`^SHOW\s+[\w.]+(?:\s+\w+)*$`,
    String.raw`^(?:SELECT|WITH)\b[^]*\bFROM\s+(?:pg_catalog\.)?pg_type\b`,
  ].join('|'), 'i'),
  mysql: new RegExp([
    String.raw`^SELECT\s+(?:version|database|schema|connection_id)\s*\(\s*\)$`,
    String.raw`^SELECT\s+CAST\('test (?:plain|unicode|collated) returns' AS CHAR`,
    String.raw`^SHOW\s+(?:SESSION\s+|GLOBAL\s+)?(?:VARIABLES|COLLATION)\b`,
  ].join('|'), 'i'),
};

const COMMENTS = /\/\*[^]*?\*\/|--.*$/gm;
const BEGINS = /^(?:BEGIN|START\s+TRANSACTION)\b/i;
const WITHIN = /^(?:SAVEPOINT|RELEASE(?:\s+SAVEPOINT)?|ROLLBACK\s+(?:WORK\s+|TRANSACTION\s+)?TO)\b/i;
const ENDS = /^(?:COMMIT|ROLLBACK|END)(?:\s+(?:WORK|TRANSACTION))?$/i;

/** inquiry: as above. begins, within, ends: of a transaction, and nothing else. other: anything. */
export type SqlKind = 'inquiry' | 'begins' | 'within' | 'ends' | 'other';

/** What one statement is; a text of several is `other`. */
export function sqlKind(protocol: string, sql: string): SqlKind {
  const text = sql.replace(COMMENTS, ' ').trim().replace(/\s*;$/, '');
  if (text.includes(';')) return 'other';
  if (BEGINS.test(text)) return 'begins';
  if (WITHIN.test(text)) return 'within';
  if (ENDS.test(text)) return 'ends';
  return INQUIRIES[protocol]?.test(text) === true ? 'inquiry' : 'other';
}
