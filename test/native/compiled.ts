/** Compiles the tests' C programs into build/, for this machine or (KOALA_ARCH, as Node names it) for a guest of another architecture. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const project = fileURLToPath(new URL('../..', import.meta.url));
const arch = process.env['KOALA_ARCH'] ?? process.arch;
const suffix = arch === 'x64' ? '' : `-${arch}`;
/** Debian's gcc-aarch64-linux-gnu; the only other architecture there is. */
const compiler = arch === process.arch ? 'cc' : 'aarch64-linux-gnu-gcc';

/** Its path. Compiled unless it is newer than what it depends on. `sources`: those of them that the compiler is given. */
export function compiled(name: string, dependsOn: readonly string[], sources: readonly string[], ...options: readonly string[]): string {
  const binary = join(project, `build/${name}${suffix}`);
  const newest = Math.max(...dependsOn.map((file) => statSync(file).mtimeMs));
  if (existsSync(binary) && statSync(binary).mtimeMs > newest) return binary;
  mkdirSync(join(project, 'build'), { recursive: true });
  const fresh = `${binary}.${process.pid}`;
  execFileSync(compiler, ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', ...options, '-o', fresh, ...sources], { stdio: 'inherit' });
  renameSync(fresh, binary);
  return binary;
}
