/** The shop on Node: pg, mysql2, ioredis, undici. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { accepts, freePort } from '../services/daemon.ts';
import { httpUpstream, mariadb, postgresql, redisServer } from '../services/dependency.ts';
import { stopAll } from '../services/service.ts';
import { built, type Built } from './built.ts';
import { mariadbTables, postgresqlTables } from './tables.ts';
import type { Stack } from './stack.ts';

export const nodeBuild = (): Built => built('node', ['npm'], [['npm', 'ci', '--silent', '--ignore-scripts']]);

export async function nodeStack(dir: string): Promise<Stack> {
  const [sql, stock, redis, upstream, port] = await Promise.all([postgresql(), mariadb({ tcp: true }), redisServer(), httpUpstream(), freePort()]);
  const url = `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`;
  postgresqlTables(url);
  mariadbTables(stock.socket);
  for (let n = 0; n < 20; n += 1) execFileSync('redis-cli', ['-p', String(redis.port), 'hset', `person:${n}`, 'name', `person ${n}`, 'age', String(20 + n)], { stdio: 'pipe' });
  return {
    port, clients: 1, calls: 8,
    command: ['env', `SHOP_PORT=${port}`, `SHOP_PG=${url}`, `SHOP_MYSQL_PORT=${stock.port}`, `SHOP_REDIS_PORT=${redis.port}`,
      `SHOP_UPSTREAM_PORT=${upstream.port}`, process.execPath, join(dir, 'shop.mjs')],
    signs: { added: /count\(\*\) as dearer/, dropped: /select name, price, weight/, parameter: /request\.parameters\[0\]/, twice: /GET \/price/, body: 'response.body.$' },
    ready: () => accepts(port),
    stopDependencies: () => stopAll([sql, stock, redis, upstream]),
    remove: () => undefined,
  };
}
