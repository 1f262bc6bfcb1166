/** Where runtime.g holds what the kernel side reads, by the Go release that a program was built with. */
import { GO_RELEASES } from './releases.ts';

export interface GoOffsets {
  readonly goid: number;
  /** 0: it has none (before Go 1.21), or it is not known where. */
  readonly parent: number;
  /** Of the address at which it began; 0: not known. */
  readonly function: number;
}

interface Row extends GoOffsets {
  readonly minor: number;
  readonly patch: number;
}

const ROWS: readonly Row[] = GO_RELEASES.map(([release, goid, parent, function_]) => {
  const [minor = 0, patch = 0] = release.split('.').slice(1).map(Number);
  return { minor, patch, goid, parent, function: function_ };
});

/**
 * `version` as the program says it: `go1.26.8`, `devel go1.27-0123abc`. Within a release the nearest patch that was looked at
 * counts, for g does not change in one. Between two that were looked at and agree, they are believed. Undefined: not known.
 */
export function offsetsFor(version: string): GoOffsets | undefined {
  const parts = /^(?:devel )?go1\.(\d+)(?:\.(\d+))?/.exec(version);
  if (parts === null) return undefined;
  const minor = Number(parts[1]);
  const patch = Number(parts[2] ?? 0);
  const same = ROWS.filter((row) => row.minor === minor);
  if (same.length > 0) return same.reduce((best, row) => (Math.abs(row.patch - patch) < Math.abs(best.patch - patch) ? row : best));
  const before = ROWS.findLast((row) => row.minor < minor);
  const after = ROWS.find((row) => row.minor > minor);
  if (before === undefined || after === undefined || before.goid !== after.goid) return undefined;
  return {
    goid: before.goid, parent: before.parent === after.parent ? before.parent : 0, function: before.function === after.function ? before.function : 0,
  };
}
