import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../../..');
const papers = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.join('docs', name)),
];

/** Pages that a run makes, and what makes them: a checkout may not have them yet, and then says so. */
const MADE: Readonly<Record<string, string>> = { 'docs/kernels.md': 'scripts/vm all && scripts/kernel-table', 'docs/performance.md': 'npm run bench' };

describe('the papers', () => {
  for (const [page, command] of Object.entries(MADE)) {
    it(`${page} is there, made by: ${command}`, function () {
      if (existsSync(path.join(root, page))) return;
      console.log(`${page} was not made yet: ${command}`);
      this.skip();
    });
  }

  for (const paper of papers) {
    it(`${paper} links only to what is there`, () => {
      const text = readFileSync(path.join(root, paper), 'utf8').replace(/```[\s\S]*?```/g, '');
      const dead = [...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
        .map(([, target]) => target ?? '')
        .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(path.resolve(root, path.dirname(paper), target)))
        .filter((target) => !(path.join(path.dirname(paper), target) in MADE));
      assert.deepEqual(dead, []);
    });
  }
});
