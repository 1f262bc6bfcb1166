/** Records programs/goroutines, built already, by goroutines.mjs. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const source = fileURLToPath(new URL('programs/goroutines', import.meta.url));
const script = fileURLToPath(new URL('goroutines.mjs', import.meta.url));

/** What `built` gives a build at most: the first of its kind compiles Go's own packages. */
export const BUILD_MS = 240_000;

export interface Found {
  readonly events: number;
  readonly wrong: number;
  readonly calls: number;
  readonly tied: number;
  readonly right: number;
  readonly proven: number;
  readonly problems: readonly string[];
}

export function recordGoroutines(program: string): { readonly status: number | null; readonly found: Found } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, program], { encoding: 'utf8', timeout: 100_000 });
  return { status, found: JSON.parse(stdout || `{"problems":[${JSON.stringify(stderr.slice(-2_000))}]}`) as Found };
}
