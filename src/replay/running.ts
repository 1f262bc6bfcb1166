/**
 * A service that runs already, in whatever network namespace it lives, redirected without being stopped: its processes are put
 * into a cgroup of ours (or are all there is in the one that was named), chains of our own match that cgroup alone, and what
 * is older than that, which no cgroup match sees (xt_cgroup looks at a socket's cgroup at its creation), is marked through
 * a duplicate of its descriptor, and destroyed where it is connected. Nobody else's packets ever come near these chains.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress, type Address } from '../bytes/address.ts';
import { EnvironmentError, UserError } from '../errors.ts';
import { markSocket, socketFacts, socketsOf, type ForeignSocket } from '../kernel/foreign-sockets.ts';
import { cgroupRoot } from '../kernel/probes.ts';
import { gateRefusal } from '../kernel/unix-gate.ts';
import { cgroupOf, networkOf, processFacts, seesFirstPidNamespace, startTicksOf, withDescendants } from '../kernel/processes.ts';
import { CLOSE_WAIT, ESTABLISHED, LISTEN, tcpSockets, type TcpSocket } from '../kernel/tcp-table.ts';
import type { Confinement, Ended, Listening } from './confine.ts';
import { CGROUP_NAME, cgroupNameOf, isAlive, ourselves } from './owner.ts';
import { FAMILIES, imposeRules, inNetworkOf, rulesFor } from './rules.ts';
import { confineUnixSockets, refuseUnixSockets, type UnixPlan } from './running-unix.ts';
import { moveTo, processesIn, undo, writeTrace, type Trace } from './trace.ts';

/** The process and what descends from it, or whatever is in the cgroup (a path inside the unified hierarchy). */
export type Running = { readonly pid: number } | { readonly cgroup: string };

const LOOK_EVERY_MS = 200;
const MOVES = 20;
/** How many connections one call of `ss` is told of. */
const AT_ONCE = 100;
/** Nobody listens there (tcpmux): a connection to it succeeds only if it is redirected. */
const NOWHERE_PORT = 1;
const TRY_MS = 10_000;
/** Of the mark that old sockets get, with our process id below it: no two replays share one, none is the mark of our own. */
const OLD_MARK = 0x6b00_0000;

/** The processes that are meant, as of now. */
export function processesOf(running: Running): number[] {
  return 'pid' in running ? withDescendants(new Set([running.pid])).map(({ tgid }) => tgid) : processesIn(running.cgroup);
}

const inodesOf = (tgids: readonly number[]): Set<string> => new Set(tgids.flatMap((tgid) => socketsOf(tgid).map(({ inode }) => inode)));

/** Whether it is the service itself that listens on TCP `port`; `pid` lives in its network namespace. */
export function listensItself(running: Running, pid: number, port: number): boolean {
  const listeners = tcpSockets(pid).filter(({ state, local }) => state === LISTEN && local.port === port);
  if (listeners.length === 0) return false;
  const inodes = inodesOf(processesOf(running));
  return listeners.some(({ inode }) => inodes.has(inode));
}

export interface TakeOptions {
  /** It may be redirected although others are served by it. */
  readonly servesOthers: boolean;
  readonly sockets: UnixPlan;
  /** Where datagrams are taken that it sends. */
  readonly datagrams: readonly Address[];
  note(text: string): void;
}

