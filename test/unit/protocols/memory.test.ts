import assert from 'node:assert/strict';
import type { Memory } from '../../../src/protocols/memory.ts';
import { MysqlMemory } from '../../../src/protocols/mysql-memory.ts';
import { PostgresqlMemory } from '../../../src/protocols/postgresql-memory.ts';
import { postgresqlMessage as message } from '../../../src/protocols/postgresql-messages.ts';
import { RedisMemory } from '../../../src/protocols/redis-memory.ts';

const NOTHING = new Uint8Array(0);
const text = (...words: readonly string[]): Buffer => Buffer.from(words.map((word) => `${word}\0`).join(''));
const counts = (...numbers: readonly number[]): Buffer => Buffer.concat(numbers.map((number) => Buffer.from([number >> 8, number & 255])));

const parse = (name: string, sql: string): Buffer => message('P', Buffer.concat([text(name, sql), counts(0)]));
const bind = (statement: string, portal = ''): Buffer => message('B', Buffer.concat([text(portal, statement), counts(0, 0, 0)]));
const execute = (portal = ''): Buffer => message('E', Buffer.concat([text(portal), counts(0, 0)]));
const sync = message('S', NOTHING);
const query = (sql: string): Buffer => message('Q', text(sql));

describe('what a request refers to', () => {
  describe('of PostgreSQL', () => {
    const heard = (...requests: readonly (Buffer | readonly Buffer[])[]): boolean[] => {
      const memory: Memory = new PostgresqlMemory();
      return requests.map((request) => memory.hear(Buffer.concat([request].flat()), NOTHING));
    };

    it('is itself where it parses what it binds, and where it is a plain query', () => {
      assert.deepEqual(heard([parse('', 'select 1'), bind(''), execute(), sync], query('select 1'), query('BEGIN'), sync), [true, true, true, true]);
    });

    it('is a statement that was prepared before, seen or not', () => {
      assert.deepEqual(heard([bind('s1'), execute(), sync], [parse('s1', 'select 1'), sync], [bind('s1'), execute(), sync]), [false, true, true]);
      assert.deepEqual(heard([message('D', text('Ss1')), sync], [parse('s1', 'select 1'), message('D', text('Ss1')), sync]), [false, true]);
    });

    it('is a portal whose rows are fetched further', () => {
      assert.deepEqual(heard([execute('c1'), sync], [parse('', 'select 1'), bind('', 'c1'), execute('c1'), sync], [execute('c1'), sync]), [false, true, true]);
    });

    it('is what SQL itself names: a prepared statement, a cursor', () => {
      assert.deepEqual(heard(query('EXECUTE Get(1)'), query('prepare get as select $1'), query('execute get (1)')), [false, true, true]);
      for (const fetch of ['FETCH ALL FROM "Cur"', 'fetch 10 in "Cur"', 'MOVE FORWARD 3 FROM "Cur"', 'FETCH "Cur"', 'FETCH NEXT "Cur"']) {
        assert.deepEqual(heard(query(fetch), query('DECLARE "Cur" CURSOR FOR SELECT 1'), query(fetch)), [false, true, true], fetch);
      }
    });

    it('is not known where bytes of it are missing', () => {
      assert.deepEqual(heard(query('select 1').subarray(0, 9)), [false]);
    });
  });

  describe('of MySQL', () => {
    const packet = (...bytes: readonly number[]): Buffer => Buffer.from([bytes.length, 0, 0, 0, ...bytes]);
    const prepared = (id: number): Buffer => packet(0, id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const heard = (...talks: readonly (readonly [Buffer, Buffer?])[]): boolean[] => {
      const memory = new MysqlMemory();
      return talks.map(([request, response]) => memory.hear(request, response ?? NOTHING));
    };
    const executed = (id: number): Buffer => packet(23, ...(id < 0 ? [255, 255, 255, 255] : [id, 0, 0, 0]), 0, 1, 0, 0, 0);

    it('is itself where it is a plain query, a ping, or closes a statement', () => {
      assert.deepEqual(heard([packet(3, 0x31)], [packet(14)], [packet(25, 7, 0, 0, 0)]), [true, true, true]);
    });

    it('is a statement that was prepared before, seen or not, by the number that its answer gave', () => {
      assert.deepEqual(heard([executed(7)], [packet(22, 0x31), prepared(7)], [executed(7)], [executed(8)]), [false, true, true, false]);
      assert.deepEqual(heard([executed(-1)], [packet(22, 0x31), prepared(7)], [executed(-1)]), [false, true, true], 'MariaDB: the last one');
    });

    it('is no statement that was closed, or went with a reset', () => {
      assert.deepEqual(heard([packet(22, 0x31), prepared(7)], [packet(25, 7, 0, 0, 0)], [executed(7)]), [true, true, false]);
      assert.deepEqual(heard([packet(22, 0x31), prepared(7)], [packet(31)], [executed(7)]), [true, true, false]);
    });

    it('is none of a statement that could not be prepared', () => {
      assert.deepEqual(heard([packet(22, 0x31), packet(0xff, 7, 0, 0, 0, 0, 0, 0)], [executed(7)]), [true, false]);
    });
  });

  describe('of Redis', () => {
    const heard = (...talks: readonly (readonly [string, string])[]): boolean[] => {
      const memory = new RedisMemory();
      return talks.map(([command, answer]) => memory.hear(Buffer.from(`*1\r\n$${command.length}\r\n${command}\r\n`), Buffer.from(answer)));
    };

    it('is itself, but for what stands in a MULTI', () => {
      assert.deepEqual(heard(['PING', '+PONG\r\n'], ['MULTI', '+OK\r\n'], ['PING', '+QUEUED\r\n'], ['EXEC', '*1\r\n+PONG\r\n'], ['PING', '+PONG\r\n']), [true, true, true, true, true]);
      assert.deepEqual(heard(['PING', '+QUEUED\r\n'], ['exec', '*1\r\n+PONG\r\n'], ['PING', '+PONG\r\n']), [false, false, true]);
      assert.deepEqual(heard(['MULTI', '+OK\r\n'], ['DISCARD', '+OK\r\n'], ['EXEC', '-ERR EXEC without MULTI\r\n']), [true, true, false]);
    });
  });
});
