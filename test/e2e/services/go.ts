/** A Go service: net/http on both sides, errgroup, pgx and go-redis, with pools of four connections. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { built, type Built } from '../stacks/built.ts';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream, postgresql, redisServer } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

/** The id in the calls of its timer. */
export const GO_REFRESH_RID = 'rid-refresh000';

/** `stripped`: nothing but what the runtime needs itself is left in the program. */
const LINKED = { plain: [], stripped: ['-ldflags', '-s -w'] } as const;

const goBuilt = (how: keyof typeof LINKED = 'plain'): Built => built(
  `go-service-${how}`, ['go'], [['go', 'build', ...LINKED[how], '-o', 'shop', '.']], fileURLToPath(new URL('go', import.meta.url)));

/** Builds it. */
export function whyNotGo(how: keyof typeof LINKED = 'plain'): string | undefined {
  const made = goBuilt(how);
  return 'why' in made ? made.why : undefined;
}

export interface GoOptions {
  readonly how?: keyof typeof LINKED;
  /** Every fourth request leaves a call to be made after its answer, and a timer makes calls that belong to no request. */
  readonly leftOvers?: boolean;
}

export async function goService({ how = 'plain', leftOvers = false }: GoOptions = {}): Promise<Service> {
  const program = goBuilt(how);
  if ('why' in program) throw new Error(program.why);
  const dir = temporaryDir('go');
  const [upstream, redis, sql, port] = await Promise.all([httpUpstream(), redisServer(), postgresql(), freePort()]);
  const daemon = await Daemon.start({
    name: 'go', command: join(program.dir, 'shop'), dir, args: [],
    env: {
      SHOP_PORT: String(port), SHOP_UPSTREAM_PORT: String(upstream.port), SHOP_REDIS_PORT: String(redis.port),
      SHOP_PG: `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`, ...(leftOvers && { SHOP_REFRESH_ID: GO_REFRESH_RID }),
    },
    ready: () => accepts(port),
  });
  const called = (target: string): URLSearchParams => new URL(target, 'http://x').searchParams;
  return {
    port, keepAlive: true,
    parts: [{
      name: `Go net/http with errgroup, pgx and go-redis${how === 'stripped' ? ', stripped' : ''}${leftOvers ? ', with work left over' : ''}`,
      discipline: 'event-loop', pid: daemon.pid, dependencies: [upstream, redis, sql],
    }],
    // What is left over comes 20 ms late: the last requests leave nothing, or the dependencies would be asked too early.
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}${leftOvers && index % 4 === 3 && index < 240 ? '&after=1' : ''}` }),
    expects: ({ target }) => ({ http: Number(called(target).get('calls')) + (called(target).has('after') ? 2 : 1), redis: 2, postgresql: 2 }),
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream, redis, sql]);
      removeDir(dir);
    },
  };
}
