import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { UPROBES } from '../../../src/kernel/backends.ts';

const FOLDER = new URL('../../../bpf/', import.meta.url);

describe('programs of uprobes', () => {
  it('have their thread\'s stack: on one of their own, Linux 6.13 and later let two runs share their variables (bpf/goroutine.h)', () => {
    const found = new Map<string, string>();
    for (const name of readdirSync(FOLDER).filter((file) => file.endsWith('.bpf.c'))) {
      const source = readFileSync(new URL(name, FOLDER), 'utf8');
      for (const [, program = '', body = ''] of source.matchAll(/SEC\("uprobe[^"]*"\)\nint (\w+)\(struct pt_regs \*regs\)\n\{\n(.*?)\n\}/gs)) {
        // Declarations come first, and a blank line after them.
        found.set(program, (body.includes('\n\n') ? body.split('\n\n')[1] : body)?.split('\n')[0] ?? '');
      }
    }
    assert.deepEqual([...found.keys()].sort(), [...UPROBES].sort());
    assert.deepEqual([...found].filter(([, first]) => first !== '\tON_THREADS_STACK(regs);'), []);
  });
});
