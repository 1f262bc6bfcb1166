/** The shop on Go: net/http, pgx. */
import { join } from 'node:path';
import { accepts, freePort } from '../services/daemon.ts';
import { httpUpstream, postgresql } from '../services/dependency.ts';
import { stopAll } from '../services/service.ts';
import { built, type Built } from './built.ts';
import { postgresqlTables } from './tables.ts';
import type { Stack } from './stack.ts';

export const goBuild = (): Built => built('go', ['go'], [['go', 'build', '-o', 'shop', '.']]);

export async function goStack(dir: string): Promise<Stack> {
  const [sql, upstream, port] = await Promise.all([postgresql(), httpUpstream(), freePort()]);
  const url = `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`;
  postgresqlTables(url);
  return {
    port, clients: 8, settleMs: 2_000, calls: 6,
    command: ['env', `SHOP_PORT=${port}`, `SHOP_PG=${url}`, `SHOP_UPSTREAM_PORT=${upstream.port}`, join(dir, 'shop')],
    signs: { added: /count\(\*\) as dearer/, dropped: /select name from items/, parameter: /request\.parameters\[0\]/, twice: /GET \/price/, body: 'response.body.$' },
    ready: () => accepts(port),
    stopDependencies: () => stopAll([sql, upstream]),
    remove: () => undefined,
  };
}
