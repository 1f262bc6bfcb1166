/** The recorded call that is most like a live one, however likeness is reckoned. */

/** So many recorded calls are looked at for it, in recorded order. */
export const MAX_COMPARED = 1_000;

export interface Scored<T> {
  readonly call: T;
  readonly score: number;
}

/** The earliest among equals. Undefined where there are none. */
export function bestOf<T>(calls: readonly T[], scoreOf: (call: T) => number): Scored<T> | undefined {
  let best: Scored<T> | undefined;
  for (const call of calls) {
    const score = scoreOf(call);
    if (best === undefined || score > best.score) best = { call, score };
  }
  return best;
}
