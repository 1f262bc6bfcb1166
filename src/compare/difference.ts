/** What differs, and what differed and does not count. */

export interface Difference {
  /** As `--ignore` takes it: `response.status`, `response.headers.x`, `response.body.$.a[0]`, `request.args[1]`. */
  readonly path: string;
  /** Absent where there is none. Bytes that are no text are `{base64}`, of long ones `{offset, length, context}`. */
  readonly recorded?: unknown;
  readonly live?: unknown;
  readonly kind: 'changed' | 'added' | 'removed' | 'type' | 'bytes';
}

/** A difference that does not count, and by which rule. */
export interface Noise {
  readonly path: string;
  readonly rule: string;
}

/** Differences beyond this are counted, not listed: a body that is another one altogether is no longer to be read line by line. */
export const maxDifferences = 1000;

/** Rules of the caller: the name of the rule that makes a difference noise, or undefined. */
export type Ignore = (difference: Difference) => string | undefined;

/** How the lists at a path are compared: in any order, or each item with the one that has the same value at `key`. */
export type ListRule = 'unordered' | { readonly key: string };

export interface CompareOptions {
  readonly ignore?: Ignore;
  /** The rule for the list at `path`, if it has one. */
  readonly list?: (path: string) => ListRule | undefined;
}

/** Collects differences; the one place where a difference becomes noise. */
export class Differences {
  readonly found: Difference[] = [];
  readonly noise: Noise[] = [];
  /** Differences that are not listed. */
  more = 0;
  private readonly ignored: Ignore;
  readonly listRule: (path: string) => ListRule | undefined;

  constructor({ ignore = () => undefined, list = () => undefined }: CompareOptions = {}) {
    this.ignored = ignore;
    this.listRule = list;
  }

  add(difference: Difference): void {
    const rule = this.ignored(difference);
    if (rule !== undefined) this.ignore(difference.path, rule);
    else if (this.found.length < maxDifferences) this.found.push(difference);
    else this.more++;
  }

  ignore(path: string, rule: string): void {
    if (this.noise.length < maxDifferences) this.noise.push({ path, rule });
  }

  /** `recorded` or `live` undefined: there is none. Nothing is added when both are the same. */
  value(path: string, recorded: string | number | undefined, live: string | number | undefined): void {
    if (recorded === live) return;
    if (recorded === undefined) this.add({ path, live, kind: 'added' });
    else if (live === undefined) this.add({ path, recorded, kind: 'removed' });
    else this.add({ path, recorded, live, kind: 'changed' });
  }
}

/** `key` after a path: `.key`, or `["odd key"]` where it is no plain word. */
export const keyed = (key: string): string => (/^[A-Za-z_][\w-]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);