/** Looks, changes nothing. Throws UserError and EnvironmentError: no such service, more than one network, others are served. */
export function takeRunning(running: Running, options: TakeOptions): Confinement {
  if (process.getuid?.() !== 0) throw new EnvironmentError('Cannot redirect a service that runs already: that needs root', 'run it with sudo, or let replay start it: -- CMD');
  if (!seesFirstPidNamespace()) {
    throw new EnvironmentError('Cannot redirect a service that runs already from within a pid namespace', 'run it outside of the container, or with --pid=host');
  }
  if (cgroupRoot() === undefined) throw new EnvironmentError('Cannot redirect a service that runs already: no cgroup2 hierarchy is mounted here', 'mount one');
  const tgids = processesOf(running);
  const [first] = tgids;
  if (first === undefined) throw new UserError('cgroup' in running ? `--cgroup ${running.cgroup}: no process is in it` : `--pid ${running.pid}: there is no such process`);
  if (tgids.includes(process.pid)) throw new UserError('koala-bpf itself is among the processes that were named; name the service alone');
  const networks = new Set(tgids.flatMap((tgid) => networkOf(tgid) ?? []));
  const [network, ...more] = networks;
  if (network === undefined || more.length > 0) {
    throw new EnvironmentError(`Cannot redirect the service: its processes live in ${networks.size} network namespaces`, 'name one of them with --pid');
  }
  for (const tgid of tgids) {
    const other = CGROUP_NAME.exec(cgroupOf(tgid)?.split('/').at(-1) ?? '')?.[1];
    if (other !== undefined && isAlive(other)) throw new EnvironmentError(`Another replay (process ${other.split('-')[0]}) has this service`, 'wait until it has ended');
  }
  const pid = 'pid' in running ? running.pid : first;
  const served = inbound(pid, inodesOf(tgids));
  if (served.length > 0) {
    const clients = served.slice(0, 3).map(({ remote }) => formatAddress(remote)).join(', ');
    const whom = `it serves ${served.length} ${served.length === 1 ? 'connection' : 'connections'} that ${served.length === 1 ? 'is' : 'are'} not ours (${clients})`;
    if (!options.servesOthers) throw new UserError(`Process ${pid}: ${whom}, which would get recorded answers too; --yes goes on`);
    options.note(`${whom}: they get recorded answers too until this ends`);
  }
  refuseUnixSockets(tgids, options.sockets, gateRefusal());
  return new RunningService(running, pid, network, options);
}

/** Connections that others opened to it. */
function inbound(pid: number, inodes: ReadonlySet<string>): TcpSocket[] {
  const sockets = tcpSockets(pid).filter(({ inode }) => inodes.has(inode));
  const ports = new Set(sockets.filter(({ state }) => state === LISTEN).map(({ local }) => local.port));
  return sockets.filter(({ state, local }) => (state === ESTABLISHED || state === CLOSE_WAIT) && ports.has(local.port));
}

class RunningService implements Confinement {
  readonly pid: number;
  readonly running: Running;
  readonly ended: Promise<Ended>;
  readonly ipv6: boolean;
  readonly #network: string;
  readonly #note: (text: string) => void;
  readonly #sockets: UnixPlan;
  readonly #datagrams: readonly Address[];
  #unix: ReturnType<typeof confineUnixSockets>;
  readonly #watching = new AbortController();
  #trace: Trace | undefined;
  readonly #atExit = (): void => { this.#undo(); };

  constructor(running: Running, pid: number, network: string, { note, sockets, datagrams }: TakeOptions) {
    this.running = running;
    this.pid = pid;
    this.#network = network;
    this.#note = note;
    this.#sockets = sockets;
    this.#datagrams = datagrams;
    this.ipv6 = tcpTableIsThere(pid) && inNetworkOf(pid, 'ip6tables', ['-w', '-t', 'nat', '-S']).ok;
    if (!this.ipv6 && hasIpv6Addresses(pid)) {
      throw new EnvironmentError('Cannot confine the service: it has IPv6 addresses, and ip6tables does not work here', 'install ip6tables, or take IPv6 away from it');
    }
    this.ended = this.#watch();
  }

  async #watch(): Promise<Ended> {
    const began = startTicksOf(this.pid);
    while (began !== undefined && startTicksOf(this.pid) === began && processFacts(this.pid) !== undefined) {
      if (this.#watching.signal.aborted) break;
      await sleep(LOOK_EVERY_MS, undefined, { ref: false });
    }
    return { status: undefined };
  }

