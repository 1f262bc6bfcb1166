/** A Python service that says by helper datagrams whose work it is at: an event loop, or threads that hand their calls to others. */
import { fileURLToPath } from 'node:url';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

const NAMES = {
  before: 'event loop in Python, requests named before they are read', late: 'event loop in Python, requests named once they are read',
  pool: 'threads in Python, four workers that say for whom they call',
} as const;

export async function named(how: keyof typeof NAMES): Promise<Service> {
  const dir = temporaryDir('named');
  const [upstream, port] = await Promise.all([httpUpstream(), freePort()]);
  const daemon = await Daemon.start({
    name: 'named', command: '/usr/bin/python3', dir, args: [fileURLToPath(new URL('named.py', import.meta.url))],
    env: {
      PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: fileURLToPath(new URL('../../native/programs', import.meta.url)),
      NAMED: how, NAMED_PORT: String(port), NAMED_UPSTREAM_PORT: String(upstream.port),
    },
    ready: () => accepts(port),
  });
  return {
    port, keepAlive: true,
    parts: [{ name: NAMES[how], discipline: how === 'pool' ? 'thread-per-request' : 'event-loop', pid: daemon.pid, dependencies: [upstream] }],
    ask: (rid, index) => ({ rid, target: `/work/${rid}?calls=${1 + (index % 3)}` }),
    expects: ({ target }) => ({ http: Number(new URL(target, 'http://x').searchParams.get('calls')) }),
    stop: async () => {
      await daemon.stop();
      await stopAll([upstream]);
      removeDir(dir);
    },
  };
}
