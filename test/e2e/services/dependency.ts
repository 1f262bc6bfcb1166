/**
 * What a service depends on, and its own account of the calls it answered: the truth that a recording is held against.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createConnection, type AddressInfo, type Socket } from 'node:net';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon, accepts, freePort, giveTo, removeDir, temporaryDir } from './daemon.ts';
import { RID } from './rid.ts';

export interface Dependency {
  readonly kind: 'http' | 'https' | 'redis' | 'postgresql' | 'mysql' | 'fastcgi' | 'grpc' | 'http2';
  /** As the recording names its remote end: "IP:PORT" or "unix:/path". A dependency may be reachable by several. */
  readonly destinations: readonly string[];
  /** Its own log, call by call: how many calls with each request id it has answered so far. */
  calls(): Promise<Map<string, number>>;
  stop(): Promise<void>;
}

/** Counts every id in lines that `isCall` accepts. A line counts once for each distinct id in it. */
export function countIds(lines: Iterable<string>, isCall: (line: string) => boolean): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    if (!isCall(line)) continue;
    for (const id of new Set(line.match(RID) ?? [])) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

export interface HttpUpstream extends Dependency {
  readonly port: number;
}

/**
 * Answers after 0–6 ms with JSON that repeats the X-Rid it was sent, says size and SHA-256 of the body it got, and is padded
 * by `?pad=` bytes. Given a certificate, by TLS.
 */
export async function httpUpstream(tls?: { readonly key: Buffer; readonly cert: Buffer }): Promise<HttpUpstream> {
  const log: string[] = [];
  let turn = 0;
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const rid = String(request.headers['x-rid'] ?? '');
    const pad = Number(new URL(request.url ?? '/', 'http://upstream').searchParams.get('pad') ?? 0);
    const digest = createHash('sha256');
    let received = 0;
    request.on('data', (part: Buffer) => {
      digest.update(part);
      received += part.length;
    });
    request.on('end', () => {
      log.push(`${request.method} ${request.url} ${rid}`);
      turn += 1;
      setTimeout(() => {
        const body = JSON.stringify({ rid, turn, ...(received > 0 && { received, sha256: digest.digest('hex') }), price: Number.parseInt(rid.slice(4), 36) % 10_000, pad: 'x'.repeat(pad) });
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'x-rid': rid });
        response.end(body);
      }, (turn * 7) % 7);
    });
  };
  const server = tls === undefined ? createServer(handler) : createTlsServer(tls, handler);
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    kind: tls === undefined ? 'http' : 'https',
    port,
    destinations: [`127.0.0.1:${port}`],
    calls: () => Promise.resolve(countIds(log, () => true)),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Redis extends Dependency {
  readonly port: number;
}

/** A private redis-server without persistence; its log is MONITOR's. */
export async function redisServer(): Promise<Redis> {
  const dir = temporaryDir('redis');
  const port = await freePort();
  const daemon = await Daemon.start({
    name: 'redis', command: 'redis-server', dir,
    args: ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir],
    ready: () => accepts(port),
  });
  let monitored = '';
  const monitor: Socket = createConnection(port, '127.0.0.1');
  monitor.setEncoding('latin1');
  monitor.on('data', (text: string) => { monitored += text; });
  monitor.on('error', () => { /* it ends with the server */ });
  monitor.write('MONITOR\r\n');
  await until(() => Promise.resolve(monitored.startsWith('+OK')), 'redis MONITOR');
  return {
    kind: 'redis',
    port,
    destinations: [`127.0.0.1:${port}`],
    calls: async () => {
      await settled(() => monitored.length);
      return countIds(monitored.split('\r\n'), (line) => line.startsWith('+') && line !== '+OK');
    },
    stop: async () => {
      monitor.destroy();
      await daemon.stop();
      removeDir(dir);
    },
  };
}

