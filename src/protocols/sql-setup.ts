/** Which SQL only sets a connection up: the session's variables, its database, what a pool runs when it takes a connection back. */
import { latin1Text } from './ascii.ts';

const SETS = /^(?:SET|RESET|DISCARD|DEALLOCATE|USE)\b|^SELECT\s+(?:@@|(?:pg_catalog\.)?set_config\s*\()/i;
// MySQL's and MariaDB's comments that are executed: a bang after the star, and the version they are for.
const EXECUTED = /\/\*M?!\d*([^]*?)\*\//g;
const COMMENTS = /\/\*[^]*?\*\/|^\s*(?:--|#).*$/gm;

/** Whether `bytes[from, to)` is one statement or several that only set up. When in doubt it says no: then it is a call. */
export function isSettingUp(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < 5 || !maySetUp(bytes, from)) return false;
  const statements = latin1Text(bytes, from, to).replace(EXECUTED, ' $1 ').replace(COMMENTS, ' ').split(';').map((text) => text.trim()).filter((text) => text !== '');
  return statements.length > 0 && statements.every((text) => SETS.test(text));
}

/** Cheap and first: nearly all statements begin with another letter (S, R, D, U, a comment or white space go on). */
function maySetUp(bytes: Uint8Array, from: number): boolean {
  const first = bytes[from]! | 0x20;
  if (first !== 0x73) return first === 0x72 || first === 0x64 || first === 0x75 || first === 0x2f || first === 0x2d || first === 0x23 || first <= 0x2d;
  // SELECT is common, and sets up only as `SELECT @@…` or `SELECT set_config(…`.
  if ((bytes[from + 2]! | 0x20) !== 0x6c) return true;
  let at = from + 6;
  while (bytes[at] === 32) at++;
  const next = bytes[at]! | 0x20;
  return next === 0x60 || next === 0x73 || next === 0x70 || next <= 0x2f;
}
