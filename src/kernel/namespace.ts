/**
 * Another network namespace, entered by one thread: from then on the sockets that this thread makes live there, while the
 * other threads stay where they were. (libuv resolves names in threads of its own, which do not follow: use addresses.)
 */
import { closeSync, openSync } from 'node:fs';
import { addressBytes, addressText, type Address } from '../bytes/address.ts';
import { EnvironmentError } from '../errors.ts';
import { c, errno, errnoName } from './ffi.ts';

const CLONE_NEWNET = 0x4000_0000;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_REUSEADDR = 2;
const SO_RCVBUF = 8;
const SO_LINGER = 13;
const SO_MARK = 36;
/** include/uapi/linux/in.h, since 4.2: a port is chosen when it is known who is called, so that many callers can have the same. */
const IP_BIND_ADDRESS_NO_PORT = 24;
/** linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h agree on the number. */
const SO_ORIGINAL_DST = 80;
const EINPROGRESS = 115;
const EALREADY = 114;

/** Moves the calling thread into the network namespace of process `pid`. Needs CAP_SYS_ADMIN there. */
export function enterNetworkNamespace(pid: number): void {
  const fd = openSync(`/proc/${pid}/ns/net`, 'r');
  try {
    if (c.setns(fd, CLONE_NEWNET) !== 0) {
      throw new EnvironmentError(`Cannot enter the network namespace of process ${pid}: kernel returned ${errnoName(errno())}`);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * A UDP socket that nobody reads: what is sent to it is lost, but its senders are not told that nobody is there. Returns its descriptor, owned by the caller. Several may hold the same address. Throws an error with `code`.
 */
export function deafSocket(address: Address): number {
  const to = socketAddress(address);
  const fd = c.socket(to.length === 28 ? AF_INET6 : AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) throw failure('socket', address);
  const one = new Uint8Array([1, 0, 0, 0]);
  // Nobody reads: the smallest buffer is soon full, and what comes then is dropped.
  if (c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4) !== 0) throw failure('setsockopt', address, fd);
  if (c.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, one, 4) !== 0) throw failure('setsockopt', address, fd);
  if (c.bind(fd, to, to.length) !== 0) throw failure('bind', address, fd);
  return fd;
}

/** Where an accepted socket that was redirected had been meant for; undefined when it was not redirected. */
export function originalDestination(fd: number, family: 'IPv4' | 'IPv6'): Address | undefined {
  const value = new Uint8Array(28);
  const level = family === 'IPv6' ? SOL_IPV6 : SOL_IP;
  if (c.getsockopt(fd, level, SO_ORIGINAL_DST, value, [value.length]) !== 0) return undefined;
  const port = ((value[2] ?? 0) << 8) | (value[3] ?? 0);
  const host = addressText(family === 'IPv6' ? value.slice(8, 24) : value.slice(4, 8));
  return { host, port };
}

/**
 * Makes closing `fd` a reset, with no FIN before it. (Node's own `resetAndDestroy` shuts the writing side down first, and
 * the peer may see an orderly end.)
 */
export function resetOnClose(fd: number): void {
  const linger = new Uint8Array(8);
  linger[0] = 1;
  c.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length);
}

function socketAddress({ host, port }: Address): Uint8Array {
  const bytes = addressBytes(host);
  const v6 = bytes.length === 16;
  const out = new Uint8Array(v6 ? 28 : 16);
  new DataView(out.buffer).setUint16(0, v6 ? AF_INET6 : AF_INET, true);
  new DataView(out.buffer).setUint16(2, port);
  out.set(bytes, v6 ? 8 : 4);
  return out;
}

/**
 * Begins a TCP connection whose packets carry `mark` (so that a redirect rule lets them pass; 0: none), from `local` where that can
 * be bound. Returns a non-blocking descriptor, owned by the caller, that may still be connecting; a failure that is known
 * at once is thrown as an error with `code`.
 */
export function connectMarked(remote: Address, mark: number, local?: Address): number {
  const to = socketAddress(remote);
  const fd = c.socket(to.length === 28 ? AF_INET6 : AF_INET, SOCK_STREAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw failure('socket', remote);
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, mark, true);
  // None may be set by whoever has no right to in that network, and none is needed.
  if (mark !== 0 && c.setsockopt(fd, SOL_SOCKET, SO_MARK, value, 4) !== 0) throw failure('setsockopt', remote, fd);
  if (local !== undefined) {
    const from = socketAddress(local);
    value[0] = 1;
    value.fill(0, 1);
    c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, value, 4);
    if (local.port === 0) c.setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, value, 4);
    if (from.length === to.length && c.bind(fd, from, from.length) !== 0) c.bind(fd, socketAddress({ ...local, port: 0 }), from.length);
  }
  // On loopback the answer to the SYN is there when connect returns, and the second call tells which it was.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    if (c.connect(fd, to, to.length) === 0) break;
    const code = errno();
    if (code !== EINPROGRESS && code !== EALREADY) throw failure('connect', remote, fd, code);
  }
  return fd;
}

function failure(call: string, remote: Address, fd?: number, code = errno()): Error {
  if (fd !== undefined) c.close(fd);
  const name = errnoName(code);
  return Object.assign(new Error(`${call} ${remote.host}:${remote.port}: ${name}`), { code: name });
}