  /** Redirects it to `listening`. When this throws, everything is as it was. */
  start(listening: Listening): void {
    process.on('exit', this.#atExit);
    try {
      this.#redirect(listening);
    } catch (error) {
      this.#undo();
      throw error;
    }
  }

  #redirect(listening: Listening): void {
    const owner = ourselves();
    const cgroup = this.#gather(owner);
    const tgids = processesOf(this.running);
    // What connects between this list and the rules is refused by them: its packets are in no redirected connection.
    const { old, connected } = this.#olderSockets(tgids);
    const mark = OLD_MARK | process.pid;
    this.#write({ owner, network: this.#network, ...(cgroup.made === undefined ? {} : { cgroup: cgroup.made }), marked: old });
    for (const family of FAMILIES) {
      const ports = listening[family];
      if (ports !== undefined) imposeRules(this.pid, family, rulesFor(family, owner, cgroup.path, mark, ports, this.#datagrams));
    }
    for (const socket of old) {
      if (!markSocket(socket, mark) && socketsOf(socket.tgid).some(({ inode }) => inode === socket.inode)) {
        throw new EnvironmentError(`Cannot confine the service: its sockets can't be had (pidfd_getfd of process ${socket.tgid})`, 'this needs Linux 5.6 and CAP_SYS_PTRACE');
      }
    }
    this.#destroy(connected);
    const [left, ...others] = this.#alive(connected);
    if (left !== undefined) {
      throw new EnvironmentError(`Cannot confine the service: ${others.length + 1} of its open connections can't be destroyed (${formatAddress(left.remote)})`,
        'this needs iproute2 and a kernel with CONFIG_INET_DIAG_DESTROY; or let replay start the service: -- CMD');
    }
    this.#try(cgroup.path);
    this.#unix = confineUnixSockets(cgroup.path, owner, this.#sockets, () => processesOf(this.running), this.#note);
  }

  /** The cgroup whose processes are the service's; one that had to be made, with where its processes came from. */
  #gather(owner: string): { readonly path: string; readonly made?: NonNullable<Trace['cgroup']> } {
    if ('cgroup' in this.running) return { path: this.running.cgroup };
    const home = cgroupOf(this.pid);
    if (home === undefined) throw new EnvironmentError(`Cannot tell the cgroup of process ${this.pid}`);
    const path = `${home === '/' ? '' : home}/${cgroupNameOf(owner)}`;
    const homes: [number, string][] = [];
    this.#write({ owner, network: this.#network, cgroup: { path, homes }, marked: [] });
    try {
      mkdirSync(join(cgroupRoot() ?? '', path));
    } catch (error) {
      throw new EnvironmentError(`Cannot make a cgroup for the service: ${(error as Error).message}`, 'name a cgroup that holds nothing else: --cgroup PATH');
    }
    for (let attempt = 0; attempt < MOVES; attempt += 1) {
      const outside = processesOf(this.running).filter((tgid) => cgroupOf(tgid) !== path);
      if (outside.length === 0) return { path, made: { path, homes } };
      homes.push(...outside.map((tgid): [number, string] => [tgid, cgroupOf(tgid) ?? home]));
      this.#write({ owner, network: this.#network, cgroup: { path, homes }, marked: [] });
      for (const tgid of outside) moveTo(path, tgid);
    }
    throw new EnvironmentError('Cannot move the service into a cgroup of our own', 'name one that holds nothing else: --cgroup PATH');
  }

  /** Sockets by which it could reach something, and those of them that do; not its listeners, nor what came in by them. */
  #olderSockets(tgids: readonly number[]): { old: (ForeignSocket & { mark: number })[]; connected: TcpSocket[] } {
    const byInode = new Map(tcpSockets(this.pid).map((socket) => [socket.inode, socket]));
    const all = tgids.flatMap(socketsOf);
    const ports = new Set(all.flatMap(({ inode }) => {
      const socket = byInode.get(inode);
      return socket?.state === LISTEN ? [socket.local.port] : [];
    }));
    const seen = new Set<string>();
    const old: (ForeignSocket & { mark: number })[] = [];
    const connected: TcpSocket[] = [];
    for (const socket of all) {
      const tcp = byInode.get(socket.inode);
      if (seen.has(socket.inode) || tcp?.state === LISTEN || (tcp !== undefined && ports.has(tcp.local.port))) continue;
      const facts = socketFacts(socket);
      if (facts?.family !== 'inet') continue;
      seen.add(socket.inode);
      old.push({ ...socket, mark: facts.mark });
      if (tcp !== undefined) connected.push(tcp);
    }
    return { old, connected };
  }

