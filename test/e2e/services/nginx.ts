/** nginx: as a reverse proxy with kept-alive upstream connections and static files by sendfile, or before something else. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Daemon, accepts, freePort, removeDir, temporaryDir } from './daemon.ts';
import { httpUpstream } from './dependency.ts';
import { stopAll, type Service } from './service.ts';

/** nginx in the foreground with `workers` workers and these `http` directives, all its files under `dir`. */
export function nginxDaemon(dir: string, workers: number, http: string, port: number): Promise<Daemon> {
  const at = join(dir, 'nginx');
  mkdirSync(at);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path ${at}/${name};`).join('\n');
  writeFileSync(join(at, 'nginx.conf'), `daemon off;
user www-data;
worker_processes ${workers};
pid ${at}/nginx.pid;
error_log ${at}/error.log;
events { worker_connections 512; }
http {
  access_log off;
  keepalive_requests 100000;
${temporary}
${http}
}
`);
  return Daemon.start({
    name: 'nginx', command: '/usr/sbin/nginx', dir, args: ['-c', join(at, 'nginx.conf'), '-e', `${at}/error.log`],
    stopSignal: 'SIGQUIT', ready: () => accepts(port),
  });
}

export interface NginxService extends Service {
  /** What `/static/<name>` serves, by name. */
  readonly files: ReadonlyMap<string, Buffer>;
}

export async function nginxProxy(): Promise<NginxService> {
  const dir = temporaryDir('nginx');
  const [upstream, port] = await Promise.all([httpUpstream(), freePort()]);
  const files = new Map([['page.html', 1_400], ['picture.bin', 300_000], ['film.bin', 5_000_000]]
    .map(([name, size]) => [String(name), pseudoRandom(String(name), Number(size))]));
  mkdirSync(join(dir, 'static'));
  for (const [name, bytes] of files) writeFileSync(join(dir, 'static', name), bytes);
  const nginx = await nginxDaemon(dir, 2, `
  sendfile on;
  upstream shop { server 127.0.0.1:${upstream.port}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 64m;
    location /static/ { root ${dir}; }
    location / {
      proxy_pass http://shop;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }`, port);
  return {
    port, keepAlive: true, files,
    parts: [{ name: 'nginx as reverse proxy', discipline: 'event-loop', pid: nginx.pid, dependencies: [upstream] }],
    ask: (rid, index) => ({ rid, target: `/price/${rid}${index % 10 === 4 ? '?pad=200000' : ''}` }),
    expects: () => ({ http: 1 }),
    stop: async () => {
      await nginx.stop();
      await stopAll([upstream]);
      removeDir(dir);
    },
  };
}

/** Reproducible bytes that hold no pattern a compressor or a repeated buffer would hide: SHA-256 in counter mode. */
export function pseudoRandom(seed: string, size: number): Buffer {
  const blocks: Buffer[] = [];
  for (let n = 0; n * 32 < size; n += 1) blocks.push(createHash('sha256').update(`${seed}/${n}`).digest());
  return Buffer.concat(blocks).subarray(0, size);
}
