/** gunicorn's threads, whose handlers start threads or programs that make the calls, or hand them to one pool. */
import { fileURLToPath } from 'node:url';
import { dirname } from 'node:path';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const NAMES = { threads: 'handlers that start threads, and these curl', curl: 'handlers that run curl', pool: 'handlers that share a ThreadPoolExecutor' } as const;

export async function started(how: keyof typeof NAMES): Promise<Service> {
  const dir = temporaryDir('started');
  const [upstream, port] = await Promise.all([httpUpstream(), freePort()]);
  const daemon = await Daemon.start({
    name: 'gunicorn', command: '/usr/bin/python3', dir,
    args: ['/usr/bin/gunicorn', '--chdir', HERE, '-k', 'gthread', '-w', '1', '--threads', '16', '--keep-alive', '30', '-b', `127.0.0.1:${port}`,
      '--worker-tmp-dir', dir, '--graceful-timeout', '3', 'started:app'],
    env: { PYTHONDONTWRITEBYTECODE: '1', STARTED: how, STARTED_UPSTREAM: `127.0.0.1:${upstream.port}` },
    ready: () => accepts(port),
  });
  const calls = (target: string): number => Number(new URL(target, 'http://x').searchParams.get('calls'));
  return {
    port, keepAlive: true,
    parts: [{ name: `gunicorn gthread, ${NAMES[how]}`, discipline: 'thread-per-request', pid: daemon.pid, dependencies: [upstream] }],
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}` }),
    // A thread calls by itself once, and once more or by curl.
    expects: ({ target }) => ({ http: how === 'threads' ? 2 * calls(target) : calls(target) }),
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream]);
      removeDir(dir);
    },
  };
}
