import assert from 'node:assert/strict';
import { postgresqlMessage } from '../../../src/protocols/postgresql-messages.ts';
import { Settings } from '../../../src/replay/settings.ts';
import { bytes } from './build.ts';

const resp = (...words: string[]): Uint8Array => bytes(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
const query = (sql: string): Uint8Array => postgresqlMessage('Q', Buffer.from(`${sql}\0`));
const packet = (command: number, text: string): Uint8Array => bytes(`${String.fromCharCode((text.length + 1) & 0xff, (text.length + 1) >> 8)}\0\0${String.fromCharCode(command)}${text}`);

export function startup(values: Readonly<Record<string, string>>): Uint8Array {
  const body = Buffer.concat([Buffer.from('\0\x03\0\0'), ...Object.entries(values).map(([name, value]) => Buffer.from(`${name}\0${value}\0`)), Buffer.from('\0')]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
}

function after(protocol: string, requests: readonly Uint8Array[], login?: Uint8Array): Record<string, string> {
  const settings = new Settings(protocol);
  if (login !== undefined) settings.logIn(login);
  for (const request of requests) settings.hear(request);
  return Object.fromEntries(settings.values);
}

describe('the settings of a connection', () => {
  it('of Redis are its database, its user and READONLY, however they are said, and no names or questions', () => {
    assert.deepEqual(after('redis', [resp('select', '5'), resp('CLIENT', 'SETNAME', 'me-4711'), resp('COMMAND'), resp('READONLY'), resp('GET', 'select')]), { database: '5', readonly: 'yes' });
    assert.deepEqual(after('redis', [resp('HELLO', '3', 'AUTH', 'shop', 'pw', 'SETNAME', 'x'), resp('SELECT', '5'), resp('SELECT', '0')]), { user: 'shop' });
    assert.deepEqual(after('redis', [bytes('AUTH pw\r\n')]), { user: 'default' });
  });

  it('of PostgreSQL are those of its start-up and of every SET, but for who asks and what holds for one transaction', () => {
    const login = startup({ user: 'shop', application_name: 'web-4711', options: '-c search_path=a,b --work_mem=8MB', TimeZone: 'UTC' });
    const initial = { user: 'shop', database: 'shop', search_path: 'a,b', work_mem: '8MB', timezone: 'UTC' };
    assert.deepEqual(after('postgresql', [query('SET application_name TO \'x\''), query('SET LOCAL work_mem = 1'), query('SELECT 1'), query('SET TRANSACTION READ ONLY')], login), initial);
    assert.deepEqual(after('postgresql', [query('set Search_Path to "x", public; SET SESSION statement_timeout = \'5s\''), query('SET TIME ZONE \'CET\''), query('SET ROLE other')], login),
      { ...initial, search_path: 'x, public', statement_timeout: '5s', timezone: 'CET', role: 'other' });
    assert.deepEqual(after('postgresql', [query('SET search_path = x'), query('SELECT set_config(\'app.tenant\', \'7\', false)'), query('RESET search_path')], login), { ...initial, 'app.tenant': '7' });
    assert.deepEqual(after('postgresql', [query('SET search_path = x'), query('DISCARD ALL')], login), initial);
    assert.deepEqual(after('postgresql', [postgresqlMessage('P', Buffer.from('\0SET extra_float_digits = 3\0\0\0'))]), { extra_float_digits: '3' });
  });

  it('of MySQL are those of its login, USE and SET, several in one too', () => {
    const login = Buffer.concat([Buffer.from([0x40, 0, 0, 1, 0x8d, 0xa6, 0x0f, 0, 0, 0, 0, 1, 45]), Buffer.alloc(23), Buffer.from('shop\0'), Buffer.from([3, 1, 2, 3]), Buffer.from('goods\0mysql_native_password\0')]);
    assert.deepEqual(after('mysql', [], login), { 'character set': '45', user: 'shop', database: 'goods' });
    assert.deepEqual(after('mysql', [packet(3, 'USE `other`'), packet(3, 'SET NAMES utf8mb4'), packet(3, '/* by me */ SET autocommit=0, sql_mode=CONCAT(@@sql_mode, \',STRICT\'), @@session.time_zone = \'+00:00\'')]),
      { database: 'other', names: 'utf8mb4', autocommit: '0', sql_mode: 'CONCAT(@@sql_mode, \', STRICT\')', time_zone: '+00:00' });
    assert.deepEqual(after('mysql', [packet(2, 'goods'), packet(3, 'SET GLOBAL x=1'), packet(3, 'SELECT @@version'), packet(3, 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')]),
      { database: 'goods', transaction: 'ISOLATION LEVEL READ COMMITTED' });
    assert.deepEqual(after('mysql', [packet(3, 'SET autocommit=0'), packet(0x1f, '')], login), { 'character set': '45', user: 'shop', database: 'goods' });
  });

  it('are the same text for the same settings, whatever their order', () => {
    const text = (...sqls: string[]): string => { const settings = new Settings('postgresql'); for (const sql of sqls) settings.hear(query(sql)); return settings.text; };
    assert.equal(text('SET a = 1', 'SET b = 2'), text('SET b = 2', 'SET a = 7', 'SET a = 1'));
  });
});
