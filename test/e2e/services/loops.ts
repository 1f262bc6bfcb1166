/** Event loops with the client libraries that such services use, all pools smaller than the number of clients. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { built, type Built } from '../stacks/built.ts';
import { nodeBuild } from '../stacks/node.ts';
import { accepts, Daemon, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream, postgresql, redisServer } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

export const asyncioBuild = (): Built => built('asyncio', ['/usr/bin/python3'], [
  ['/usr/bin/python3', '-m', 'venv', 'venv'],
  ['venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
  ['venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', 'uvloop-0.22', 'uvloop==0.22.1'],
]);

const LOOPS = {
  asyncio: { name: 'aiohttp, asyncpg and redis.asyncio', build: asyncioBuild, command: (dir: string) => [join(dir, 'venv/bin/python'), join(dir, 'loop.py')] },
  node: { name: 'Node http, undici, pg and ioredis', build: nodeBuild, command: (dir: string) => [process.execPath, join(dir, 'loop.mjs')] },
} as const;

/** Why it can't be run here; undefined when it can. */
export function whyNotLoop(kind: keyof typeof LOOPS): string | undefined {
  const made = LOOPS[kind].build();
  return 'why' in made ? made.why : undefined;
}

/** `how` it is recorded, should that be told apart. */
export async function loop(kind: keyof typeof LOOPS, how?: string): Promise<Service> {
  const { name, build, command } = LOOPS[kind];
  const made = build();
  if ('why' in made) throw new Error(made.why);
  const dir = temporaryDir(kind);
  const [upstream, redis, sql, port] = await Promise.all([httpUpstream(), redisServer(), postgresql(), freePort()]);
  // A table that has been in use for a while.
  execFileSync('psql', [`postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`, '-qc', 'alter sequence orders_id_seq restart with 481216'], { stdio: 'pipe', timeout: 20_000 });
  const [program, ...args] = command(made.dir) as [string, ...string[]];
  const daemon = await Daemon.start({
    name: kind, command: program, args, dir,
    env: {
      PYTHONDONTWRITEBYTECODE: '1', SHOP_PORT: String(port), SHOP_UPSTREAM_PORT: String(upstream.port), SHOP_REDIS_PORT: String(redis.port),
      SHOP_PG: `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`,
    },
    ready: () => accepts(port),
  });
  return {
    port, keepAlive: true,
    parts: [{ name: how === undefined ? name : `${name}, ${how}`, discipline: 'event-loop', pid: daemon.pid, dependencies: [upstream, redis, sql] }],
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}${index % 10 === 4 ? '&pad=100000' : ''}` }),
    expects: ({ target }) => ({ redis: 2, http: Number(new URL(target, 'http://shop').searchParams.get('calls')), postgresql: 2 }),
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream, redis, sql]);
      removeDir(dir);
    },
  };
}
