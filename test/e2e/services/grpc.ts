/** Two Go services: handlers of one call the other by gRPC, or by net/http, all over a single connection of HTTP/2. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built, type Built } from '../stacks/built.ts';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { countIds, type Dependency } from './dependency.ts';
import { goBuild } from './go-releases.ts';
import type { Service } from './service.ts';

/** `release`: by default the installed one. */
const program = (release?: string): Built => built(
  `grpc-service${release === undefined ? '' : `-${release}`}`, ['go'], goBuild({ program: 'shop', release }), fileURLToPath(new URL('grpc', import.meta.url)));

/** Builds it. */
export function whyNotGrpc(release?: string): string | undefined {
  const made = program(release);
  return 'why' in made ? made.why : undefined;
}

export interface FrontOptions {
  /** Where the one that it calls listens, by what it is called. */
  readonly back: number;
  readonly by: 'grpc' | 'http2';
  readonly release?: string | undefined;
}

/** Takes HTTP/1 at `port`. `whyNotGrpc` was asked. */
export async function startFront(dir: string, port: number, { back, by, release }: FrontOptions): Promise<Daemon> {
  const made = program(release);
  if ('why' in made) throw new Error(made.why);
  return Daemon.start({
    name: 'front', command: join(made.dir, 'shop'), dir, args: ['front'], ready: () => accepts(port),
    env: { SHOP_PORT: String(port), ...(by === 'grpc' ? { SHOP_BACK_PORT: String(back) } : { SHOP_HTTP2_PORT: String(back) }) },
  });
}

export async function grpcPair(by: 'grpc' | 'http2' = 'grpc'): Promise<Service> {
  const made = program();
  if ('why' in made) throw new Error(made.why);
  const command = join(made.dir, 'shop');
  const dir = temporaryDir('grpc');
  const [port, backPort, http2Port] = await Promise.all([freePort(), freePort(), freePort()]);
  const back = await Daemon.start({ name: 'back', command, dir, args: ['back'], env: { SHOP_PORT: String(backPort), SHOP_HTTP2_PORT: String(http2Port) }, ready: async () => await accepts(backPort) && await accepts(http2Port) });
  const front = await startFront(dir, port, { back: by === 'grpc' ? backPort : http2Port, by });
  const prices: Dependency = {
    kind: by, destinations: [`127.0.0.1:${by === 'grpc' ? backPort : http2Port}`], stop: () => back.stop(),
    calls: () => Promise.resolve(countIds(back.log().split('\n'), (line) => line.startsWith('answered '))),
  };
  return {
    port, keepAlive: true,
    parts: [{ name: `Go, calling by ${by === 'grpc' ? 'gRPC' : 'net/http\'s HTTP/2'} over one connection`, discipline: 'event-loop', pid: front.pid, dependencies: [prices] }],
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}` }),
    expects: ({ target }) => ({ [by]: Number(new URL(target, 'http://x').searchParams.get('calls')) }),
    stop: async () => {
      await front.stop();
      await prices.stop();
      removeDir(dir);
    },
  };
}
