/** The id that a client gives a request and that the service repeats in every call it makes for it. */

/** Matches every id in a text (global: use with `match`/`matchAll`). */
export const RID = /rid-[0-9a-z]{10}/g;

/** Ids that differ in every run, told apart at a fixed length: `rid-` and ten base-36 digits. */
export function ridMaker(): (index: number) => string {
  const run = Math.floor(Math.random() * 36 ** 6).toString(36).padStart(6, '0');
  return (index) => `rid-${run}${index.toString(36).padStart(4, '0')}`;
}
