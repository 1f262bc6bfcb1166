/** A Go service: net/http on both sides, errgroup, pgx and go-redis, with pools of four connections; and one that is asked over HTTP/2 or by gRPC. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { built, type Built } from '../stacks/built.ts';
import { goBuild } from './go-releases.ts';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream, postgresql, redisServer, type Dependency, type HttpUpstream, type Postgresql, type Redis } from './dependency.ts';
import { startFront } from './grpc.ts';
import { RID } from './rid.ts';
import { stopAll, type Service } from './service.ts';

/** The id in the calls of its timer. */
export const GO_REFRESH_RID = 'rid-refresh000';

const PRICE = new RegExp(`price of ${RID.source}`);

/** `stripped`: nothing but what the runtime needs itself is left in the program. */
const LINKED = { plain: [], stripped: ['-ldflags', '-s -w'] } as const;

/** `release`: by default the installed one. */
const goBuilt = (how: keyof typeof LINKED = 'plain', release?: string): Built => built(
  `go-service-${how}${release === undefined ? '' : `-${release}`}`, ['go'], goBuild({ program: 'shop', release, flags: LINKED[how] }), fileURLToPath(new URL('go', import.meta.url)));

/** Builds it. */
export function whyNotGo(how: keyof typeof LINKED = 'plain', release?: string): string | undefined {
  const made = goBuilt(how, release);
  return 'why' in made ? made.why : undefined;
}

/** Path of it, built. */
export function goProgram(how: keyof typeof LINKED, release?: string): string {
  const made = goBuilt(how, release);
  if ('why' in made) throw new Error(made.why);
  return join(made.dir, 'shop');
}

export interface GoOptions {
  readonly how?: keyof typeof LINKED;
  /** Every fourth request leaves a call to be made after its answer, and a timer makes calls that belong to no request. */
  readonly leftOvers?: boolean;
}

export interface GoOverHttp2 {
  readonly by: 'grpc' | 'http2';
  readonly how?: keyof typeof LINKED;
  /** By gRPC: the one that is asked has so many goroutines serve the streams (NumStreamWorkers), and others where these are busy. */
  readonly workers?: number;
  /** Both are built with this Go, not the installed one. */
  readonly release?: string;
}

interface Shop {
  readonly daemon: Daemon;
  readonly dir: string;
  readonly dependencies: readonly [HttpUpstream, Redis, Postgresql];
}

/** It listens at `port`; for gRPC at `grpcPort`, where that is given. */
async function startShop(port: number, command: string, env: Readonly<Record<string, string>>, grpcPort?: number): Promise<Shop> {
  const dir = temporaryDir('go');
  const [upstream, redis, sql] = await Promise.all([httpUpstream(), redisServer(), postgresql()]);
  const daemon = await Daemon.start({
    name: 'go', command, dir, args: [],
    env: {
      SHOP_PORT: String(port), SHOP_UPSTREAM_PORT: String(upstream.port), SHOP_REDIS_PORT: String(redis.port),
      SHOP_PG: `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`, ...env, ...(grpcPort !== undefined && { SHOP_GRPC_PORT: String(grpcPort) }),
    },
    ready: async () => await accepts(port) && (grpcPort === undefined || await accepts(grpcPort)),
  });
  return { daemon, dir, dependencies: [upstream, redis, sql] };
}

export async function goService({ how = 'plain', leftOvers = false }: GoOptions = {}): Promise<Service> {
  const port = await freePort();
  const { daemon, dir, dependencies } = await startShop(port, goProgram(how), leftOvers ? { SHOP_REFRESH_ID: GO_REFRESH_RID } : {});
  const called = (target: string): URLSearchParams => new URL(target, 'http://x').searchParams;
  return {
    port, keepAlive: true,
    parts: [{
      name: `Go net/http with errgroup, pgx and go-redis${how === 'stripped' ? ', stripped' : ''}${leftOvers ? ', with work left over' : ''}`,
      discipline: 'event-loop', pid: daemon.pid, dependencies,
    }],
    // What is left over comes 20 ms late: the last requests leave nothing, or the dependencies would be asked too early.
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}${leftOvers && index % 4 === 3 && index < 240 ? '&after=1' : ''}` }),
    expects: ({ target }) => ({ http: Number(called(target).get('calls')) + (called(target).has('after') ? 2 : 1), redis: 2, postgresql: 2 }),
    stop: async () => {
      await daemon.stop();
      await stopAll(dependencies);
      removeDir(dir);
    },
  };
}

/** The same, asked by another Go service over one connection for all: by gRPC, or over net/http's HTTP/2. */
export async function goOverHttp2({ by, how = 'plain', workers = 0, release }: GoOverHttp2): Promise<Service> {
  const [port, backPort, grpcPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const { daemon, dir, dependencies } = await startShop(backPort, goProgram(how, release), { SHOP_GRPC_WORKERS: String(workers) }, grpcPort);
  const back = by === 'grpc' ? grpcPort : backPort;
  const front = await startFront(dir, port, { back, by, release });
  const names = { grpc: 'gRPC', http2: 'net/http\'s HTTP/2' } as const;
  const answers: Dependency = {
    kind: by, destinations: [`127.0.0.1:${back}`], stop: () => daemon.stop(),
    // It makes as many inserts as it gives answers.
    calls: async () => new Map([...await dependencies[2].calls()].map(([rid, calls]) => [rid, calls / 2])),
  };
  const suffix = `${how === 'stripped' ? ', stripped' : ''}${workers > 0 ? `, with ${workers} stream workers` : ''}`;
  return {
    port, keepAlive: true,
    parts: [
      { name: `Go, calling by ${names[by]} over one connection, once a request`, discipline: 'event-loop', pid: front.pid, dependencies: [answers] },
      {
        name: `Go, asked by ${names[by]} over one connection, with errgroup, pgx and go-redis${suffix}`, discipline: 'event-loop', pid: daemon.pid, dependencies,
        answerBody: (sent) => Buffer.from(frontSays(sent)),
      },
    ],
    ask: (rid) => ({ rid, target: `/work/${rid}?calls=1` }),
    expects: () => ({ [by]: 1, http: 3, redis: 2, postgresql: 2 }),
    stop: async () => {
      await front.stop();
      await answers.stop();
      await stopAll(dependencies);
      removeDir(dir);
    },
  };
}

/** What the other one makes of an answer, in whose frames the price stands as it is. */
function frontSays(sent: Buffer): string {
  const price = PRICE.exec(sent.toString('latin1'))?.[0] ?? '';
  return `done: ${price.match(RID)?.[0]}: ${price}\n`;
}
