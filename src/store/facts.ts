/** What every segment says of who recorded it. */
import { readFileSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { bootId } from './lock.ts';
import type { RecorderFacts } from './writer.ts';

/** This host's facts; `probe`: the backend, `filters`: the user's flags as given. */
export function hostFacts(probe: string, filters: readonly string[]): RecorderFacts {
  return { bootId: bootId(), host: hostname(), kernel: release(), probe, koalaVersion: koalaVersion(), filters };
}

/** The version of this package. */
export function koalaVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '';
}
