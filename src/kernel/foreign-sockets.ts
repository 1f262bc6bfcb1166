/**
 * Sockets that other processes hold: looked at, given a mark, and shut down, through a duplicate of their descriptor (pidfd_getfd,
 * Linux 5.6; needs the right to trace the process). Nothing of the process itself is touched or stopped.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { c } from './ffi.ts';

/** The same numbers on every architecture (asm-generic/unistd.h). */
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const SO_MARK = 36;
const SO_DOMAIN = 39;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SHUT_RDWR = 2;
/** struct sockaddr_un, and a byte for the NUL that the kernel adds to a path that fills it. */
const UNIX_ADDRESS_BYTES = 111;

export interface ForeignSocket {
  readonly tgid: number;
  readonly fd: number;
  readonly inode: string;
}

/** Every socket among the descriptors of a process; none when it is gone or may not be looked into. */
export function socketsOf(tgid: number): ForeignSocket[] {
  let names: string[];
  try {
    names = readdirSync(`/proc/${tgid}/fd`);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${tgid}/fd/${name}`))?.[1];
      return inode === undefined ? [] : [{ tgid, fd: Number(name), inode }];
    } catch {
      return [];
    }
  });
}

/** Calls `use` with a duplicate that is closed afterwards. Undefined when the socket is gone, or may not be had. */
function withDuplicate<T>({ tgid, fd, inode }: ForeignSocket, use: (fd: number) => T): T | undefined {
  const process = c.syscall(SYS_PIDFD_OPEN, tgid, 0, 0);
  if (process < 0) return undefined;
  const duplicate = c.syscall(SYS_PIDFD_GETFD, process, fd, 0);
  c.close(process);
  if (duplicate < 0) return undefined;
  try {
    // The descriptor may be another file's by now.
    return readlinkSync(`/proc/self/fd/${duplicate}`) === `socket:[${inode}]` ? use(duplicate) : undefined;
  } finally {
    c.close(duplicate);
  }
}

function option(fd: number, name: number): number {
  const value = new Uint8Array(4);
  return c.getsockopt(fd, SOL_SOCKET, name, value, [4]) === 0 ? new DataView(value.buffer).getUint32(0, true) : 0;
}

export interface SocketFacts {
  readonly family: 'inet' | 'unix' | 'other';
  readonly listens: boolean;
  readonly mark: number;
}

export function socketFacts(socket: ForeignSocket): SocketFacts | undefined {
  return withDuplicate(socket, (fd) => {
    const domain = option(fd, SO_DOMAIN);
    return {
      family: domain === AF_INET || domain === AF_INET6 ? 'inet' : domain === AF_UNIX ? 'unix' : 'other',
      listens: option(fd, SO_ACCEPTCONN) !== 0, mark: option(fd, SO_MARK),
    };
  });
}

/** Marks what the socket sends from now on (SO_MARK). False when that could not be done: the socket is gone, or may not be had. */
export function markSocket(socket: ForeignSocket, mark: number): boolean {
  return withDuplicate(socket, (fd) => {
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, mark, true);
    return c.setsockopt(fd, SOL_SOCKET, SO_MARK, value, 4) === 0;
  }) ?? false;
}

/** One end of unix sockets as their owners named them; texts hold bytes as latin1, an abstract name begins with NUL, '' is none. */
export interface UnixFacts {
  readonly datagrams: boolean;
  readonly listens: boolean;
  readonly local: string;
  /** Undefined: it is not connected. */
  readonly remote: string | undefined;
}

function unixName(ask: (address: Uint8Array, length: [number]) => number): string | undefined {
  const address = new Uint8Array(UNIX_ADDRESS_BYTES);
  const length: [number] = [address.length];
  if (ask(address, length) !== 0) return undefined;
  const name = Buffer.from(address.subarray(2, Math.min(length[0], address.length))).toString('latin1');
  return name.startsWith('\0') ? name : name.replace(/\0[^]*$/, '');
}

/** Undefined when it is no unix socket, is gone, or may not be had. */
export function unixFacts(socket: ForeignSocket): UnixFacts | undefined {
  return withDuplicate(socket, (fd) => (option(fd, SO_DOMAIN) !== AF_UNIX ? undefined : {
    datagrams: option(fd, SO_TYPE) === SOCK_DGRAM, listens: option(fd, SO_ACCEPTCONN) !== 0,
    local: unixName((address, length) => c.getsockname(fd, address, length)) ?? '',
    remote: unixName((address, length) => c.getpeername(fd, address, length)),
  }));
}

/** Ends the connection for both sides, as if its server had gone. False when that could not be done: it is gone, or may not be had. */
export function shutDown(socket: ForeignSocket): boolean {
  return withDuplicate(socket, (fd) => c.shutdown(fd, SHUT_RDWR) === 0) ?? false;
}
