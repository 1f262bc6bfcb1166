import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { driftBetween, maskedText, tokensOf } from '../../../src/compare/index.ts';

const RECORDED_MS = Date.UTC(2026, 10, 24, 12, 0, 0);
const LIVE_MS = RECORDED_MS + 26 * 3_600_000 + 61_234;
const clocks = { recordedMs: RECORDED_MS, liveMs: LIVE_MS };

/** The kinds of drift between two texts; undefined when they are two different texts. */
function kinds(recorded: string, live: string): string[] | undefined {
  if (maskedText(recorded) !== maskedText(live)) return undefined;
  return driftBetween(recorded, live, clocks)?.map(({ kind }) => kind);
}

const jwt = (claims: object): string => `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${randomBytes(32).toString('base64url')}`;

describe('values that a service makes itself', () => {
  it('are told by their kind, two of one kind being the same', () => {
    const at = (ms: number): Date => new Date(ms + 5_000);
    const pairs: readonly [string, string, string][] = [
      ['uuid', randomUUID(), randomUUID()],
      ['ulid', '01HF7YAT00ABCDEFGHJKMNPQRS', '01HFZZZZ00ZYXWVTSRQPNMKJHG'],
      ['hex token', 'a3f09c1b22d4e5f60718293a4b5c6d7e', '5b0e7f8a99c3d2e1f6a7b8c9d0e1f2a3'],
      ['base64 token', 'q83vEjRWeJ0kLm7Zx2Bw', 'Zt5Yp1Ua8Vk3Nf6Qc9Rd'],
      ['password hash', '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', '$2b$10$abcdefghijklmnopqrstuuN9qo8uLOickgx2ZMRZoMyeIjZAgcfl7'],
      ['password hash', '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG', '$argon2id$v=19$m=65536,t=3,p=4$b3RoZXJzYWx0$AAescudvJCsgt3ub+b4dWRWJTmaaJObG'],
      ['jwt', jwt({ sub: 'u7', iat: RECORDED_MS / 1000 }), jwt({ sub: 'u7', iat: Math.floor(LIVE_MS / 1000) })],
      ['time', at(RECORDED_MS).toISOString(), at(LIVE_MS).toISOString()],
      ['time', at(RECORDED_MS).toUTCString(), at(LIVE_MS).toUTCString()],
      ['time', String(Math.floor(RECORDED_MS / 1000)), String(Math.floor(LIVE_MS / 1000))],
      ['time', String(RECORDED_MS), String(LIVE_MS)],
      ['time', '2026-11-24 12:00:01.5', '2026-11-25 14:01:02.123456'],
      ['time', '2026-11-24', '2026-11-25'],
    ];
    for (const [kind, recorded, live] of pairs) {
      assert.deepEqual(kinds(`{"value":"${recorded}","n":1}`, `{"value":"${live}","n":1}`), [kind], `${recorded} ${live}`);
      assert.deepEqual(kinds(`/orders/${recorded}/items`, `/orders/${live}/items`), [kind], `in a path: ${recorded} ${live}`);
      assert.equal(kinds(`${recorded} and 1`, `${live} and 2`), undefined, `${recorded}: what stands beside it is no drift`);
    }
  });

  it('are not parameters: neighbours, other shapes, other lengths, words', () => {
    const pairs: readonly [string, string][] = [
      ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'],
      ['q=1', 'q=2'], ['4111111111111111', '5500005555555559'], ['getUserOrdersV2Enabled', 'getUserOrdersV3Enabled'],
      ['a3f09c1b22d4e5f60718293a4b5c6d7e', 'a3f09c1b22d4e5f60718293a4b5c6d7f'], ['a3f09c1b22d4e5f6', 'a3f09c1b22d4e5f60718'],
      ['1980-01-01', '1981-01-01'], ['SELECT 1', 'SELECT 2'], ['alice@example.com', 'bobby@example.com'],
      [jwt({ sub: 'u7', iat: 1 }), jwt({ sub: 'u8', iat: 1 })],
      ['$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', '$2b$04$abcdefghijklmnopqrstuuN9qo8uLOickgx2ZMRZoMyeIjZAgcfl7'],
    ];
    for (const [recorded, live] of pairs) assert.equal(kinds(recorded, live), undefined, `${recorded} ${live}`);
  });

  it('are not texts in base64, of one length; what such texts hold may be', () => {
    const encoded = (text: string): string => Buffer.from(text).toString('base64');
    assert.equal(kinds(encoded('{"role":"user","id":1234567}'), encoded('["what is","as long as",12]')), undefined);
    assert.deepEqual(kinds(encoded(`{"id":"${randomUUID()}"}`), encoded(`{"id":"${randomUUID()}"}`)), ['base64 token']);
  });

  it('are not words, though they came as binary parameters; what words hold may be', () => {
    const binary = (text: string): string => `\\x${Buffer.from(text).toString('hex')}`;
    assert.equal(kinds(binary('johnsmith'), binary('mary.jane')), undefined);
    assert.equal(kinds(binary('johnsmi!'), binary('mary.jan')), undefined, 'eight bytes are a time only where they can be one');
    assert.deepEqual(kinds(binary(randomUUID()), binary(randomUUID())), ['hex token']);
    const time = (ms: number): string => { const bytes = Buffer.alloc(8); bytes.writeBigInt64BE(BigInt(ms - Date.UTC(2000, 0, 1)) * 1000n); return `\\x${bytes.toString('hex')}`; };
    assert.deepEqual(kinds(time(RECORDED_MS), time(LIVE_MS)), ['hex token']);
  });

  it('times are drift only where they are as far from now as recorded', () => {
    const from = (baseMs: number, ms: number): string => new Date(baseMs + ms).toISOString();
    const week = 7 * 86_400_000;
    assert.deepEqual(kinds(from(RECORDED_MS, -week), from(LIVE_MS, -week)), ['time'], 'a week ago, both times');
    assert.equal(kinds(from(RECORDED_MS, -week), from(LIVE_MS, -2 * week)), undefined, 'a week ago is not two weeks ago');
    assert.equal(kinds('2024-05-01T00:00:01Z', '2024-05-02T00:00:01Z'), undefined);
  });

  it('random values are found each time', () => {
    for (let time = 0; time < 200; time += 1) {
      const value = (): string => `{"id":"${randomUUID()}","nonce":"${randomBytes(16).toString('hex')}"}`;
      assert.deepEqual(kinds(value(), value()), ['uuid', 'hex token']);
    }
  });
});

