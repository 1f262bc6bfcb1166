import assert from 'node:assert/strict';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { SetupBook } from '../../../src/replay/setup-book.ts';
import { setupOf } from '../../../src/replay/setups.ts';
import { bytes, prologue } from './build.ts';

const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('latin1');
const pg = (type: string, payload: string): string => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(payload.length + 4);
  return type + length.toString('latin1') + payload;
};
const startup = ((): string => {
  const payload = '\0\x03\0\0user\0me\0\0';
  const length = Buffer.alloc(4);
  length.writeInt32BE(payload.length + 4);
  return length.toString('latin1') + payload;
})();

describe('a recorded prologue', () => {
  it('of a server that speaks first begins with its greeting', () => {
    const setup = setupOf(prologue('10.0.0.5:25', [['S', '220 ready\r\n'], ['C', 'EHLO me\r\n'], ['S', '250 ok\r\n']]), 'unknown', undefined);
    assert.equal(text(setup.greeting), '220 ready\r\n');
    assert.deepEqual(setup.pairs.map((pair) => [text(pair.request), text(pair.response)]), [['EHLO me\r\n', '250 ok\r\n']]);
    assert.equal(setup.login, undefined);
  });

  const admitted = pg('R', '\0\0\0\0') + pg('S', 'server_version\x0016.1\0') + pg('K', 'aaaabbbb') + pg('Z', 'I');
  const login = (tls: boolean): ReturnType<typeof setupOf> => setupOf(prologue('10.0.0.5:5432', [
    ...(tls ? [['C', '\0\0\0\x08\x04\xd2\x16\x2f'], ['S', 'N']] as const : []),
    ['C', startup], ['S', pg('R', '\0\0\0\x05salt')], ['C', pg('p', 'md5aaaa\0')], ['S', admitted],
    ['C', pg('Q', 'SET a TO 1\0')], ['S', pg('C', 'SET\0') + pg('Z', 'I')],
  ]), 'postgresql', undefined);

  for (const tls of [false, true]) {
    it(`of PostgreSQL lets in at once, with the recorded parameters${tls ? ', though the client asked for TLS first' : ''}`, () => {
      const setup = login(tls);
      const step = setup.login?.step(bytes(startup));
      assert.equal(step?.consumed, startup.length);
      assert.equal(step.done, true);
      assert.equal(text(step.answer), admitted);
      assert.equal(setup.login?.invented, false);
      assert.deepEqual(setup.pairs.map((pair) => text(pair.request)), [pg('Q', 'SET a TO 1\0')], 'the password is not among the requests');
    });
  }

  it('of PostgreSQL answers a request for TLS with no, and waits for whole messages', () => {
    const setup = login(false);
    assert.equal(setup.login?.step(bytes('\0\0\0')), undefined);
    assert.equal(setup.login?.step(bytes(startup.slice(0, -1))), undefined);
    const tls = setup.login?.step(bytes('\0\0\0\x08\x04\xd2\x16\x2f'));
    assert.equal(text(tls?.answer), 'N');
    assert.equal(tls?.done, false);
  });

  it('that holds no login of PostgreSQL makes one up, and says so', () => {
    const setup = setupOf(prologue('10.0.0.5:5432', [['C', pg('Q', 'SET a TO 1\0')], ['S', pg('C', 'SET\0') + pg('Z', 'I')]]), 'postgresql', undefined);
    assert.equal(setup.login?.invented, true);
    assert.match(text(setup.login?.step(bytes(startup))?.answer), /^R\0\0\0\x08\0\0\0\0S.*Z\0\0\0\x05I$/s);
  });

  const greeting = (capabilities: string): string => {
    const payload = `\x0a8.0.1\0${'\x01\0\0\0'}saltsalt\0${capabilities}\x2d\x02\0\x0f\0`;
    return `${String.fromCharCode(payload.length)}\0\0\0${payload}`;
  };

  it('of MySQL greets without TLS and compression, and takes any answer', () => {
    const ok = '\x07\0\0\x02\0\0\0\x02\0\0\0';
    const setup = setupOf(prologue('10.0.0.5:3306', [
      ['S', greeting('\xff\xff')], ['C', '\x04\0\0\x01user'], ['S', ok], ['C', '\x06\0\0\0\x03SET a'], ['S', '\x07\0\0\x01\0\0\0\x02\0\0\0'],
    ]), 'mysql', undefined);
    assert.equal(text(setup.login?.greeting), greeting('\xdf\xf7'));
    const step = setup.login?.step(bytes('\x04\0\0\x01user and more'));
    assert.equal(step?.consumed, 8);
    assert.equal(text(step.answer), ok);
    assert.deepEqual(setup.pairs.map((pair) => text(pair.request)), ['\x06\0\0\0\x03SET a']);
  });

  it('of Redis is a pair a command, also where they came in one write', () => {
    const setup = setupOf(prologue('10.0.0.5:6379', [['C', 'AUTH x\r\nSELECT 1\r\n'], ['S', '+OK\r\n+OK\r\n']]), 'redis', protocolNamed('redis'));
    assert.deepEqual(setup.pairs.map((pair) => [text(pair.request), text(pair.response)]), [['AUTH x\r\n', '+OK\r\n'], ['SELECT 1\r\n', '+OK\r\n']]);
  });

  it('that is of a login which went through is played before one that was given up', () => {
    const given = prologue('10.0.0.5:5432', [['C', '\0\0\0\x08\x04\xd2\x16\x2f'], ['S', 'N']]);
    const through = prologue('10.0.0.5:5432', [['C', startup], ['S', pg('R', '\0\0\0\0') + pg('S', 'server_version\x0017\0') + pg('Z', 'I')]]);
    const book = new SetupBook([given, through].map((one) => setupOf(one, 'postgresql', undefined)), { equal: () => false } as unknown as ConstructorParameters<typeof SetupBook>[1]);
    assert.match(text(book.newConnection('10.0.0.5:5432', 'postgresql')?.login?.step(bytes(startup))?.answer), /server_version\x0017/);
  });
});
