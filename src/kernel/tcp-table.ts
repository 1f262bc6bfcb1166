/** The TCP sockets of a network namespace, as /proc/PID/net/tcp and tcp6 list them. */
import { readFileSync } from 'node:fs';
import { addressText, type Address } from '../bytes/address.ts';

/** include/net/tcp_states.h. */
export const ESTABLISHED = 1;
export const SYN_SENT = 2;
export const CLOSE_WAIT = 8;
export const LISTEN = 10;

export interface TcpSocket {
  readonly local: Address;
  readonly remote: Address;
  readonly state: number;
  /** `0` for one that no process holds any more. */
  readonly inode: string;
  readonly family: 'IPv4' | 'IPv6';
}

/** Words of 32 bits, each in the machine's byte order (little-endian wherever this is built). */
function address(text: string): Address {
  const [host = '', port = ''] = text.split(':');
  const bytes = Uint8Array.from(host.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  return { host: addressText(bytes), port: Number.parseInt(port, 16) };
}

export function parseTcpTable(text: string, family: 'IPv4' | 'IPv6'): TcpSocket[] {
  return text.split('\n').slice(1).flatMap((line) => {
    const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
    if (local === undefined || remote === undefined || state === undefined || inode === undefined) return [];
    return [{ local: address(local), remote: address(remote), state: Number.parseInt(state, 16), inode, family }];
  });
}

/** Those of the network namespace in which process `tgid` lives; none when it is gone. */
export function tcpSockets(tgid: number): TcpSocket[] {
  return [...table(tgid, 'tcp', 'IPv4'), ...table(tgid, 'tcp6', 'IPv6')];
}

/** The UDP sockets of IPv4 there: rows of the same shape. */
export function udpSockets(tgid: number): TcpSocket[] {
  return table(tgid, 'udp', 'IPv4');
}

function table(tgid: number, name: 'tcp' | 'tcp6' | 'udp', family: 'IPv4' | 'IPv6'): TcpSocket[] {
  try {
    return parseTcpTable(readFileSync(`/proc/${tgid}/net/${name}`, 'utf8'), family);
  } catch {
    return []; // gone meanwhile, or no IPv6
  }
}
