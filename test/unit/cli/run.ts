/** Runs the program as a person would, from the sources. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** KOALA_* of the caller are not passed on. */
export function koala(args: readonly string[], environment: Record<string, string> = {}): Outcome {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('KOALA_')));
  return spawnSync(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    encoding: 'utf8', env: { ...inherited, ...environment }, timeout: 60_000, maxBuffer: 1 << 28,
  });
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}
