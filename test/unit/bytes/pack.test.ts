import { deepEqual, equal, throws } from 'node:assert/strict';
import { PackReader, PackWriter } from '../../../src/bytes/pack.ts';
import { unzigzag, VarintReader, varintSize, writeVarint, zigzag } from '../../../src/bytes/varint.ts';

const EDGES = [0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 35 - 1, 2 ** 35, 2 ** 42, 2 ** 49, 2 ** 52, 2 ** 53 - 1];

describe('varints', () => {
  it('come back as they were, in as many bytes as was said', () => {
    for (const value of EDGES) {
      const bytes = new Uint8Array(16);
      const end = writeVarint(bytes, 3, value);
      equal(end - 3, varintSize(value), `size of ${value}`);
      const reader = new VarintReader();
      reader.reset(bytes, 3, end);
      equal(reader.unsigned(), value);
      equal(reader.at, end);
      equal(reader.failed, false);
      // As a BigInt, by the definition.
      const defined = [...bytes.subarray(3, end)].reduce((sum, byte, at) => sum + (BigInt(byte & 127) << BigInt(7 * at)), 0n);
      equal(defined, BigInt(value));
    }
  });

  it('cut short anywhere are refused', () => {
    const bytes = new Uint8Array(16);
    const end = writeVarint(bytes, 0, 2 ** 52);
    for (let cut = 0; cut < end; cut++) {
      const reader = new VarintReader();
      reader.reset(bytes, 0, cut);
      reader.unsigned();
      equal(reader.failed, true, `cut at ${cut}`);
    }
  });

  it('that never end are refused', () => {
    const reader = new VarintReader();
    reader.reset(new Uint8Array(20).fill(0xff), 0, 20);
    reader.unsigned();
    equal(reader.failed, true);
  });

  it('of signed numbers come back', () => {
    for (const value of [0, -1, 1, 2 ** 31, -(2 ** 31), 2 ** 51, -(2 ** 51), 2 ** 51 - 1]) equal(unzigzag(zigzag(value)), value);
  });
});

describe('packed records', () => {
  it('come back in the order they were written', () => {
    const pack = new PackWriter();
    const long = 'ü€𝄞'.repeat(900);
    pack.unsigned(300);
    pack.signed(-7);
    pack.flag(true);
    pack.text(long);
    pack.bytes(Uint8Array.of(1, 2, 3));
    const reader = new PackReader(Uint8Array.from(pack.take()));
    equal(reader.unsigned(), 300);
    equal(reader.signed(), -7);
    equal(reader.flag(), true);
    equal(reader.text(), long);
    deepEqual([...reader.bytes()], [1, 2, 3]);
    throws(() => reader.unsigned(), RangeError);
  });

  it('cut short anywhere throw', () => {
    const pack = new PackWriter();
    pack.text('hello');
    pack.unsigned(70_000);
    const bytes = Uint8Array.from(pack.take());
    for (let cut = 0; cut < bytes.length; cut++) {
      const reader = new PackReader(bytes.slice(0, cut));
      throws(() => {
        reader.text();
        reader.unsigned();
      }, RangeError, `cut at ${cut}`);
    }
  });
});
