/** Programs of the test stacks with what their package managers fetch, under build/stacks/: made once for each state of their sources. */
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const BUILD = fileURLToPath(new URL('../../../build/stacks/', import.meta.url));

/** What one stack's build came to: a folder, or the reason why there is none here. */
export type Built = { readonly dir: string } | { readonly why: string };

function filesOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name)).filter((path) => statSync(path).isFile()).sort();
}

/**
 * The folder of a program (by default the stack's beside this file), copied and made by `commands` (words, run in the copy). `tools`: programs that must be
 * there. What can't be fetched or is not installed is a reason to skip; a compiler's error is not.
 */
export function built(name: string, tools: readonly string[], commands: readonly (readonly string[])[], source = join(HERE, name)): Built {
  const missing = tools.find((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
  if (missing !== undefined) return { why: `${missing} is not installed` };
  const hash = createHash('sha256').update(JSON.stringify(commands)).update(process.version);
  for (const path of filesOf(source)) hash.update(path.slice(source.length)).update('\0').update(readFileSync(path));
  const dir = join(BUILD, `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(dir)) return { dir };
  // Made where it will stand: virtual environments name their own path.
  const unfinished = `${dir}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(dirname(dir), { recursive: true });
  cpSync(source, unfinished, { recursive: true });
  for (const [command, ...args] of commands) {
    const ran = spawnSync(command!, args, { cwd: unfinished, encoding: 'utf8', timeout: 240_000, maxBuffer: 64 << 20, env: { ...process.env, HOME: process.env['HOME'] ?? '/root' } });
    if (ran.status === 0) continue;
    const said = `${ran.stdout}\n${ran.stderr}\n${ran.error?.message ?? ''}`.trim();
    if (!NOT_FETCHED.test(said)) throw new Error(`${command} ${args.join(' ')}: status ${ran.status}\n${said.slice(-3000)}`);
    return { why: `${command} could not fetch what the ${name} stack needs: ${said.split('\n').find((line) => NOT_FETCHED.test(line))?.trim().slice(0, 200)}` };
  }
  renameSync(unfinished, dir);
  return { dir };
}

/** How npm, pip, go, Maven and cargo say that a registry was not reached or did not serve something. */
const NOT_FETCHED = /ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|E40[34]|No matching distribution|Connection refused|Network is unreachable|dial tcp|no such host|Could not transfer artifact|Could not find artifact|ResolutionException|Temporary failure in name resolution|failed to get `|no matching package named|Could not resolve host|This module version is not available|toolchain not available/;
