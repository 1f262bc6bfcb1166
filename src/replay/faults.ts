/**
 * Destinations that could not be connected to when recording can't be now: firewall rules in the SUT's own namespace refuse,
 * drop or reject them while the session is played, and count who tried.
 */
import { spawn } from 'node:child_process';
import { parseAddress } from '../bytes/address.ts';
import { neverConnected } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import { isAgreed } from './played.ts';
import type { Session } from '../sessions/session.ts';

/** In a namespace of the SUT's own. */
export const FAULT_CHAIN = 'KOALA-FAULT';
/** A busy host may hold the lock of its rules for long. */
const COMMAND_MS = 20_000;

interface Fault {
  readonly destination: string;
  /** Index into the session's `outbound`. */
  readonly indexes: readonly number[];
  readonly kind: 'refused' | 'timeout' | 'unreachable';
}

/** Faults of a session: destinations that it never reached. One that it reached too (a retry) is no fault of this kind. */
export function faultsOf(session: Session): Fault[] {
  const reached = new Set(session.outbound.filter((talk) => !neverConnected(talk)).map(({ connection }) => canonicalDestination(connection.remote)));
  const faults = new Map<string, Fault>();
  session.outbound.forEach((talk, index) => {
    const destination = canonicalDestination(talk.connection.remote);
    if (!neverConnected(talk) || isAgreed(talk) || reached.has(destination) || parseAddress(destination) === undefined) return;
    const kind = talk.end?.kind === 'timeout' ? 'timeout' : talk.end?.kind === 'refused' ? 'refused' : 'unreachable';
    faults.set(destination, { destination, kind, indexes: [...faults.get(destination)?.indexes ?? [], index] });
  });
  return [...faults.values()];
}

const TARGETS = {
  v4: { refused: 'REJECT --reject-with tcp-reset', timeout: 'DROP', unreachable: 'REJECT --reject-with icmp-host-unreachable' },
  v6: { refused: 'REJECT --reject-with tcp-reset', timeout: 'DROP', unreachable: 'REJECT --reject-with icmp6-addr-unreachable' },
} as const;

function run(command: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: COMMAND_MS });
    let said = '';
    child.stdout.on('data', (text: Buffer) => { said += text.toString(); });
    child.stderr.on('data', (text: Buffer) => { said += text.toString(); });
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(said);
      else reject(new Error(`${command}: ${said.trim()}`));
    });
    child.stdin.on('error', () => { /* it did not read what it does not need */ });
    child.stdin.end(input);
  });
}

/** Must run in a thread that is in the SUT's namespace: what it starts is there too. `chain` is there, in both tables. */
export async function imposeFaults(faults: readonly Fault[], chain: string): Promise<void> {
  for (const family of ['v4', 'v6'] as const) {
    const mine = faults.filter(({ destination }) => destination.startsWith('[') === (family === 'v6'));
    if (mine.length === 0) continue;
    const rules = (target: (fault: Fault) => string): string => mine.map((fault) => {
      const { host, port } = parseAddress(fault.destination) ?? { host: '', port: 0 };
      return `-A ${chain} -p tcp -d ${host} --dport ${port} -j ${target(fault)}`;
    }).join('\n');
    await run(family === 'v4' ? 'iptables-restore' : 'ip6tables-restore', ['-w', '--noflush'], `*nat\n-F ${chain}\n${
      rules(() => 'ACCEPT')}\nCOMMIT\n*filter\n-F ${chain}\n${rules(({ kind }) => TARGETS[family][kind])}\nCOMMIT\n`);
  }
}

/** Takes the rules away; returns the faults that somebody ran into. */
export async function liftFaults(faults: readonly Fault[], chain: string): Promise<Fault[]> {
  const met: Fault[] = [];
  for (const family of ['v4', 'v6'] as const) {
    const mine = faults.filter(({ destination }) => destination.startsWith('[') === (family === 'v6'));
    if (mine.length === 0) continue;
    const command = family === 'v4' ? 'iptables' : 'ip6tables';
    const counted = (await run(command, ['-w', '-t', 'filter', '-vnxL', chain], '')).split('\n').slice(2);
    mine.forEach((fault, at) => {
      if (Number(counted[at]?.trim().split(/\s+/)[0]) > 0) met.push(fault);
    });
    await run(`${command}-restore`, ['-w', '--noflush'], `*nat\n-F ${chain}\nCOMMIT\n*filter\n-F ${chain}\nCOMMIT\n`);
  }
  return met;
}