export interface Postgresql extends Dependency {
  readonly port: number;
  readonly socketDir: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** A private cluster of the newest PostgreSQL here, run as `postgres`, password logins; its log is `log_statement = all`. */
export async function postgresql(): Promise<Postgresql> {
  const bin = newestPostgresqlBin();
  const dir = temporaryDir('pg', 'postgres');
  const port = await freePort();
  const data = join(dir, 'data');
  const password = 'secret-of-shop';
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, `${password}\n`);
  giveTo(passwordFile, 'postgres');
  const as = (args: string[]): string =>
    execFileSync('setpriv', ['--reuid', 'postgres', '--regid', 'postgres', '--init-groups', '--', ...args], {
      cwd: dir, encoding: 'utf8', timeout: 60_000, env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' }, stdio: ['ignore', 'pipe', 'pipe'],
    });
  as([join(bin, 'initdb'), '-D', data, '-U', 'shop', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8']);
  const daemon = await Daemon.start({
    name: 'postgresql', command: join(bin, 'postgres'), dir, user: 'postgres', stopSignal: 'SIGINT',
    args: ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${dir}`,
      '-c', 'fsync=off', '-c', 'log_statement=all', '-c', 'logging_collector=off', '-c', 'log_line_prefix=%p ',
      '-c', 'max_connections=60', '-c', 'shared_buffers=16MB'],
    ready: () => accepts(port),
  });
  const url = `postgresql://shop:${password}@127.0.0.1:${port}/postgres`;
  await until(() => Promise.resolve(succeeds('psql', [url, '-qc',
    'create table if not exists orders (id serial primary key, rid text not null, price int)'])), 'psql');
  return {
    kind: 'postgresql', port, socketDir: dir, user: 'shop', password, database: 'postgres',
    destinations: [`127.0.0.1:${port}`, `unix:${join(dir, `.s.PGSQL.${port}`)}`],
    calls: async () => {
      await settled(() => daemon.log().length);
      // Parameters stand on a line of their own, below the statement.
      return countIds(daemon.log().split('\n'), (line) => /LOG: {2}(statement|execute [^:]*):|DETAIL: {2}parameters:/i.test(line));
    },
    stop: async () => {
      await daemon.stop();
      removeDir(dir);
    },
  };
}

function newestPostgresqlBin(): string {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map(Number) : [];
  if (versions.length === 0) throw new Error('PostgreSQL is not installed: run scripts/setup test');
  return `/usr/lib/postgresql/${Math.max(...versions)}/bin`;
}

export interface Mariadb extends Dependency {
  readonly socket: string;
  /** 0: by its socket only. */
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** A private MariaDB, reached by its unix socket, and by TCP where that is asked for; its log is the general query log. */
export async function mariadb({ tcp = false } = {}): Promise<Mariadb> {
  const port = tcp ? await freePort() : 0;
  const dir = temporaryDir('my', 'mysql');
  const data = join(dir, 'data');
  const socket = join(dir, 'my.sock');
  const general = join(dir, 'general.log');
  execFileSync('mariadb-install-db', ['--no-defaults', '--user=mysql', `--datadir=${data}`, '--auth-root-authentication-method=normal',
    '--skip-test-db'], { cwd: dir, timeout: 120_000, stdio: 'pipe' });
  const daemon = await Daemon.start({
    name: 'mariadb', command: '/usr/sbin/mariadbd', dir,
    args: ['--no-defaults', '--user=mysql', `--datadir=${data}`, `--socket=${socket}`, `--pid-file=${join(dir, 'my.pid')}`,
      ...(tcp ? [`--port=${port}`, '--bind-address=127.0.0.1'] : ['--skip-networking']), '--general-log=1', `--general-log-file=${general}`, '--innodb-flush-log-at-trx-commit=0',
      '--innodb-buffer-pool-size=32M', '--skip-log-bin', '--loose-aria-log-dir-path=' + data],
    ready: () => accepts(socket),
    readyMs: 40_000,
  });
  execFileSync('mariadb', ['--no-defaults', '-S', socket, '-u', 'root', '-e', `create database shop; use shop;
    create table orders (id int auto_increment primary key, rid varchar(64) not null, price int);
    create table audit (id int auto_increment primary key, rid varchar(64) not null);
    create user shop@localhost identified by 'secret-of-shop'; grant all on shop.* to shop@localhost;
    create user shop@127.0.0.1 identified by 'secret-of-shop'; grant all on shop.* to shop@127.0.0.1;`], { timeout: 20_000, stdio: 'pipe' });
  return {
    kind: 'mysql', socket, port, user: 'shop', password: 'secret-of-shop', database: 'shop',
    destinations: [`unix:${socket}`, ...(tcp ? [`127.0.0.1:${port}`] : [])],
    calls: async () => {
      const text = (): string => readFileSync(general, 'utf8');
      await settled(() => text().length);
      return countIds(text().split('\n'), (line) => / (Query|Prepare|Execute)\t/.test(line));
    },
    stop: async () => {
      await daemon.stop();
      removeDir(dir);
    },
  };
}

export function succeeds(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'pipe', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

/** Asks every 50 ms, up to 20 s. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await condition().catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`waited 20 s for ${what}`);
}

/** Until a growing log has been quiet for 150 ms (at most 5 s). */
export async function settled(size: () => number): Promise<void> {
  let last = -1;
  for (let tries = 0; tries < 33 && size() !== last; tries += 1) {
    last = size();
    await sleep(150);
  }
}
