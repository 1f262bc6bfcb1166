/** A Node service: one event loop, parallel calls over pooled kept-alive connections, one shared Redis connection. */
import { fileURLToPath } from 'node:url';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream, redisServer } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

export interface NodeOptions {
  /** Every fourth request leaves a call to be made after its answer, and a timer makes calls that belong to no request. */
  readonly leftOvers?: true;
  /** Its memory is not read (`--read-memory none`). */
  readonly notRead?: true;
}

/** The id in the timer's calls. */
export const REFRESH_RID = 'rid-refresh000';

export async function nodeService({ leftOvers, notRead }: NodeOptions = {}): Promise<Service> {
  const dir = temporaryDir('node');
  const [upstream, redis, port] = await Promise.all([httpUpstream(), redisServer(), freePort()]);
  const daemon = await Daemon.start({
    name: 'node', command: process.execPath, dir, args: [fileURLToPath(new URL('shop.mjs', import.meta.url))],
    env: { SHOP_PORT: String(port), SHOP_UPSTREAM_PORT: String(upstream.port), SHOP_REDIS_PORT: String(redis.port),
      ...(leftOvers && { SHOP_REFRESH_ID: REFRESH_RID }) },
    ready: () => accepts(port),
  });
  return {
    port, keepAlive: true,
    parts: [{ name: `Node, http.Agent and one Redis connection${leftOvers ? ', with work left over' : ''}${notRead ? ', its memory not read' : ''}`, discipline: 'event-loop', pid: daemon.pid, dependencies: [upstream, redis] }],
    ask: (rid, index) => {
      const query = [`calls=${1 + (index % 3)}`, ...(index % 10 === 4 ? ['pad=100000'] : []), ...(leftOvers && index % 4 === 3 ? ['after=1'] : [])];
      return { rid, target: `/work/${rid}?${query.join('&')}` };
    },
    expects: (asked) => {
      const query = new URL(asked.target, 'http://shop').searchParams;
      return { redis: query.has('after') ? 3 : 2, http: Number(query.get('calls')) };
    },
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream, redis]);
      removeDir(dir);
    },
  };
}
