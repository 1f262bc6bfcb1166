/** Writes docs/kernels.md: `scripts/kernel-table [RESULTS]`, and what was run by hand. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listed, project } from './machine.ts';
import { kernelPage, parseResults } from './results.ts';

const file = process.argv[2]
  ?? join(process.env['KOALA_VM_RESULTS'] ?? join(project, 'build/vm-results'), 'results.jsonl');
const results = [join(project, 'test/vm/by-hand.jsonl'), file].flatMap((path) => parseResults(readFileSync(path, 'utf8')));
writeFileSync(join(project, 'docs/kernels.md'), kernelPage(results, listed('kernels')));
