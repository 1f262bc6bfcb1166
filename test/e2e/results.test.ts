import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { PAGE_PATH, readResults, resultOf, table, withTable } from './results.ts';
import type { Score } from './score.ts';

const SCORE: Score = {
  sessions: 10, calls: 40, right: 30, wrong: 3, unattributed: 6, lost: 1, surplus: 0, crossed: 0,
  silent: { right: 0, wrong: 0, unattributed: 0, unknown: 0 }, background: { ambient: 0, tied: 0 }, examples: [],
  rows: [{ certainty: 'likely', attribution: 'continuation', right: 10, wrong: 3 }, { certainty: 'proven', attribution: 'thread', right: 20, wrong: 0 }],
};

describe('the page of measured attribution', () => {
  it('shows exactly what its results file holds', () => {
    const page = readFileSync(PAGE_PATH, 'utf8');
    const results = readResults();
    assert.ok(results.length > 0, 'nothing was ever measured: run scripts/attribution-table');
    assert.equal(page, withTable(page, table(results)));
  });

  it('gives the whole first, then each kind of evidence, the proven before the likely', () => {
    const lines = table([resultOf('a service', 'event-loop', false, 16, SCORE)]).split('\n').slice(2);
    assert.deepEqual(lines, [
      '| a service | seen from their start | shown | 16 | 10 | 40 | **all** | 33 | 90.90% | 75.00% | 6 | 1 |',
      '|  |  |  |  |  |  | thread, proven | 20 | 100.00% | 50.00% |  |  |',
      '|  |  |  |  |  |  | continuation, likely | 13 | 76.92% | 25.00% |  |  |',
    ]);
  });

  it('refuses a page that has lost its marks rather than overwriting it', () => {
    assert.throws(() => withTable('# a page', 'table'), /lost the marks/);
  });
});
