/**
 * A command in a network namespace of its own, in which every address of the world is local: nothing real can be reached,
 * and all TCP and DNS that is not marked as ours is redirected to the replayer. It lives in a pid namespace too, so when the
 * first process of that ends, every other one is killed by the kernel, and with the last one the network, its firewall
 * rules and its mounts are gone. The host's own firewall is never touched. Should we be killed, the kernel tells
 * `unshare` (PDEATHSIG), and the same follows.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable, Writable } from 'node:stream';
import type { Address } from '../bytes/address.ts';
import { EnvironmentError } from '../errors.ts';
import { asInvoker } from '../kernel/invoker.ts';
import { LISTEN, tcpSockets } from '../kernel/tcp-table.ts';
import { LAUNCH, LAUNCH_FD } from './launch.ts';
import { SCRATCH } from './mounts.ts';
import type { Running } from './running.ts';
import { datagramRules } from './sent-datagrams.ts';

/** Where, in a namespace of the SUT's own, the replayer listens. Outside the range that the kernel hands out for outgoing connections. */
export const OUTBOUND_PORT = 64_999;
export const DNS_PORT = 64_998;
export const DEAF_PORT = 64_997;
/** The mark of our own sockets' packets ("koal"), which no rule redirects. */
export const OUR_MARK = 0x6b6f_616c;

const GRACE_MS = 3_000;
const SETUP_MS = 20_000;

export interface Ended {
  /** As the shell has it: 128 + signal when a signal ended it; 127 not found, 126 not executable. Undefined: we were not its parent. */
  readonly status: number | undefined;
}

/** Where the replayer listens for one family. */
export interface Ports {
  readonly tcp: number;
  readonly dns: number;
  /** A UDP port that is taken, and where nobody hears: what is sent there is refused by the kernel as where there is no socket. */
  readonly nobody: number;
  /** A UDP port where what is sent is taken, and lost. */
  readonly deaf: number;
}

/** Where the replayer listens, once it does; a family is absent where this host has it not. */
export interface Listening {
  readonly v4: Ports;
  readonly v6?: Ports;
}

export interface Confinement {
  /** A process, seen from the host, that lives in the SUT's network namespace. */
  readonly pid: number;
  /** Set when it is not ours: it runs already, among others, in mounts and a network that are shared. */
  readonly running?: Running;
  /** False where kernel or ip6tables lack IPv6: then no IPv6 address can be reached at all. */
  readonly ipv6: boolean;
  /** Resolves when the command's first process has ended (others may go on: daemons). */
  readonly ended: Promise<Ended>;
  /** Lets the command begin (before that only the namespace is there), or redirects the one that runs. */
  start(listening: Listening): void;
  /** Whether the SUT listens on TCP `port`. Looks, does not connect. */
  listening(port: number): boolean;
  /** SIGTERM, three seconds, SIGKILL for whatever is left; one that ran already goes on as it was. May be called twice. */
  stop(): Promise<void>;
}

const rulesFor = (datagrams: readonly string[], own: readonly string[]): string => `*nat
-N KOALA-FAULT
-A OUTPUT -m mark --mark ${OUR_MARK} -j RETURN
-A OUTPUT -j KOALA-FAULT
${own.join('\n')}
-A OUTPUT -p tcp -j REDIRECT --to-ports ${OUTBOUND_PORT}
-A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports ${DNS_PORT}
${datagrams.join('\n')}
COMMIT
*filter
-N KOALA-FAULT
-A OUTPUT -m mark ! --mark ${OUR_MARK} -j KOALA-FAULT
COMMIT`;

/**
 * Runs as the first process of the pid namespace, with the command in "$@". Descriptor 3: what it has to tell. Descriptor 4:
 * a line lets the command begin, its end (also: our death) ends everything. What its group is interrupted by is for the command (dash
 * would end by it, with all the rest). The shell's own word on how the command ended is noise.
 */
const initFor = ({ datagrams, own = () => [], noting = [] }: Pick<ConfineOptions, 'datagrams' | 'own' | 'noting'>): string => `
unset KOALA_INIT
fail() { echo "fail $1" >&3; exit 1; }
said=$(ip link set lo up 2>&1 && ip route add local 0.0.0.0/0 dev lo 2>&1) || fail "ip: $said"
said=$(iptables-restore -w 2>&1 <<'RULES'
${rulesFor(datagramRules('OUTPUT', 'v4', datagrams, DEAF_PORT), own('v4'))}
RULES
) || fail "iptables: $said"
six=no
if [ -d /proc/sys/net/ipv6 ] && ip -6 route add local ::/0 dev lo 2>/dev/null; then
  if ip6tables-restore -w 2>/dev/null <<'RULES'
${rulesFor(datagramRules('OUTPUT', 'v6', datagrams, DEAF_PORT), own('v6'))}
RULES
  then six=yes; else ip -6 route del local ::/0 dev lo; fi
fi
${noting.length === 0 ? '' : `for restore in iptables-restore ip6tables-restore; do
  $restore -w --noflush 2>/dev/null <<'RULES'
*filter
${noting.join('\n')}
COMMIT
RULES
done`}
echo '10240 60999' >/proc/sys/net/ipv4/ip_local_port_range 2>/dev/null
echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse 2>/dev/null
said=$(mount -t tmpfs -o mode=755 koala-bpf ${SCRATCH} 2>&1) || fail "mount: $said"
echo "ready $six" >&3
read -r go <&4 || exit 0
trap : INT
exec 5>&2 2>/dev/null
(exec "$@" 3>&- 4<&- 2>&5 5>&-)
echo "exit $?" >&3
read -r go <&4
exit 0
`;

