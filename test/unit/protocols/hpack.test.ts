/** RFC 7541, appendix C, and what a decoder must make of what it did not see. */
import assert from 'node:assert/strict';
import { Hpack, maxListChars, maxTableBytes } from '../../../src/protocols/hpack.ts';
import type { Field } from '../../../src/protocols/hpack.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'));
const decoded = (hpack: Hpack, block: string): Record<string, string> | undefined => {
  const found = hpack.decode(hex(block));
  return found === undefined ? undefined : Object.fromEntries(found.fields as readonly Field[]);
};

const FIRST = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'www.example.com' };
const SECOND = { ...FIRST, 'cache-control': 'no-cache' };
const THIRD = { ':method': 'GET', ':scheme': 'https', ':path': '/index.html', ':authority': 'www.example.com', 'custom-key': 'custom-value' };
const ANSWER = { ':status': '302', 'cache-control': 'private', 'date': 'Mon, 21 Oct 2013 20:13:21 GMT', 'location': 'https://www.example.com' };

describe('HPACK', () => {
  it('reads single fields of each kind (C.2)', () => {
    assert.deepEqual(decoded(new Hpack(true), '400a637573746f6d2d6b65790d637573746f6d2d686561646572'), { 'custom-key': 'custom-header' });
    assert.deepEqual(decoded(new Hpack(true), '040c2f73616d706c652f70617468'), { ':path': '/sample/path' });
    assert.deepEqual(decoded(new Hpack(true), '100870617373776f726406736563726574'), { password: 'secret' });
    assert.deepEqual(decoded(new Hpack(true), '82'), { ':method': 'GET' });
  });

  it('reads three requests of one connection, plain and in Huffman\'s code (C.3, C.4)', () => {
    const plain = new Hpack(true);
    assert.deepEqual(decoded(plain, '828684410f7777772e6578616d706c652e636f6d'), FIRST);
    assert.deepEqual(decoded(plain, '828684be58086e6f2d6361636865'), SECOND);
    assert.deepEqual(decoded(plain, '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565'), THIRD);
    const coded = new Hpack(true);
    assert.deepEqual(decoded(coded, '828684418cf1e3c2e5f23a6ba0ab90f4ff'), FIRST);
    assert.deepEqual(decoded(coded, '828684be5886a8eb10649cbf'), SECOND);
    assert.deepEqual(decoded(coded, '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf'), THIRD);
  });

  it('drives out what a table of 256 bytes has no room for (C.5, C.6)', () => {
    const plain = new Hpack(true);
    assert.deepEqual(plain.decode(hex('3fe101'))?.fields, []);
    assert.deepEqual(decoded(plain, `4803333032580770726976617465611d${'4d6f6e2c203231204f637420323031332032303a31333a323120474d54'}6e1768747470733a2f2f7777772e6578616d706c652e636f6d`), ANSWER);
    assert.deepEqual(decoded(plain, '4803333037c1c0bf'), { ...ANSWER, ':status': '307' });
    const coded = new Hpack(true);
    assert.deepEqual(coded.decode(hex('3fe101'))?.fields, []);
    assert.deepEqual(decoded(coded, '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3'), ANSWER);
    assert.deepEqual(decoded(coded, '4883640effc1c0bf'), { ...ANSWER, ':status': '307' });
    const third = coded.decode(hex('88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007'));
    assert.deepEqual(third?.fields, [
      [':status', '200'], ['cache-control', 'private'], ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'], ['location', 'https://www.example.com'],
      ['content-encoding', 'gzip'], ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
    ]);
  });

  it('counts fields that refer to what was not seen, and knows those that were said since', () => {
    const late = new Hpack(false);
    assert.deepEqual(late.decode(hex('828684be')), { fields: [[':method', 'GET'], [':scheme', 'http'], [':path', '/']], unknown: 1 });
    assert.deepEqual(decoded(late, '400a637573746f6d2d6b65790d637573746f6d2d686561646572'), { 'custom-key': 'custom-header' });
    assert.deepEqual(late.decode(hex('bebf')), { fields: [['custom-key', 'custom-header']], unknown: 1 });
  });

  it('inserts a field whose name was not seen, so that the others stay where they are', () => {
    const late = new Hpack(false);
    assert.equal(late.decode(hex('7e0161'))?.unknown, 1); // name: the newest entry, which was not seen
    assert.deepEqual(decoded(late, '400162 0163'), { b: 'c' });
    assert.deepEqual(late.decode(hex('bebf')), { fields: [['b', 'c']], unknown: 1 });
  });

  it('takes a reference beyond a table that it knows whole for an error, and is not sure of the table from there on', () => {
    const hpack = new Hpack(true);
    assert.equal(hpack.decode(hex('be')), undefined);
    assert.equal(hpack.decode(hex('be'))?.unknown, 1);
  });

  it('refuses what is no header block', () => {
    for (const block of ['80', '40', '4001', '0085', '000161ff', '00018100ff', '0001 61 84ffffffff', '3fffffffffff7f', `3f${'ff'.repeat(3)}7f`]) {
      assert.equal(new Hpack(true).decode(hex(block)), undefined, block);
    }
  });

  it('bounds what a few bytes can make: the fields of a block, and the table', () => {
    const hpack = new Hpack(true);
    const long = 'x'.repeat(4_000);
    const insert = Buffer.concat([hex('4001617fa11e'), Buffer.from(long)]);
    assert.deepEqual(hpack.decode(insert)?.fields, [['a', long]]);
    const bomb = hpack.decode(new Uint8Array(1_000).fill(0xbe));
    assert.ok(bomb !== undefined && bomb.fields.length <= maxListChars / long.length && bomb.fields.length + bomb.unknown === 1_000);
    assert.equal(new Hpack(true).decode(hex('3fe1ff3f'))?.unknown, 0, `a table of ${maxTableBytes} bytes`);
  });
});
