/** A Node service with the drivers that Node services use, each behind a pool that is smaller than the concurrency. */
import { copyFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeBuild } from '../stacks/node.ts';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream, mariadb, postgresql, redisServer } from './dependency.ts';
import { REFRESH_RID } from './node.ts';
import { nodeOf, type NodeRelease } from './node-releases.ts';
import { stopAll, type Service } from './service.ts';

/** As drivers.mjs is written. */
const CALLS = { http: 5, postgresql: 5, mysql: 2, redis: 7 } as const;

export interface DriversOptions {
  /** MariaDB by its unix socket instead of by TCP. */
  readonly unix?: true;
  /** The runtime is asked (`attach --instrument node`), or its memory is read (`--read-memory node`). */
  readonly how?: 'asked' | 'its memory not read';
  /** By that Node, not the installed one. */
  readonly release?: NodeRelease;
}

/** Why it can't run here. */
export function whyNoDrivers(release?: NodeRelease): string | undefined {
  const build = nodeBuild();
  if ('why' in build) return build.why;
  const found = nodeOf(release);
  return 'why' in found ? found.why : undefined;
}

export async function nodeDrivers({ unix, how, release }: DriversOptions = {}): Promise<Service> {
  const build = nodeBuild();
  if ('why' in build) throw new Error(build.why);
  const found = nodeOf(release);
  if ('why' in found) throw new Error(found.why);
  const dir = temporaryDir('drivers');
  const script = join(dir, 'drivers.mjs');
  copyFileSync(fileURLToPath(new URL('drivers.mjs', import.meta.url)), script);
  symlinkSync(join(build.dir, 'node_modules'), join(dir, 'node_modules'));
  const [upstream, redis, sql, stock, port] = await Promise.all([httpUpstream(), redisServer(), postgresql(), mariadb({ tcp: true }), freePort()]);
  const dependencies = [upstream, redis, sql, stock];
  const daemon = await Daemon.start({
    name: 'drivers', command: found.node, dir, args: [script],
    env: {
      SHOP_PORT: String(port), SHOP_UPSTREAM_PORT: String(upstream.port), SHOP_REDIS_PORT: String(redis.port), SHOP_REFRESH_ID: REFRESH_RID,
      SHOP_PG: `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`,
      SHOP_MYSQL: JSON.stringify({ ...(unix ? { socketPath: stock.socket } : { host: '127.0.0.1', port: stock.port }), user: stock.user, password: stock.password, database: stock.database }),
    },
    ready: () => accepts(port),
  });
  return {
    port, keepAlive: true,
    parts: [{ name: `Node${release === undefined ? '' : ` ${release}`}, undici, http.Agent, pg, mysql2${unix ? ' by unix socket' : ''}, ioredis${how === undefined ? '' : `, ${how}`}`, discipline: 'event-loop', pid: daemon.pid, dependencies }],
    ask: (rid, index) => ({ rid, target: `/work/${rid}${index % 8 === 3 ? '?after=1' : ''}` }),
    expects: (given) => ({ ...CALLS, redis: CALLS.redis + (given.target.includes('after=1') ? 1 : 0) }),
    stop: async () => {
      await daemon.stop();
      await stopAll(dependencies);
      removeDir(dir);
    },
  };
}
