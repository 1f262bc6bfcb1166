/**
 * docs/go-releases.md: what was recorded of programs built with each Go release. Written by the tests under KOALA_WRITE_DOCS=1
 * (`scripts/go-releases` runs them so), a row each, never by hand.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { release as kernel } from 'node:os';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('../docs/go-releases.md', import.meta.url));
const BEGIN = '| --- | --- | --- | --- | --- | --- | --- | --- |\n';
const END = '\n<!-- rows: end -->';

export interface GoReleaseResult {
  readonly release: string;
  /** Which, and how it was built. */
  readonly program: string;
  readonly calls: number;
  readonly right: number;
  readonly proven: number;
  readonly wrong: number;
}

/** Puts it in the place of what the page has of the same release and program. No effect unless it is asked for. */
export function writeGoRelease({ release, program, calls, right, proven, wrong }: GoReleaseResult): void {
  if (process.env['KOALA_WRITE_DOCS'] !== '1') return;
  const page = readFileSync(PAGE, 'utf8');
  const [from, to] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  const keyOf = (row: string): string => row.split(' | ').slice(0, 2).join(' | ');
  const rows = new Map(page.slice(from, to).split('\n').filter((row) => row !== '').map((row) => [keyOf(row), row]));
  const row = `| ${[release, program, calls, right, proven, wrong, kernel(), new Date().toISOString().slice(0, 10)].join(' | ')} |`;
  rows.set(keyOf(row), row);
  const sorted = [...rows].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })).map(([, text]) => text);
  writeFileSync(PAGE, page.slice(0, from) + sorted.join('\n') + page.slice(to));
}
