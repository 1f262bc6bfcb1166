/** What is evaluated inside a Node service: the files of inside/, as one expression. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ASKED } from './address.ts';

const PARTS = ['http', 'undici', 'pg', 'mysql2', 'ioredis'] as const;
/** The inspector is closed this long after the answer: who asked has hung up by then, and closing waits for nobody. */
const CLOSE_MS = 40;

const text = (name: string): string => readFileSync(new URL(`./inside/${name}.js`, import.meta.url), 'utf8').trim();

/** Its value: `{state: "on", port}` (the UDP port that it speaks from) or `{state: "refused", why}`. `close`: the inspector, afterwards. */
export function program(close: boolean): string {
  const core = text('core');
  const parts = PARTS.map(text);
  const version = createHash('sha256').update(core).update(parts.join('\n')).digest('hex').slice(0, 12);
  return wrapped(`(${core}\n)(${JSON.stringify({ version, ...ASKED })}, [${parts.join(',\n')}].flat(), load)`, close);
}

/** Does nothing but close the inspector. */
export const closing = (): string => wrapped('undefined', true);

// getBuiltinModule came with 20.16 and 22.3; `require` is what an inspector's console has.
function wrapped(expression: string, close: boolean): string {
  return `(() => {
  const load = typeof process.getBuiltinModule === 'function' ? process.getBuiltinModule : require;
  const close = () => { ${close ? `setTimeout(() => load('inspector').close(), ${CLOSE_MS});` : ''} };
  let result;
  try {
    result = ${expression};
  } catch (error) {
    result = { state: 'refused', why: String((error && error.message) || error) };
  }
  return Promise.resolve(result).finally(close);
})()`;
}
