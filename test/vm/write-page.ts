/** Writes docs/kernels.md: `scripts/kernel-table [RESULTS]`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listed, project } from './machine.ts';
import { kernelPage, parseResults } from './results.ts';

const file = process.argv[2]
  ?? join(process.env['KOALA_VM_RESULTS'] ?? join(project, 'build/vm-results'), 'results.jsonl');
writeFileSync(join(project, 'docs/kernels.md'), kernelPage(parseResults(readFileSync(file, 'utf8')), listed('kernels')));
