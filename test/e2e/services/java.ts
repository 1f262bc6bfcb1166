/** A servlet on Tomcat whose calls go out in each of the ways that Java has: by its own thread (which may be a virtual one), others, a pool's, virtual ones, or a client's own. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { built, type Built } from '../stacks/built.ts';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { javaOf } from './jdk.ts';
import { httpUpstream, postgresql, redisServer } from './dependency.ts';
import { stopAll, type Part, type Service } from './service.ts';

/** Name in the table, and what a request with so many `calls` leads to, by the destination's kind. */
interface Way {
  readonly name: string;
  readonly discipline: Part['discipline'];
  readonly expects: (calls: number) => ReturnType<Service['expects']>;
}

const blocking = (calls: number): ReturnType<Service['expects']> => ({ http: calls + 1, redis: 2, postgresql: 2 });
const http = (calls: number): ReturnType<Service['expects']> => ({ http: calls + 1 });

const WAYS = {
  servlet: { name: 'Tomcat servlet, JDBC, HttpURLConnection and Jedis', discipline: 'thread-per-request', expects: blocking },
  threads: { name: 'Tomcat servlet, each call a FutureTask in a Thread of its own', discipline: 'thread-per-request', expects: blocking },
  executor: { name: 'Tomcat servlet, calls by a ThreadPoolExecutor of 4', discipline: 'event-loop', expects: blocking },
  'executor-zgc': { name: 'Tomcat servlet, calls by a ThreadPoolExecutor of 4, ZGC', discipline: 'event-loop', expects: blocking },
  'executor-shenandoah': { name: 'Tomcat servlet, calls by a ThreadPoolExecutor of 4, Shenandoah', discipline: 'event-loop', expects: blocking },
  'executor-untold': { name: 'Tomcat servlet, calls by a ThreadPoolExecutor of 4, Shenandoah that counts nothing', discipline: 'event-loop', expects: blocking },
  virtual: { name: 'Tomcat on virtual threads, each call by one more', discipline: 'event-loop', expects: blocking },
  'virtual-own': { name: 'Tomcat on virtual threads, JDBC, HttpURLConnection and Jedis', discipline: 'event-loop', expects: blocking },
  'http-client': { name: 'Tomcat servlet, java.net.http.HttpClient', discipline: 'event-loop', expects: http },
  'apache-async': { name: 'Tomcat servlet, Apache HttpAsyncClient', discipline: 'event-loop', expects: http },
  lettuce: { name: 'Tomcat servlet, one Lettuce connection', discipline: 'event-loop', expects: (calls: number) => ({ redis: 2 * calls }) },
} as const satisfies Record<string, Way>;

export type JavaWay = keyof typeof WAYS;

/** By what a way's name ends with. */
const COLLECTORS: Readonly<Record<string, readonly string[]>> = { zgc: ['-XX:+UseZGC'], shenandoah: ['-XX:+UseShenandoahGC'], untold: ['-XX:+UseShenandoahGC', '-XX:-UsePerfData'] };

const javaBuilt = (): Built => built('java-service', ['mvn', 'javac', 'java'],
  [['mvn', '--quiet', '--batch-mode', 'compile', 'dependency:copy-dependencies', '-DincludeScope=runtime']], fileURLToPath(new URL('java', import.meta.url)));

const isVirtual = (way: JavaWay): boolean => way.startsWith('virtual');

/** Why it can't be run here; undefined when it can. */
export function whyNotJava(way: JavaWay): string | undefined {
  for (const made of [javaBuilt(), ...(isVirtual(way) ? [javaOf(21)] : [])]) if ('why' in made) return made.why;
  return undefined;
}

/** Throws where `whyNotJava` says why. */
function had<T>(made: T | { readonly why: string }): T {
  if (typeof made === 'object' && made !== null && 'why' in made) throw new Error(made.why);
  return made as T;
}

export async function javaService(way: JavaWay): Promise<Service> {
  const { name, discipline, expects } = WAYS[way];
  const { dir: program } = had(javaBuilt());
  const { java } = isVirtual(way) ? had(javaOf(21)) : { java: 'java' };
  const dir = temporaryDir('java');
  const needs = expects(1);
  const [upstream, redis, sql, port] = await Promise.all([
    'http' in needs ? httpUpstream() : undefined, 'redis' in needs ? redisServer() : undefined, 'postgresql' in needs ? postgresql() : undefined, freePort(),
  ]);
  const dependencies = [upstream, redis, sql].filter((each) => each !== undefined);
  const daemon = await Daemon.start({
    name: 'java', command: java, dir, readyMs: 60_000, ready: () => accepts(port),
    args: ['-Xmx192m', '-XX:TieredStopAtLevel=1', ...(COLLECTORS[way.replace('executor-', '')] ?? ['-XX:+UseSerialGC']), '-cp', `${join(program, 'target/classes')}:${join(program, 'target/dependency/*')}`, 'shop.Shop'],
    env: {
      SHOP_WAY: way.startsWith('executor') ? 'executor' : way, SHOP_PORT: String(port),
      ...(upstream !== undefined && { SHOP_UPSTREAM_PORT: String(upstream.port) }),
      ...(redis !== undefined && { SHOP_REDIS_PORT: String(redis.port) }),
      ...(sql !== undefined && { SHOP_PG: `jdbc:postgresql://127.0.0.1:${sql.port}/${sql.database}?user=${sql.user}&password=${sql.password}` }),
    },
  });
  return {
    port, keepAlive: true,
    parts: [{ name, discipline, pid: daemon.pid, dependencies }],
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}` }),
    expects: ({ target }) => expects(Number(new URL(target, 'http://shop').searchParams.get('calls'))),
    stop: async () => {
      await daemon.stop();
      await stopAll(dependencies);
      removeDir(dir);
    },
  };
}
