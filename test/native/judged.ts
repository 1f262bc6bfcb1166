/** What `contexts.mjs` finds: a program recorded, and whose each of its calls is said to be, held against what it says of itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('contexts.mjs', import.meta.url));

export interface Judged {
  readonly sessions: number;
  readonly calls: number;
  readonly tied: number;
  readonly right: number;
  readonly byContext: number;
  readonly problems: readonly string[];
}

/** `service`: a command instead of programs/contexts.py, which is given the port that it calls. `python`: which runs that, and the clients. */
export function judged(service: readonly string[], env: NodeJS.ProcessEnv = {}, python = '/usr/bin/python3'): Judged {
  const ran = spawnSync(process.execPath, [script, python, 'auto', ...service], { encoding: 'utf8', timeout: 100_000, env: { ...process.env, ...env } });
  return JSON.parse(ran.stdout || `{"problems":[${JSON.stringify(ran.stderr.slice(-2_000))}]}`) as Judged;
}

/** All calls are in the session that made them, and so many are by what their runtime says. */
export function allAreRight({ byContext, ...rest }: Judged, least = 160): void {
  assert.deepEqual(rest, { sessions: 64, calls: 320, tied: 320, right: 320, problems: [] });
  assert.ok(byContext >= least, `${byContext} by what the runtime says`);
}
