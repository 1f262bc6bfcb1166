/** Likelihoods as logarithms, and whom they are the greatest of. */

/** ln(eᵃ + eᵇ). */
export function lnSum(a: number, b: number): number {
  if (a === -Infinity) return b;
  if (b === -Infinity) return a;
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}

/** Of shares by number: whose is the greatest, and whose the next; the earlier ones among equals. */
export function bestTwo(shares: ReadonlyMap<number, number>): { readonly first: number | undefined; readonly second: number | undefined } {
  let first: number | undefined;
  let second: number | undefined;
  for (const [at, share] of shares) {
    if (first === undefined || share > (shares.get(first) as number)) [first, second] = [at, first];
    else if (second === undefined || share > (shares.get(second) as number)) second = at;
  }
  return { first, second };
}
