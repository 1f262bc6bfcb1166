/** Runs the program as a person would: what `npm run build` has made, for that starts in a third of the time. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** KOALA_* of the caller are not passed on. */
export function koala(args: readonly string[], environment: Record<string, string> = {}): Outcome {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('KOALA_')));
  return spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8', env: { ...inherited, ...environment }, timeout: 60_000, maxBuffer: 1 << 28,
  });
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}
