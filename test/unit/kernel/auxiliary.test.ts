import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { auxiliary, PAGE_BYTES } from '../../../src/kernel/auxiliary.ts';

describe('what the kernel told a process', () => {
  it('is the size of a page as the C library has it, and nothing of a kind that it was not told, nor of a process that is gone', () => {
    assert.equal(String(PAGE_BYTES), execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }).trim());
    assert.equal(auxiliary('self', 6n), PAGE_BYTES);
    assert.equal(auxiliary(process.pid, 12345n), undefined);
    assert.equal(auxiliary(0x7fff_fffe, 6n), undefined);
  });
});