describe('the shortest of each kind of value that a service makes', () => {
  const shortest = [
    'eyJabcd1.abcde.', `$2b$10$${'a1'.repeat(26)}b`, `$1$a$${'b2'.repeat(11)}`, `$argon2id$v=19$m=1$abcdefg1$${'c3'.repeat(8)}`, `pbkdf2$1$abcdef$${'d4'.repeat(10)}`,
    '0f8fad5b-d9cb-469f-a165-70867728950e', '2024-05-06', '2024-05-06 07:08', 'Mon, 06 May 2024 07:08:09 GMT', '1700000000', '1700000000123', 'a1b2c3d4e5f60718',
    '\\x0102030405060708', '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'aB3dE5fG7hI9jK1l',
  ];
  for (const value of shortest) {
    it(`is found by itself and among words: ${value}`, () => {
      assert.deepEqual(tokensOf(value), [value]);
      assert.deepEqual(tokensOf(`a (${value}) b`), [value]);
    });
  }

  it('is told each time a text is masked', () => {
    const seen: string[] = [];
    assert.notEqual(maskedText('on 2024-05-06 by 0f8fad5b-d9cb-469f-a165-70867728950e', (value) => seen.push(value)), '');
    assert.deepEqual(seen, ['2024-05-06', '0f8fad5b-d9cb-469f-a165-70867728950e']);
    assert.equal(maskedText('order 7 of the shop in 2024', () => { assert.fail('it holds none'); }), 'order 7 of the shop in 2024');
  });
});
