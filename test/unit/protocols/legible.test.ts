import assert from 'node:assert/strict';
import { legible } from '../../../src/protocols/legible.ts';
import { postgresqlMessage } from '../../../src/protocols/postgresql-messages.ts';

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const value = (bytes: Buffer): Buffer => Buffer.concat([int32(bytes.length), bytes]);

describe('what a message says', () => {
  it('has an HTTP request\'s target, its telling fields and its body, and no others', () => {
    const text = legible('http', 'client', Buffer.from('POST /a%20b HTTP/1.1\r\nHost: shop\r\nX-User: mia\r\nContent-Length: 4\r\nUser-Agent: bot/1\r\n\r\nbody'));
    assert.equal(text, '/a b\nmia\nbody');
  });

  it('has PostgreSQL\'s statements and values, those in binary as they are written', () => {
    const long = Buffer.alloc(8);
    long.writeBigInt64BE(9_000_000_001n);
    const bind = Buffer.concat([Buffer.from('\0stmt_1\0\0\x01\0\x01\0\x04'), value(Buffer.from('mia')), value(int32(481_216)), value(long), value(Buffer.from('550e8400e29b41d4a716446655440000', 'hex')), Buffer.from('\0\0')]);
    const bytes = Buffer.concat([postgresqlMessage('P', Buffer.from('stmt_1\0select 1\0\0\0')), postgresqlMessage('B', bind)]);
    assert.equal(legible('postgresql', 'client', bytes), 'select 1\nmia\n481216\n9000000001\n550e8400-e29b-41d4-a716-446655440000');
    const row = Buffer.concat([Buffer.from('\0\x02'), value(int32(481_216)), int32(-1)]);
    assert.equal(legible('postgresql', 'server', postgresqlMessage('D', row)), '481216');
  });

  it('has Redis\' words without their lengths', () => {
    assert.equal(legible('redis', 'client', Buffer.from('*2\r\n$3\r\nGET\r\n$1000\r\nkey\r\n')).replace(/\s+/g, ' ').trim(), 'GET key');
    assert.match(legible('redis', 'server', Buffer.from(':4711\r\n')), /4711/);
  });

  it('has nothing of TLS, and never throws, wherever a message is cut', () => {
    assert.equal(legible('tls', 'client', Buffer.from('\x16\x03\x01')), '');
    for (const protocol of ['http', 'postgresql', 'redis', 'fastcgi', 'mysql', 'unknown']) {
      const bytes = Buffer.from('B\0\0\0\x20\0s\0\0\x01\0\x01\x01\x04\0\x08\0\0GET / HTTP/1.1\r\nA: b\r\n\r\n$3\r\nabc');
      for (let length = 0; length <= bytes.length; length += 1) for (const side of ['client', 'server'] as const) assert.equal(typeof legible(protocol, side, bytes.subarray(0, length)), 'string');
    }
  });
});