export interface OwnConfinement extends Confinement {
  /** Hands the command a signal: SIGINT as a terminal does, to its process group, another to its first process. */
  kill(signal: NodeJS.Signals): void;
}

export interface ConfineOptions {
  /** Where what is sent by UDP is taken. */
  readonly datagrams: readonly Address[];
  /** What the command begins with (see launch.ts). */
  readonly launch?: string | undefined;
  /** Lines of nat's OUTPUT chain before the one that redirects all TCP, by family. */
  own?(family: 'v4' | 'v6'): readonly string[];
  /** Lines of filter's, which the kernel may lack the means for. */
  readonly noting?: readonly string[];
  /** The command has our stdin, and, unless that is for data, our stdout. */
  readonly stdio?: { readonly stdoutToStderr: boolean };
}

/** Makes the namespace and leaves `command` waiting in it. Needs root (or a user namespace in which we are root). */
export async function confine(command: readonly string[], options: ConfineOptions): Promise<OwnConfinement> {
  const { launch, stdio } = options;
  const { argv, env } = asInvoker(launch === undefined ? command : [...LAUNCH, ...command]);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'unshare', '--net', '--pid', '--mount', '--fork', '--kill-child',
    '--mount-proc', '--', 'sh', '-c', 'eval "$KOALA_INIT"', 'koala-bpf', ...argv], {
    stdio: [stdio === undefined ? 'ignore' : 'inherit', stdio?.stdoutToStderr === false ? process.stdout : process.stderr, process.stderr, 'pipe', 'pipe', ...(launch === undefined ? [] : ['ignore', 'pipe'] as const)], env: { ...env, KOALA_INIT: initFor(options) }, detached: true,
  });
  const control = child.stdio[4] as Writable;
  const launching = (child.stdio as readonly unknown[])[LAUNCH_FD] as Writable | undefined;
  launching?.on('error', () => { /* as with `control` */ });
  launching?.end(launch ?? '', 'latin1');
  control.on('error', () => { /* it has ended, which `ended` tells */ });
  let tellEnded: (ended: Ended) => void = () => undefined;
  const ended = new Promise<Ended>((resolve) => { tellEnded = resolve; });
  let timer: NodeJS.Timeout | undefined;
  try {
    const ipv6 = await new Promise<boolean>((resolve, reject) => {
      const refuse = (why: string, wayOut: string): void => {
        reject(new EnvironmentError(`Cannot confine the service: ${why}`, wayOut));
      };
      timer = setTimeout(refuse, SETUP_MS, `its namespace was not ready in ${SETUP_MS / 1000} s`, 'try again');
      child.once('error', (error) => { refuse(error.message, 'install util-linux'); });
      child.once('exit', (status, signal) => {
        tellEnded({ status: status ?? 137 });
        refuse(`unshare ended with ${status ?? signal}`, 'run it where namespaces may be made: as root, outside of containers');
      });
      createInterface({ input: child.stdio[3] as Readable }).on('line', (line) => {
        const [word, ...rest] = line.split(' ');
        if (word === 'ready') resolve(rest[0] === 'yes');
        if (word === 'fail') refuse(rest.join(' '), 'install iproute2 and iptables, and run it as root');
        if (word === 'exit') tellEnded({ status: Number(rest[0]) });
      });
    });
    return new Namespace(child, control, ipv6, ended);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

class Namespace implements OwnConfinement {
  readonly pid: number;
  readonly ipv6: boolean;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #control: Writable;
  readonly #gone: Promise<void>;
  #stopping: Promise<void> | undefined;

  constructor(child: ChildProcess, control: Writable, ipv6: boolean, ended: Promise<Ended>) {
    this.#child = child;
    this.#control = control;
    this.pid = child.pid ?? 0;
    this.ipv6 = ipv6;
    this.ended = ended;
    this.#gone = new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      else child.once('exit', () => { resolve(); });
    });
  }

  start(): void {
    this.#control.write('go\n');
  }

  listening(port: number): boolean {
    return tcpSockets(this.pid).some(({ state, local }) => state === LISTEN && local.port === port);
  }

  kill(name: NodeJS.Signals): void {
    // Its first process of all, and `unshare`, go on.
    if (name === 'SIGINT') signal(-this.pid, name);
    else for (const pid of this.#commands()) signal(pid, name);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #commands(): number[] {
    const [init] = childrenOf(this.pid);
    return init === undefined ? [] : childrenOf(init);
  }

  async #stop(): Promise<void> {
    const [init] = childrenOf(this.pid);
    const over = Promise.race([this.ended, this.#gone]);
    for (const name of ['SIGTERM', 'SIGKILL'] as const) {
      const started = this.#commands();
      for (const pid of started) signal(pid, name);
      if (started.length > 0) await Promise.race([over, sleep(GRACE_MS, undefined, { ref: false })]);
    }
    // The end of this pipe ends the first process of the pid namespace, and the kernel all the others with it, before
    // `unshare` can reap it and end too.
    this.#control.end();
    const isGone = await Promise.race([this.#gone.then(() => true), sleep(GRACE_MS, false, { ref: false })]);
    if (!isGone && init !== undefined) signal(init, 'SIGKILL');
    if (!isGone && init === undefined) this.#child.kill('SIGKILL');
    await this.#gone;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function childrenOf(pid: number): number[] {
  return readText(`/proc/${pid}/task/${pid}/children`).split(' ').filter((word) => word !== '').map(Number);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
