/**
 * Checks the direction of imports: `npm run check`. Each folder of src/ may import only from folders above it in ROWS
 * (DESIGN: layout), from itself, and from packages that package.json's `dependencies` names; src/kernel/ffi.ts alone
 * imports the FFI binding. Fails with file:line and the rule.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** From the top: what stands in one row may import each other. */
const ROWS: readonly (readonly string[])[] = [
  ['errors.ts', 'bounded.ts', 'bytes'],
  ['kernel'],
  ['events'],
  ['connections'],
  ['protocols'],
  ['talks'],
  ['contexts'],
  ['sessions'],
  ['store'],
  ['record'],
  ['instrument'],
  ['formats'],
  ['compare'],
  ['replay'],
  ['serve'],
  ['report'],
  ['cli'],
  ['index.ts'],
];
/** The FFI binding and the one file that may import it. */
const BINDING = { name: 'koffi', file: 'src/kernel/ffi.ts' } as const;

export interface Violation {
  /** Relative to the project. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly rule: string;
}

const row = (entry: string): number => ROWS.findIndex((names) => names.includes(entry));

/** The first path component below src/, or undefined outside of it. */
function entryOf(file: string): string | undefined {
  const [top, entry] = file.split('/');
  return top === 'src' ? entry : undefined;
}

/**
 * Every rule that the imports of one file break. Pure.
 * @param file path relative to the project, with forward slashes
 * @param dependencies package.json's `dependencies` names
 */
export function violations(file: string, text: string, dependencies: ReadonlySet<string>): Violation[] {
  const found: Violation[] = [];
  const from = entryOf(file);
  for (const { fileName: target, pos } of ts.preProcessFile(text, true, true).importedFiles) {
    const rule = broken(file, from, target, dependencies);
    if (rule !== undefined) found.push({ file, line: text.slice(0, pos).split('\n').length, rule });
  }
  if (from !== undefined && row(from) < 0) {
    found.push({ file, line: 1, rule: `src/${from} has no row in the layout: add it to ROWS in scripts/check-imports.ts` });
  }
  return found;
}

function broken(file: string, from: string | undefined, target: string, dependencies: ReadonlySet<string>): string | undefined {
  if (target === BINDING.name && file !== BINDING.file) return `only ${BINDING.file} may import ${BINDING.name}`;
  if (from === undefined) return undefined; // tests, benchmarks and scripts may import anything else
  if (!target.startsWith('.')) {
    if (isBuiltin(target)) return target.startsWith('node:') ? undefined : `write node:${target}`;
    const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/');
    return dependencies.has(name) ? undefined : `${name} is not in package.json's dependencies, so users do not have it`;
  }
  const to = entryOf(path.posix.join(path.posix.dirname(file), target));
  if (to === undefined) return `src may not import ${target}: it lies outside of src`;
  if (to === from || row(from) < 0 || row(to) < 0) return undefined;
  return row(to) <= row(from) ? undefined : `src/${from} may not import src/${to}: it stands below it in the layout`;
}

/** TypeScript and JavaScript files below `folder`. */
function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'node_modules') yield* sources(file);
    else if (/\.[cm]?[jt]s$/.test(entry.name)) yield file;
  }
}

function main(root: string): void {
  const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const names = new Set(Object.keys(dependencies));
  let files = 0;
  let failed = 0;
  for (const top of ['src', 'test', 'bench', 'scripts', 'examples']) {
    if (statSync(path.join(root, top), { throwIfNoEntry: false }) === undefined) continue;
    for (const file of sources(path.join(root, top))) {
      files++;
      for (const { line, rule, file: where } of violations(path.relative(root, file), readFileSync(file, 'utf8'), names)) {
        failed++;
        console.error(`${where}:${line}: ${rule}`);
      }
    }
  }
  console.log(`imports: ${files} files, ${failed} against the rules`);
  process.exitCode = failed === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(path.resolve(import.meta.dirname, '..'));
