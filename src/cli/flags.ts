/** What no flag may be, whatever the command: given twice where one value is meant, or given without a value. */
import { UserError } from '../errors.ts';

/** What yargs knows of the command's flags, as far as it matters here. */
interface Known {
  readonly array: readonly string[];
  readonly string: readonly string[];
  /** By every name that was declared; yargs adds spellings of its own. */
  readonly key: Readonly<Record<string, unknown>>;
}

/** For yargs' `check`. Throws UserError that names the flag. */
export function refuseOddValues(flags: Readonly<Record<string, unknown>>, known: unknown): true {
  const { array, string, key } = known as Known;
  const several = new Set([...array, '_', '--']);
  for (const [name, value] of Object.entries(flags)) {
    if (!Object.hasOwn(key, name)) continue;
    const called = /^[A-Z]/.test(name) ? name : `--${name}`;
    if (Array.isArray(value) && !several.has(name) && value.some((one) => typeof one !== 'boolean')) {
      throw new UserError(`${called} is given ${value.length} times; once is meant`);
    }
    if (!string.includes(name)) continue;
    if (value === '' || (Array.isArray(value) && value.includes(''))) throw new UserError(`${called} is given without a value`);
  }
  return true;
}
