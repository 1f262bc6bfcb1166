/**
 * A real daemon, started for a test: its own process group, its log in a file, waited for until it answers, and ended
 * by pid. Whatever a test leaves running is ended when the test process exits.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DaemonOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Working directory; the log is written here as `<name>.log`. */
  readonly dir: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Run as this user, with its groups (needs root). */
  readonly user?: string;
  /** Asked every 50 ms until true. */
  readonly ready: () => Promise<boolean>;
  readonly readyMs?: number;
  /** How this daemon is asked to end; default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
}

const live = new Set<number>();
process.on('exit', () => {
  for (const pid of live) killGroup(pid, 'SIGKILL');
});

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export class Daemon {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  readonly #child: ChildProcess;
  readonly #stopSignal: NodeJS.Signals;
  #exited = false;

  private constructor(options: DaemonOptions) {
    this.name = options.name;
    this.logPath = join(options.dir, `${options.name}.log`);
    this.#stopSignal = options.stopSignal ?? 'SIGTERM';
    const log = openSync(this.logPath, 'a', 0o644);
    const asUser = options.user === undefined ? [] : userPrefix(options.user);
    const [command, ...args] = [...asUser, options.command, ...options.args];
    this.#child = spawn(command!, args, {
      cwd: options.dir, detached: true, stdio: ['ignore', log, log],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', HOME: options.dir, ...options.env },
    });
    closeSync(log);
    this.#child.on('exit', () => { this.#exited = true; });
    this.#child.on('error', () => { this.#exited = true; });
    this.pid = this.#child.pid ?? -1;
    if (this.pid > 0) live.add(this.pid);
  }

  /** Starts and waits until it answers; throws with the end of its log if it doesn't within `readyMs` (default 20 s). */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options);
    const deadline = Date.now() + (options.readyMs ?? 20_000);
    while (!daemon.#exited && Date.now() < deadline) {
      if (await options.ready().catch(() => false)) return daemon;
      await sleep(50);
    }
    const how = daemon.#exited ? 'ended' : 'did not answer in time';
    await daemon.stop();
    throw new Error(`${options.name} ${how}; its log ends with:\n${daemon.log().slice(-2000)}`);
  }

  log(): string {
    return existsSync(this.logPath) ? readFileSync(this.logPath, 'utf8') : '';
  }

  /** Asks it to end, waits up to 10 s, then ends its whole process group. Can be called twice. */
  async stop(): Promise<void> {
    if (this.pid <= 0) return;
    if (!this.#exited) {
      const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
      this.#child.kill(this.#stopSignal);
      await Promise.race([gone, sleep(10_000, undefined, { ref: false })]);
    }
    killGroup(this.pid, 'SIGKILL');
    live.delete(this.pid);
  }
}

function userPrefix(user: string): string[] {
  const uid = execFileSync('id', ['-u', user], { encoding: 'utf8' }).trim();
  const gid = execFileSync('id', ['-g', user], { encoding: 'utf8' }).trim();
  return ['setpriv', '--reuid', uid, '--regid', gid, '--init-groups', '--'];
}

/** A directory of its own under the system's temporary one (short: unix socket paths hold 107 bytes). */
export function temporaryDir(name: string, user?: string): string {
  const dir = mkdtempSync(join(tmpdir(), `kb-${name}-`));
  chmodSync(dir, 0o755);
  if (user !== undefined) giveTo(dir, user);
  return dir;
}

export function giveTo(path: string, user: string): void {
  const id = (flag: string): number => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));
  chownSync(path, id('-u'), id('-g'));
}

export function removeDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

/** But where it is to be kept (KOALA_TEST_KEEP) it says where it is, and `more`. */
export function removeUnlessKept(dir: string, more = ''): void {
  if (process.env['KOALA_TEST_KEEP'] === undefined) removeDir(dir);
  else console.log(`      kept: ${dir} ${more}`.trimEnd());
}

/** Of those that are looked at. The last is the last below Linux's default range, where a host's range leaves none. */
const FIRST_PORT = 10_000;
const LAST_PORT = 32_767;
const given = new Set<number>();

/**
 * A TCP port on 127.0.0.1 that is free at this moment, and is not given out again. None of those that the kernel gives to who asks for no certain
 * one: the next connection out would have it before the service has begun to listen.
 */
export async function freePort(): Promise<number> {
  const asked = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
  const end = asked > FIRST_PORT + 1000 ? asked : LAST_PORT + 1;
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (end - FIRST_PORT));
    if (given.has(port) || !await canListen(port)) continue;
    given.add(port);
    return port;
  }
}

function canListen(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}

/** True when something accepts connections there. */
export function accepts(where: number | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof where === 'number' ? createConnection(where, '127.0.0.1') : createConnection(where);
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => { socket.destroy(); resolve(false); });
  });
}

/** The process and all its descendants that live now, from /proc. */
export function family(pid: number): Set<number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && (error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  const found = new Set([pid]);
  for (let grew = true; grew;) {
    grew = false;
    for (const [child, parent] of parents) {
      if (found.has(parent) && !found.has(child)) grew = found.add(child).has(child);
    }
  }
  return found;
}
