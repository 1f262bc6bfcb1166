/** Flask under gunicorn, as threads or as prefork processes, with an HTTP upstream, Redis and PostgreSQL. */
import { fileURLToPath } from 'node:url';
import { dirname } from 'node:path';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream, postgresql, redisServer, type HttpUpstream } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

const HERE = dirname(fileURLToPath(import.meta.url));

export interface GunicornOptions {
  readonly worker: 'gthread' | 'sync';
  /** PostgreSQL by TCP or by its unix socket. */
  readonly sql: 'tcp' | 'unix';
  readonly tlsUpstream?: HttpUpstream;
}

export async function gunicorn(options: GunicornOptions): Promise<Service> {
  const dir = temporaryDir('gunicorn');
  const [upstream, redis, sql, port] = await Promise.all([httpUpstream(), redisServer(), postgresql(), freePort()]);
  const threads = options.worker === 'gthread' ? 16 : 1;
  const shape = options.worker === 'gthread'
    ? ['-k', 'gthread', '-w', '1', '--threads', String(threads), '--keep-alive', '30']
    : ['-k', 'sync', '-w', '4'];
  const host = options.sql === 'tcp' ? '127.0.0.1' : sql.socketDir;
  const daemon = await Daemon.start({
    name: 'gunicorn', command: '/usr/bin/python3', dir,
    args: ['/usr/bin/gunicorn', '--chdir', HERE, ...shape, '-b', `127.0.0.1:${port}`, '--worker-tmp-dir', dir, '--graceful-timeout', '3', 'shop:app'],
    env: {
      PYTHONDONTWRITEBYTECODE: '1', PYTHONWARNINGS: 'ignore',
      SHOP_UPSTREAM: `http://127.0.0.1:${upstream.port}`, SHOP_REDIS_PORT: String(redis.port), SHOP_THREADS: String(threads),
      SHOP_PG: `host=${host} port=${sql.port} user=${sql.user} password=${sql.password} dbname=${sql.database} sslmode=disable`,
      ...(options.tlsUpstream && { SHOP_TLS_UPSTREAM: `https://127.0.0.1:${options.tlsUpstream.port}` }),
    },
    ready: () => accepts(port),
  });
  return {
    port,
    keepAlive: options.worker === 'gthread',
    parts: [{
      name: `gunicorn ${options.worker}, PostgreSQL by ${options.sql}`,
      discipline: 'thread-per-request', pid: daemon.pid, dependencies: [upstream, redis, sql],
    }],
    ask: (rid, index) => {
      const query = [`calls=${1 + (index % 3)}`, ...(index % 10 === 4 ? ['pad=200000'] : []), ...(index % 8 === 3 ? ['after=1'] : [])];
      return { rid, target: `/work/${rid}?${query.join('&')}` };
    },
    expects: (asked) => {
      const query = new URL(asked.target, 'http://shop').searchParams;
      return { http: Number(query.get('calls')), postgresql: 4, redis: query.has('after') ? 3 : 2 };
    },
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream, redis, sql]);
      removeDir(dir);
    },
  };
}
