/** Other Nodes than the installed one, as nodejs.org builds them, from npm: the lines that are kept up, by what services run on. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built } from '../stacks/built.ts';

export type NodeRelease = 22 | 24 | 26;

/** The `node` of that release (undefined: the installed one), or why it can't be had here. */
export function nodeOf(release: NodeRelease | undefined): { readonly node: string } | { readonly why: string } {
  if (release === undefined) return { node: process.execPath };
  if (process.arch !== 'x64') return { why: `no Node ${release} for ${process.arch} in test/e2e/services/node-releases` };
  const made = built('node-releases', ['npm'], [['npm', 'ci', '--silent', '--ignore-scripts']], fileURLToPath(new URL('node-releases', import.meta.url)));
  return 'why' in made ? made : { node: join(made.dir, `node_modules/node${release}/bin/node`) };
}
