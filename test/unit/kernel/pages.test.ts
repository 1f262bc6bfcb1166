import assert from 'node:assert/strict';
import { isSure } from '../../../src/kernel/pages.ts';

/** As on a machine with KASLR: page_offset_base less 64 times vmemmap_base, in 64 bits. */
const CONSTANT = BigInt.asUintN(64, 0xffff_9a40_0000_0000n - 64n * 0xffff_f6c4_8000_0000n);

describe('where pages lie', () => {
  it('is sure when slabs agree on a whole number of gibibytes', () => {
    assert.equal(isSure({ constant: CONSTANT, inFavour: 8n, against: 0n }), true);
  });
  it('is not sure when one slab speaks against it', () => {
    assert.equal(isSure({ constant: CONSTANT, inFavour: 100n, against: 1n }), false);
  });
  it('is not sure by few slabs', () => {
    assert.equal(isSure({ constant: CONSTANT, inFavour: 7n, against: 0n }), false);
  });
  it('is not sure of what the kernel would not choose', () => {
    assert.equal(isSure({ constant: CONSTANT + 4096n, inFavour: 100n, against: 0n }), false);
  });
  it('is not sure when nobody voted', () => {
    assert.equal(isSure({ constant: 0n, inFavour: 0n, against: 0n }), false);
  });
});
