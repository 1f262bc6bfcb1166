/** The shop on Python: gunicorn's threads, psycopg 3 with prepared statements or psycopg2, redis-py, requests. */
import { join } from 'node:path';
import { accepts, freePort } from '../services/daemon.ts';
import { httpUpstream, postgresql, redisServer } from '../services/dependency.ts';
import { stopAll } from '../services/service.ts';
import { built, type Built } from './built.ts';
import { postgresqlTables } from './tables.ts';
import type { Stack } from './stack.ts';

/** gunicorn, Flask, psycopg2, redis-py and requests are Debian's. A virtual environment can't be moved: its programs are asked for by `python -m`. */
export const pythonBuild = (): Built => built('python', ['/usr/bin/python3'], [
  ['/usr/bin/python3', '-m', 'venv', '--system-site-packages', 'venv'],
  ['venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
]);

/** Where the parameters of a statement stand in a report. psycopg2 writes them into its text. */
const PARAMETER = { psycopg: /request\.parameters\[0\]/, psycopg2: /request\.statement/ } as const;

export const pythonStack = (driver: keyof typeof PARAMETER) => async (dir: string): Promise<Stack> => {
  const [sql, redis, upstream, port] = await Promise.all([postgresql(), redisServer(), httpUpstream(), freePort()]);
  const url = `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`;
  postgresqlTables(url);
  return {
    port, clients: 8, calls: 7,
    command: ['env', '-C', dir, 'PYTHONDONTWRITEBYTECODE=1', `SHOP_DRIVER=${driver}`, `SHOP_PG=${url}`, `SHOP_REDIS_PORT=${redis.port}`, `SHOP_UPSTREAM_PORT=${upstream.port}`,
      join(dir, 'venv/bin/python'), '-m', 'gunicorn', '--workers', '1', '--threads', '12', '--worker-class', 'gthread', '--keep-alive', '30', '--bind', `127.0.0.1:${port}`, 'shop:app'],
    signs: { added: /count\(\*\) as dearer/, dropped: /select id, name from items/, parameter: PARAMETER[driver], twice: /GET \/price/, body: 'response.body.$' },
    ready: () => accepts(port),
    stopDependencies: () => stopAll([sql, redis, upstream]),
    remove: () => undefined,
  };
};
