/** Real unix sockets, bound in all the ways that make a path hard to find, which count who connects to them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

export interface Counts {
  readonly connections: number;
  readonly datagrams: number;
}

/**
 * argv: folder. Binds plain.sock, by a relative path relative.sock, through a link linked.sock, with odd letters, as seqpacket-free
 * streams; datagrams.sock. Prints its counts for each line it reads: "ask" connects to each first.
 */
const SERVER = `
import os, select, socket, sys
folder, inner = sys.argv[1], sys.argv[2]
os.chdir(folder)
paths = [folder + '/plain.sock', 'relative.sock', folder + '/link/linked.sock', folder + '/odd \\\\ name,:\u00e9.sock', inner]
listeners = []
for path in paths:
  one = socket.socket(socket.AF_UNIX); one.bind(path); one.listen(50); listeners.append(one)
  if path != inner: os.chmod(path, 0o777)
datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); datagrams.bind(folder + '/datagrams.sock')
counts = [0, 0]
def drain():
  while True:
    ready = select.select([*listeners, datagrams], [], [], 0.1)[0]
    if not ready: return
    for one in ready:
      if one is datagrams: one.recv(100); counts[1] += 1
      else: one.accept()[0].close(); counts[0] += 1
print('up', flush=True)
for line in sys.stdin:
  drain()
  print(*counts, flush=True)
`;

export class UnixServer {
  /** By which a client in this mount namespace reaches it. */
  readonly paths: readonly string[];
  readonly datagrams: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  private constructor(folder: string, paths: readonly string[], child: ChildProcess) {
    this.#folder = folder;
    this.paths = paths;
    this.datagrams = join(folder, 'datagrams.sock');
    this.#child = child;
    if (child.stdout === null) throw new Error('no stdout');
    this.#lines = createInterface({ input: child.stdout });
  }

  /** The server has a network and a mount namespace of its own; in the latter, `outer` is seen as `inner`. */
  static async start(): Promise<UnixServer> {
    const folder = mkdtempSync(join(tmpdir(), 'koala-unix-'));
    for (const name of ['outer', 'inner', 'real']) mkdirSync(join(folder, name));
    symlinkSync('real', join(folder, 'link'));
    const child = spawn('unshare', ['--net', '--mount', 'sh', '-c', 'mount --bind "$1/outer" "$1/inner" && exec python3 -c "$0" "$1" "$1/inner/moved.sock"', SERVER, folder],
      { stdio: ['pipe', 'pipe', 'inherit'] });
    const names = ['plain.sock', 'relative.sock', 'link/linked.sock', 'real/linked.sock', 'odd \\ name,:é.sock', 'outer/moved.sock'];
    const server = new UnixServer(folder, names.map((name) => join(folder, name)), child);
    await once(server.#lines, 'line');
    return server;
  }

  async heard(): Promise<Counts> {
    this.#child.stdin?.write('count\n');
    const [line] = await once(this.#lines, 'line') as [string];
    const [connections = 0, datagrams = 0] = line.split(' ').map(Number);
    return { connections, datagrams };
  }

  /** Connects to every path, from outside of any replay. */
  async ask(): Promise<Counts> {
    const client = 'import socket, sys\nfor path in sys.argv[2:]: socket.socket(socket.AF_UNIX).connect(path)\n'
      + "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', sys.argv[1])";
    await once(spawn('python3', ['-c', client, this.datagrams, ...this.paths], { stdio: 'inherit' }), 'exit');
    return this.heard();
  }

  stop(): void {
    this.#child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true });
  }
}
