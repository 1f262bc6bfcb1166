/**
 * What one FFI call costs: `npx tsx bench/ffi-call.ts [DIR]`. DIR is a folder where ffi-napi is installed (see
 * docs/decisions/0001-koffi.md); without it only koffi is measured. Rounds of A and B alternate in one run.
 * Bindings are loaded by name, since `src/kernel/ffi.ts` is the only importer of the one that ships.
 */
import { createRequire } from 'node:module';
import path from 'node:path';

const CALLS = 50_000;
const ROUNDS = 15;

/** libc's abs (nothing but the call) and getppid (a system call), as plain functions. */
interface Functions {
  abs(value: number): number;
  getppid(): number;
}

/** Loads a package as a file in `folder` would. */
const load = (folder: string, name: string): unknown => createRequire(path.resolve(folder, 'package.json'))(name);

function koffi(): Functions {
  const binding = load('.', 'koffi') as { load(name: string): { func(signature: string): never } };
  const libc = binding.load('libc.so.6');
  return { abs: libc.func('int abs(int value)'), getppid: libc.func('int getppid()') };
}

function ffiNapi(folder: string): Functions {
  const binding = load(folder, 'ffi-napi') as { Library(name: null, functions: object): Functions };
  return binding.Library(null, { abs: ['int', ['int']], getppid: ['int', []] });
}

/** Nanoseconds a call, over one round. */
function round(call: () => number): number {
  const started = process.hrtime.bigint();
  for (let i = 0; i < CALLS; i++) call();
  return Number(process.hrtime.bigint() - started) / CALLS;
}

const folder = process.argv[2];
const bindings: [string, Functions][] = [['koffi', koffi()]];
if (folder !== undefined) bindings.push(['ffi-napi', ffiNapi(folder)]);

const results = new Map<string, number[]>();
for (let i = 0; i < ROUNDS + 2; i++) {
  for (const [name, functions] of bindings) {
    for (const which of ['abs', 'getppid'] as const) {
      const ns = round(which === 'abs' ? () => functions.abs(-7) : () => functions.getppid());
      if (i >= 2 /* warm */) results.set(`${name} ${which}`, [...(results.get(`${name} ${which}`) ?? []), ns]);
    }
  }
}
console.log(`node ${process.version}, ${ROUNDS} rounds of ${CALLS} calls each`);
console.log('ns a call            min  median     max');
for (const [name, values] of results) {
  values.sort((a, b) => a - b);
  const cells = [values[0], values[ROUNDS >> 1], values.at(-1)].map((v) => Math.round(v ?? NaN).toString().padStart(8));
  console.log(name.padEnd(16) + cells.join(''));
}
