import assert from 'node:assert/strict';
import { sqlKind } from '../../../src/protocols/sql-inquiry.ts';

describe('what a driver asks a server of itself', () => {
  const is = (protocol: string, kind: string, ...statements: readonly string[]): void => {
    for (const sql of statements) assert.equal(sqlKind(protocol, sql), kind, sql);
  };

  it('is an inquiry: its version, a setting, its types', () => {
    is('postgresql', 'inquiry', 'select pg_catalog.version()', 'SELECT version();', 'select current_schema()', 'show standard_conforming_strings', 'SHOW TRANSACTION ISOLATION LEVEL',
      "SELECT current_setting('server_version_num')", "/* pool */ SELECT pg_is_in_recovery() -- alive", 'SELECT typname AS name, oid\nFROM pg_type t\nWHERE t.oid = to_regtype($1)',
      'WITH RECURSIVE typeinfo_tree(oid) AS (SELECT oid FROM pg_catalog.pg_type) SELECT * FROM typeinfo_tree');
    is('mysql', 'inquiry', 'SELECT VERSION()', 'select database()', "SHOW VARIABLES LIKE 'sql_mode'", 'SHOW COLLATION', "SELECT CAST('test plain returns' AS CHAR(60)) AS anon_1");
  });

  it('is none that reads what is somebody\'s, or does something', () => {
    is('postgresql', 'other', 'select * from versions', 'select version() from items', 'SELECT 1', 'select version(); drop table items', 'SELECT set_config(\'a\', \'b\', false)',
      'insert into t select oid from pg_type', 'SELECT pg_types FROM pg_type_of_items', 'VACUUM', '');
    is('mysql', 'other', 'SHOW TABLES', 'SELECT version FROM items', 'select current_schema()', 'SHOW WARNINGS');
    is('redis', 'other', 'select version()');
  });

  it('knows what only begins, goes on in or ends a transaction', () => {
    is('postgresql', 'begins', 'BEGIN', 'begin isolation level serializable', 'START TRANSACTION READ ONLY');
    is('postgresql', 'within', 'SAVEPOINT "_pg3_1"', 'RELEASE "_pg3_1"', 'RELEASE SAVEPOINT a', 'ROLLBACK TO SAVEPOINT a', 'ROLLBACK WORK TO a');
    is('mysql', 'ends', 'COMMIT', 'rollback;', 'ROLLBACK WORK', 'END');
    is('mysql', 'other', 'COMMIT AND CHAIN', 'BEGIN; DELETE FROM items');
  });
});
