import assert from 'node:assert/strict';
import { goCode } from '../../../../src/kernel/go/code.ts';
import { EM_AARCH64, EM_X86_64 } from '../../../../src/kernel/elf.ts';
import type { GoFunction } from '../../../../src/kernel/go/pclntab.ts';

/** Instructions of arm64 as `go tool objdump` shows them. */
const of = (address: number, ...words: number[]): GoFunction => {
  const code = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => code.writeUInt32LE(word >>> 0, index * 4));
  return { name: 'f', address, offset: address - 0x10000, code };
};
const [GUARD, CMP_SP, BLS] = [0xf9400b90, 0xeb3063ff, 0x54000209];

describe('the code of Go functions on arm64', () => {
  const { entryOf, endsOf, callsOf, afterCall, start } = goCode(EM_AARCH64)!;

  it('is probed at the jump of its first lines, with a small frame and with a large one', () => {
    assert.equal(entryOf(of(0x215e70, GUARD, CMP_SP, BLS, 0xf81c0ffe)), 0x205e78);
    // net/http.(*persistConn).roundTrip of Go 1.26: sub x17,sp,#448; cmp x17,x16
    assert.equal(entryOf(of(0x218d50, GUARD, 0xd10703f1, 0xeb10023f, 0x54005b09)), 0x208d5c);
    assert.equal(entryOf(of(0x218d50, GUARD, 0x910003f1, 0xeb10023f, 0x54005b09)), 0x208d5c, 'mov x17,sp');
  });

  it('is not probed where it begins otherwise, or ends before its jump', () => {
    for (const words of [
      [], [GUARD], [GUARD, CMP_SP], [0xd503201f, GUARD, CMP_SP, BLS], [0xf9400b91, CMP_SP, BLS],
      [GUARD, CMP_SP, 0x54000208], [GUARD, CMP_SP, 0x14000010], [GUARD, 0xd10703f2, 0xeb10023f, BLS], [GUARD, 0xd10703f1, CMP_SP, BLS],
    ]) assert.equal(entryOf(of(0x20000, ...words)), undefined, words.map((word) => word.toString(16)).join(' '));
  });

  it('calls another where its distance says so, ahead and back, and nowhere else', () => {
    const caller = of(0x63808, 0x94000012, 0xd503201f, 0x97fffffe, 0x14000010, 0x94000012);
    assert.deepEqual(callsOf(caller, of(0x63808 + 0x48)), [0x53808]);
    assert.deepEqual(callsOf(caller, of(0x63808)), [0x53810]);
    assert.deepEqual(callsOf(caller, of(0x63808 + 0x10 + 0x48)), [0x53818]);
    assert.deepEqual(callsOf(caller, of(0x63808 + 12 + 0x40)), [], 'a jump is no call');
    assert.equal(afterCall(0x53808), 0x5380c);
  });

  it('ends where it returns', () => {
    assert.deepEqual(endsOf(of(0x20000, GUARD, 0xd65f03c0, 0xd65f0380, 0xd65f03c0)), [0x10004, 0x1000c]);
  });

  it('begins programs by a function of its own name, and is known of these two machines only', () => {
    assert.equal(start, '_rt0_arm64_linux');
    assert.equal(goCode(EM_X86_64)?.start, '_rt0_amd64_linux');
    assert.equal(goCode(243), undefined);
  });
});
