/** How many parameters a statement's text has. */

/** Quoted text and comments: what looks like a parameter in there is none. */
const QUOTED = /'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|--[ \t].*$|\/\*[^]*?\*\//gm;

/** The highest `$1`, else the number of `?`. */
export function parametersIn(sql: string): number {
  const bare = sql.replace(QUOTED, '');
  const numbered = [...bare.matchAll(/\$(\d+)/g)].map(([, digits]) => Number(digits));
  return numbered.length > 0 ? Math.max(...numbered) : bare.split('?').length - 1;
}
