/** The shop on php-fpm behind nginx, with MariaDB by TCP: php-fpm is what is recorded and replayed. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, freePort, removeDir, temporaryDir } from '../services/daemon.ts';
import { mariadb } from '../services/dependency.ts';
import { nginxDaemon } from '../services/nginx.ts';
import { fpmBinary } from '../services/php.ts';
import { stopAll } from '../services/service.ts';
import { built, type Built } from './built.ts';
import { mariadbTables } from './tables.ts';
import type { Stack } from './stack.ts';

export const phpBuild = (): Built => built('php', [], []);

export async function phpStack(source: string): Promise<Stack> {
  const dir = temporaryDir('php');
  const [stock, port, fpmPort] = await Promise.all([mariadb({ tcp: true }), freePort(), freePort()]);
  mariadbTables(stock.socket);
  mkdirSync(join(dir, 'web'));
  const script = join(dir, 'web', 'shop.php');
  copyFileSync(join(source, 'shop.php'), script);
  writeFileSync(join(dir, 'fpm.conf'), `[global]
daemonize = no
error_log = ${join(dir, 'error.log')}
[shop]
user = www-data
group = www-data
listen = 127.0.0.1:${fpmPort}
pm = static
pm.max_children = 8
clear_env = no
`);
  const nginx = await nginxDaemon(dir, 2, `
  server {
    listen 127.0.0.1:${port};
    location / {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME ${script};
      fastcgi_pass 127.0.0.1:${fpmPort};
    }
  }`, port);
  return {
    port, clients: 8, calls: 6,
    command: ['env', `SHOP_MYSQL_PORT=${stock.port}`, fpmBinary(), '-F', '-y', join(dir, 'fpm.conf')],
    signs: { added: /count\(\*\) as dearer/, dropped: /select name, price, weight/, parameter: /request\.parameters\[0\]/, twice: /count\(\*\) as sold/, body: 'response.body.$' },
    ready: () => accepts(fpmPort),
    stopDependencies: () => stopAll([nginx, stock]),
    remove: () => { removeDir(dir); },
  };
}
