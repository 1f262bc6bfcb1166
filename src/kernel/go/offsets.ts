/** Where runtime.g holds what the kernel side reads, by the Go release that a program was built with. */
import { GO_RELEASES } from './releases.ts';

export interface GoOffsets {
  readonly goid: number;
  /** 0: it has none (before Go 1.21), or it is not known where. */
  readonly parent: number;
  /** Of the address at which it began; 0: not known. */
  readonly function: number;
  /** Of its m, and in runtime.m of what that runs; 0: not needed, for there is a parent, or not known. */
  readonly m: number;
  readonly current: number;
}

interface Row extends GoOffsets {
  readonly minor: number;
  readonly patch: number;
}

const ROWS: readonly Row[] = GO_RELEASES.map(([release, goid, parent, function_, m = 0, current = 0]) => {
  const [minor = 0, patch = 0] = release.split('.').slice(1).map(Number);
  return { minor, patch, goid, parent, function: function_, m, current };
});

/**
 * `version` as the program says it: `go1.26.8`, `devel go1.27-0123abc`. Within a release the nearest patch that was looked at
 * counts, for g does not change in one. Undefined: not known.
 */
export function offsetsFor(version: string): GoOffsets | undefined {
  const parts = /^(?:devel )?go1\.(\d+)(?:\.(\d+))?/.exec(version);
  if (parts === null) return undefined;
  const minor = Number(parts[1]);
  const patch = Number(parts[2] ?? 0);
  const same = ROWS.filter((row) => row.minor === minor);
  return same.length === 0 ? undefined : same.reduce((best, row) => (Math.abs(row.patch - patch) < Math.abs(best.patch - patch) ? row : best));
}
