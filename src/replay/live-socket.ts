/** What is done to a connection of the service's as a whole: ended by a reset, joined with another. */
import { Socket } from 'node:net';
import type { Address } from '../bytes/address.ts';
import { connectMarked, resetOnClose } from '../kernel/namespace.ts';
import { OUR_MARK } from './confine.ts';
import { join } from './passthrough.ts';

/** The descriptor of a socket that is open; −1 when it is not. */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as { readonly _handle: { readonly fd: number } | null })._handle?.fd ?? -1;
}

export function resetNow(socket: Socket): void {
  const fd = descriptorOf(socket);
  if (fd >= 0) resetOnClose(fd);
  socket.destroy();
}

/**
 * A call to a loopback address that was never recorded may be the SUT talking to itself: where something in the namespace
 * listens there, the two are joined. False when nothing does.
 */
export function joinOwnListener(client: Socket, address: Address): boolean {
  if (!/^127\.|^::1$/.test(address.host)) return false;
  let fd: number;
  try {
    fd = connectMarked(address, OUR_MARK);
  } catch {
    return false;
  }
  const server = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  join(client, server);
  return true;
}
