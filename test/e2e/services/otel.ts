/** A front in Node and a back in Python, both traced by OpenTelemetry's SDK, with PostgreSQL behind each: what traces look like where nobody wrote them by hand. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { built, type Built } from '../stacks/built.ts';
import { accepts, Daemon, freePort, removeDir, temporaryDir } from './daemon.ts';
import { postgresql } from './dependency.ts';
import { stopAll } from './service.ts';

const frontBuild = (): Built => built('otel-node', ['npm'], [['npm', 'ci', '--silent', '--ignore-scripts']]);
const backBuild = (): Built => built('otel-python', ['/usr/bin/python3'], [
  ['/usr/bin/python3', '-m', 'venv', '--system-site-packages', 'venv'],
  ['venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
]);

/** Why they can't run here; undefined when they can. */
export function whyNotTraced(): string | undefined {
  for (const made of [frontBuild(), backBuild()]) if ('why' in made) return made.why;
  return undefined;
}

/** As the SDKs have it. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | null;
  readonly name: string;
  /** Of a request that came in. */
  readonly path?: string | null;
}

export interface Traced {
  readonly port: number;
  readonly front: number;
  readonly back: number;
  /** Those that have ended, of both. */
  spans(): Span[];
  stop(): Promise<void>;
}

function dirOf(made: Built): string {
  if ('why' in made) throw new Error(made.why);
  return made.dir;
}

export async function traced(): Promise<Traced> {
  const [front, back] = [dirOf(frontBuild()), dirOf(backBuild())];
  const dir = temporaryDir('traced');
  const [sql, port, backPort] = await Promise.all([postgresql(), freePort(), freePort()]);
  const url = `postgresql://${sql.user}:${sql.password}@127.0.0.1:${sql.port}/${sql.database}`;
  const spans = [join(dir, 'front.spans'), join(dir, 'back.spans')] as const;
  const behind = await Daemon.start({
    name: 'back', command: join(back, 'venv/bin/python'), dir,
    args: ['-m', 'gunicorn', '--chdir', back, '-k', 'gthread', '-w', '1', '--threads', '8', '--keep-alive', '30', '-b', `127.0.0.1:${backPort}`, '--worker-tmp-dir', dir, '--graceful-timeout', '3', 'back:app'],
    env: { PYTHONDONTWRITEBYTECODE: '1', PYTHONWARNINGS: 'ignore', BACK_PG: url, SPANS: spans[1] },
    ready: () => accepts(backPort),
  });
  const before = await Daemon.start({
    name: 'front', command: process.execPath, dir, args: [join(front, 'front.mjs')],
    env: { FRONT_PORT: String(port), BACK_PORT: String(backPort), FRONT_PG: url, SPANS: spans[0] },
    ready: () => accepts(port),
  });
  return {
    port, front: before.pid, back: behind.pid,
    spans: () => spans.flatMap((path) => readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Span)),
    stop: async () => {
      await before.stop();
      await behind.stop();
      await stopAll([sql]);
      removeDir(dir);
    },
  };
}
