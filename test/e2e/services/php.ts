/** nginx → php-fpm, by TCP or by a unix socket, with MariaDB by its unix socket. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, accepts, freePort, giveTo, removeDir, temporaryDir } from './daemon.ts';
import { countIds, mariadb, settled, type Dependency } from './dependency.ts';
import { nginxDaemon } from './nginx.ts';
import { stopAll, type Service } from './service.ts';

const CHILDREN = 8;

export async function php(listen: 'tcp' | 'unix'): Promise<Service> {
  const dir = temporaryDir('php');
  const [sql, port, fpmPort] = await Promise.all([mariadb(), freePort(), freePort()]);
  const web = join(dir, 'web');
  mkdirSync(web);
  copyFileSync(new URL('shop.php', import.meta.url), join(web, 'shop.php'));
  const fpmSocket = join(dir, 'fpm.sock');
  const access = join(dir, 'access.log');
  writeFileSync(access, '');
  giveTo(access, 'www-data');
  writeFileSync(join(dir, 'fpm.conf'), `[global]
daemonize = no
error_log = ${join(dir, 'error.log')}
[shop]
user = www-data
group = www-data
listen = ${listen === 'tcp' ? `127.0.0.1:${fpmPort}` : fpmSocket}
listen.owner = www-data
listen.group = www-data
pm = static
pm.max_children = ${CHILDREN}
access.log = ${access}
access.format = "%m %r?%q %s"
`);
  const fpm = await Daemon.start({
    name: 'php-fpm', command: fpmBinary(), dir, args: ['-F', '-y', join(dir, 'fpm.conf')], stopSignal: 'SIGQUIT',
    ready: () => accepts(listen === 'tcp' ? fpmPort : fpmSocket),
  });
  const fastcgi = listen === 'tcp' ? `127.0.0.1:${fpmPort}` : `unix:${fpmSocket}`;
  const nginx = await nginxDaemon(dir, 2, `
  server {
    listen 127.0.0.1:${port};
    root ${web};
    location = /shop.php {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME ${web}/shop.php;
      fastcgi_param SHOP_SOCKET ${sql.socket};
      fastcgi_pass ${fastcgi};
    }
  }`, port);
  const fpmAsDependency: Dependency = {
    kind: 'fastcgi', destinations: [fastcgi],
    calls: async () => {
      const text = (): string => readFileSync(access, 'utf8');
      await settled(() => text().length);
      return countIds(text().split('\n'), (line) => line.startsWith('GET '));
    },
    stop: () => fpm.stop(),
  };
  return {
    port, keepAlive: true,
    parts: [
      { name: `php-fpm by ${listen}`, discipline: 'thread-per-request', pid: fpm.pid, dependencies: [sql], answerBody: fastcgiBody },
      { name: `nginx before php-fpm by ${listen}`, discipline: 'event-loop', pid: nginx.pid, dependencies: [fpmAsDependency] },
    ],
    ask: (rid, index) => {
      const query = [`rid=${rid}`, `rows=${1 + (index % 3)}`, ...(index % 10 === 4 ? ['pad=150000'] : []), ...(index % 4 === 3 ? ['after=1'] : [])];
      return { rid, target: `/shop.php?${query.join('&')}` };
    },
    expects: (asked) => {
      const query = new URL(asked.target, 'http://shop').searchParams;
      return { mysql: 3 + Number(query.get('rows')) + (query.has('after') ? 1 : 0), fastcgi: 1 };
    },
    stop: async () => {
      await nginx.stop();
      await stopAll([fpm, sql]);
      removeDir(dir);
    },
  };
}

export function fpmBinary(): string {
  const names = readdirSync('/usr/sbin').filter((name) => /^php-fpm[\d.]+$/.test(name)).sort();
  const newest = names.at(-1);
  if (newest === undefined) throw new Error('php-fpm is not installed: run scripts/setup test');
  return `/usr/sbin/${newest}`;
}

/** The body in a FastCGI answer: what its STDOUT records hold after the CGI headers (FastCGI 1.0, section 3.3). */
function fastcgiBody(bytes: Buffer): Buffer {
  const stdout: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 4);
    if (bytes[at + 1] === 6) stdout.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + bytes[at + 6]!;
  }
  const document = Buffer.concat(stdout);
  return document.subarray(document.indexOf('\r\n\r\n') + 4);
}
