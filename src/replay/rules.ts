/**
 * The firewall rules that redirect a service that runs already, in whatever network namespace it lives: chains of our own,
 * to which only what its processes send is led. Everything is synchronous: it has to work while this process ends.
 */
import { spawnSync } from 'node:child_process';
import type { Address } from '../bytes/address.ts';
import { EnvironmentError } from '../errors.ts';
import { OUR_MARK, type Ports } from './confine.ts';
import { CHAIN, chainOf, isAlive, type Owner } from './owner.ts';
import { datagramRules } from './sent-datagrams.ts';

const COMMAND_MS = 20_000;

export type Family = 'v4' | 'v6';
export const FAMILIES: readonly Family[] = ['v4', 'v6'];
const COMMANDS = { v4: 'iptables', v6: 'ip6tables' } as const;
const LOOPBACK = { v4: '127.0.0.1', v6: '::1' } as const;
const REJECT_UNREACHABLE = { v4: 'icmp-port-unreachable', v6: 'icmp6-port-unreachable' } as const;
const TABLES = ['nat', 'filter'] as const;

interface Ran {
  readonly ok: boolean;
  readonly output: string;
  readonly said: string;
}

/** Runs a command in the network namespace of process `pid`. */
export function inNetworkOf(pid: number, command: string, args: readonly string[], input = ''): Ran {
  const ran = spawnSync('nsenter', [`--net=/proc/${pid}/ns/net`, '--', command, ...args], { input, encoding: 'utf8', timeout: COMMAND_MS });
  const said = (ran.error?.message ?? ran.stderr.trim()) || `${command} ended with ${ran.status ?? ran.signal}`;
  return { ok: ran.error === undefined && ran.status === 0, output: ran.stdout ?? '', said };
}

/**
 * What a service sends goes to the replayer (TCP, DNS), finds nobody (other UDP: the send succeeds, as it does in a network of its
 * own; a rejected one would fail with EPERM) or is refused. `cgroup`: path of the cgroup in whose processes' sockets
 * are meant; `mark`: of sockets that are older than that; `datagrams`: where what is sent is taken, and lost. Answers to what others began pass, as does what we send ourselves.
 */
export function rulesFor(family: Family, owner: Owner, cgroup: string, mark: number, ports: Ports, datagrams: readonly Address[]): string {
  const [chain, faults] = [chainOf(owner), chainOf(owner, 'F')];
  const ours = `-m mark --mark ${OUR_MARK} -j RETURN`;
  const lead = [`-I OUTPUT 1 -m cgroup --path "${cgroup}" -j ${chain}`, `-I OUTPUT 1 -m mark --mark ${mark} -j ${chain}`];
  const home = `-d ${LOOPBACK[family]}`;
  return [
    '*nat', `:${chain} - [0:0]`, `:${faults} - [0:0]`,
    `-A ${chain} ${ours}`, `-A ${chain} -j ${faults}`,
    `-A ${chain} -p tcp -j REDIRECT --to-ports ${ports.tcp}`, `-A ${chain} -p udp --dport 53 -j REDIRECT --to-ports ${ports.dns}`,
    ...datagramRules(chain, family, datagrams, ports.deaf), `-A ${chain} -p udp -j REDIRECT --to-ports ${ports.nobody}`,
    ...lead, 'COMMIT',
    '*filter', `:${chain} - [0:0]`, `:${faults} - [0:0]`,
    `-A ${chain} ${ours}`, `-A ${chain} -m conntrack --ctdir REPLY -j RETURN`, `-A ${chain} -j ${faults}`,
    `-A ${chain} -p tcp ${home} --dport ${ports.tcp} -j ACCEPT`, `-A ${chain} -p udp ${home} --dport ${ports.dns} -j ACCEPT`,
    `-A ${chain} -p udp ${home} --dport ${ports.nobody} -j ACCEPT`, `-A ${chain} -p udp ${home} --dport ${ports.deaf} -j ACCEPT`,
    `-A ${chain} -p tcp -j REJECT --reject-with tcp-reset`, `-A ${chain} -j REJECT --reject-with ${REJECT_UNREACHABLE[family]}`,
    ...lead, 'COMMIT', '',
  ].join('\n');
}

/** Throws EnvironmentError with what iptables said. */
export function imposeRules(pid: number, family: Family, rules: string): void {
  const { ok, said } = inNetworkOf(pid, `${COMMANDS[family]}-restore`, ['-w', '--noflush'], rules);
  if (!ok) throw new EnvironmentError(`Cannot confine the service: ${COMMANDS[family]}: ${said}`, 'install iptables, on a kernel with REDIRECT and the cgroup match');
}

/** Chains of ours in the network namespace of `pid`, by owner. */
export function chainOwners(pid: number): Set<Owner> {
  const owners = new Set<Owner>();
  for (const family of FAMILIES) {
    for (const table of TABLES) {
      for (const line of inNetworkOf(pid, COMMANDS[family], ['-w', '-t', table, '-S']).output.split('\n')) {
        const owner = CHAIN.exec(line.replace(/^-N /, ''))?.[1];
        if (owner !== undefined) owners.add(owner);
      }
    }
  }
  return owners;
}

/** Takes an owner's chains away, and what leads to them. Says what could not be done; nothing to do is nothing said. */
export function liftRules(pid: number, owner: Owner): string[] {
  const problems: string[] = [];
  for (const family of FAMILIES) {
    for (const table of TABLES) {
      const listed = inNetworkOf(pid, COMMANDS[family], ['-w', '-t', table, '-S']).output.split('\n');
      const chains = listed.flatMap((line) => (CHAIN.exec(line.replace(/^-N /, ''))?.[1] === owner ? [line.slice(3)] : []));
      if (chains.length === 0) continue;
      const leads = listed.filter((line) => line.startsWith('-A OUTPUT ') && line.endsWith(` -j ${chainOf(owner)}`)).map((line) => line.replace('-A', '-D'));
      const text = [`*${table}`, ...leads, ...chains.map((chain) => `-F ${chain}`), ...chains.map((chain) => `-X ${chain}`), 'COMMIT', ''].join('\n');
      const { ok, said } = inNetworkOf(pid, `${COMMANDS[family]}-restore`, ['-w', '--noflush'], text);
      if (!ok) problems.push(`${COMMANDS[family]}: ${said}`);
    }
  }
  return problems;
}

/** Owners whose chains are there although they are not. */
export const deadOwners = (owners: Iterable<Owner>): Owner[] => [...owners].filter((owner) => !isAlive(owner));
