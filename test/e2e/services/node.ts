/** A Node service: one event loop, parallel calls over pooled kept-alive connections, one shared Redis connection. */
import { fileURLToPath } from 'node:url';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream, redisServer } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

export async function nodeService(): Promise<Service> {
  const dir = temporaryDir('node');
  const [upstream, redis, port] = await Promise.all([httpUpstream(), redisServer(), freePort()]);
  const daemon = await Daemon.start({
    name: 'node', command: process.execPath, dir, args: [fileURLToPath(new URL('shop.mjs', import.meta.url))],
    env: { SHOP_PORT: String(port), SHOP_UPSTREAM_PORT: String(upstream.port), SHOP_REDIS_PORT: String(redis.port) },
    ready: () => accepts(port),
  });
  return {
    port, keepAlive: true,
    parts: [{ name: 'Node, http.Agent and one Redis connection', discipline: 'event-loop', pid: daemon.pid, dependencies: [upstream, redis] }],
    ask: (rid, index) => {
      const query = [`calls=${1 + (index % 3)}`, ...(index % 10 === 4 ? ['pad=100000'] : [])];
      return { rid, target: `/work/${rid}?${query.join('&')}` };
    },
    expects: (asked) => ({ redis: 2, http: Number(new URL(asked.target, 'http://shop').searchParams.get('calls')) }),
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream, redis]);
      removeDir(dir);
    },
  };
}