  /** SOCK_DESTROY (inet_diag), which `ss -K` asks for; both sides hear a reset. `ss` does not tell whether it was done. */
  #destroy(connected: readonly TcpSocket[]): void {
    for (let from = 0; from < connected.length; from += AT_ONCE) {
      const filter = connected.slice(from, from + AT_ONCE).map((one) => `( src ${endpoint(one, one.local)} and dst ${endpoint(one, one.remote)} )`).join(' or ');
      inNetworkOf(this.pid, 'ss', ['-K', '-H', '-n', '-t', '-a', filter]);
    }
  }

  #alive(connected: readonly TcpSocket[]): TcpSocket[] {
    const inodes = new Set(connected.map(({ inode }) => inode));
    return tcpSockets(this.pid).filter(({ inode, state }) => inodes.has(inode) && (state === ESTABLISHED || state === CLOSE_WAIT));
  }

  /** Whether the rules do what they are for, on this kernel: a process in that cgroup connects to where nobody listens. */
  #try(cgroup: string): void {
    const script = `require("net").connect(${NOWHERE_PORT},"127.0.0.1",()=>process.exit(0)).on("error",()=>process.exit(9))`;
    const ran = spawnSync('sh', ['-c', 'echo $$ >"$1/cgroup.procs" && exec nsenter --net="/proc/$2/ns/net" -- "$3" -e "$4"', 'koala-bpf',
      join(cgroupRoot() ?? '', cgroup), String(this.pid), process.execPath, script], { timeout: TRY_MS, encoding: 'utf8', env: {} });
    if (ran.status === 0) return;
    throw new EnvironmentError(`Cannot confine the service: what it sends is not redirected (${ran.status === 9 ? 'this kernel\'s cgroup match does not see it' : ran.stderr.trim()})`,
      'let replay start the service: -- CMD');
  }

  #write(trace: Trace): void {
    this.#trace = trace;
    writeTrace(trace);
  }

  #undo(): void {
    process.off('exit', this.#atExit);
    const trace = this.#trace;
    this.#trace = undefined;
    if (trace === undefined) return;
    this.#unix?.close();
    this.#unix = undefined;
    for (const problem of undo(trace)) this.#note(`could not be undone: ${problem}; see koala-bpf clean`);
    // Its connections to us: so that its pools open real ones, and don't find out at the next call.
    this.#destroy(this.#olderSockets(processesOf(this.running)).connected);
  }

  listening(port: number): boolean {
    return listensItself(this.running, this.pid, port);
  }

  stop(): Promise<void> {
    this.#watching.abort();
    this.#undo();
    return Promise.resolve();
  }
}

/** As `ss` has it: a v4-mapped address is one of an IPv6 socket. */
function endpoint({ family }: TcpSocket, { host, port }: TcpSocket['local']): string {
  if (family === 'IPv4') return `${host}:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `[::ffff:${host}]:${port}`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const tcpTableIsThere = (pid: number): boolean => readText(`/proc/${pid}/net/tcp6`) !== '';
const hasIpv6Addresses = (pid: number): boolean => readText(`/proc/${pid}/net/if_inet6`) !== '';
