/** Worker threads from a module beside the caller's, compiled or (in development) as TypeScript. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type ResourceLimits } from 'node:worker_threads';

/**
 * Starts `name` (without extension: `./worker`), resolved from `from` (the caller's `import.meta.url`). In a checkout tsx
 * does not reach workers on Node 20, so a first line registers it there.
 */
export function startThread(name: string, from: string, workerData: unknown, resourceLimits: ResourceLimits = {}): Worker {
  if (!from.endsWith('.ts')) return new Worker(new URL(`${name}.js`, from), { workerData, resourceLimits });
  const module = JSON.stringify(new URL(`${name}.ts`, from).href);
  const tsx = JSON.stringify(new URL('dist/esm/api/index.mjs', pathToFileURL(createRequire(from).resolve('tsx/package.json'))).href);
  return new Worker(`import(${tsx}).then(({ register }) => { register(); return import(${module}); })`, { eval: true, workerData, resourceLimits });
}
