import assert from 'node:assert/strict';
import { violations } from '../../../scripts/check-imports.ts';

const dependencies = new Set(['yargs', 'koffi', '@scope/known']);
const rules = (file: string, text: string): string[] => violations(file, text, dependencies).map((v) => `${v.line}: ${v.rule}`);

describe('check-imports', () => {
  it('lets a folder import from folders above it, itself, Node and declared packages', () => {
    assert.deepEqual(
      rules(
        'src/talks/cut.ts',
        `import { UserError } from '../errors.ts';
         import type { Chunk } from '../connections/account.ts';
         import { other } from './other.ts';
         import { createHash } from 'node:crypto';
         import yargs from 'yargs/helpers';
         import known from '@scope/known/part';`,
      ),
      [],
    );
  });

  for (const form of [
    `import { x } from '../cli/x.ts';`,
    `import type { X } from '../cli/x.ts';`,
    `export { x } from '../cli/x.ts';`,
    `const x = await import('../cli/x.ts');`,
    `import '../cli/x.ts';`,
  ]) {
    it(`refuses an import from a folder below, with its line: ${form}`, () => {
      assert.deepEqual(rules('src/store/reader.ts', `// one\n// two\n${form}\n`), [
        '3: src/store may not import src/cli: it stands below it in the layout',
      ]);
    });
  }

  it('refuses koffi anywhere but in src/kernel/ffi.ts, tests and benchmarks included', () => {
    const text = `import koffi from 'koffi';`;
    assert.deepEqual(rules('src/kernel/ffi.ts', text), []);
    for (const file of ['src/kernel/ring.ts', 'test/native/x.test.ts', 'bench/x.ts']) {
      assert.deepEqual(rules(file, text), ['1: only src/kernel/ffi.ts may import koffi']);
    }
  });

  it('refuses a way out of src, a package that users do not get, and a builtin without node:', () => {
    assert.deepEqual(rules('src/cli/x.ts', `import '../../test/x.ts';`), ['1: src may not import ../../test/x.ts: it lies outside of src']);
    assert.deepEqual(rules('src/cli/x.ts', `import 'mocha';`), ["1: mocha is not in package.json's dependencies, so users do not have it"]);
    assert.deepEqual(rules('src/cli/x.ts', `import 'fs';`), ['1: write node:fs']);
  });

  it('refuses a folder that the layout does not know', () => {
    assert.deepEqual(rules('src/utils/x.ts', ''), ['1: src/utils has no row in the layout: add it to ROWS in scripts/check-imports.ts']);
  });

  it('lets tests import what they test', () => {
    assert.deepEqual(rules('test/unit/cli/x.test.ts', `import '../../../src/cli/main.ts'; import 'mocha';`), []);
  });
});
