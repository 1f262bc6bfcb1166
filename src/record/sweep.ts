/** Connections as the kernel's table has them: ends that found no room in the ring, and how the living stand, in the end and when nothing happens. */
import { readFileSync } from 'node:fs';
import type { CloseEvent, MarkEvent } from '../events/event.ts';
import * as layout from '../kernel/layout.ts';
import type { BpfMap } from '../kernel/map.ts';

function closeOf(view: DataView, phase: CloseEvent['phase'], atUs: number, offset: number): CloseEvent {
  const flags = view.getUint32(layout.OFFSET_CONNECTION_FLAGS, true);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  return {
    kind: 'close', atUs, tgid: view.getUint32(layout.OFFSET_CONNECTION_TGID, true), tid: 0, context: 0, snapshot: false,
    connection: u64(layout.OFFSET_CONNECTION_ID) + offset, phase,
    byRemote: (flags & layout.CONNECTION_BY_REMOTE) !== 0, reset: (flags & layout.CONNECTION_RESET) !== 0,
    error: view.getUint32(layout.OFFSET_CONNECTION_ERROR, true),
    ingressFinal: u64(layout.OFFSET_CONNECTION_INGRESS_POSITION), egressFinal: u64(layout.OFFSET_CONNECTION_EGRESS_POSITION),
  };
}

/** Ends that could not be written to the ring: each is told once. `offset`: the writer's connectionOffset. */
export function takeUnreported(unreported: BpfMap, atUs: number, offset: number): CloseEvent[] {
  const found: CloseEvent[] = [];
  for (const key of [...unreported.keys()]) {
    const value = unreported.get(key);
    if (value !== undefined) found.push(closeOf(new DataView(value.buffer, value.byteOffset), 'done', atUs, offset));
    unreported.delete(key);
  }
  return found;
}

/** What the table has of each open connection. */
function* openConnections(connections: BpfMap): Generator<DataView> {
  for (const key of connections.keys()) {
    const value = connections.get(key);
    if (value === undefined) continue;
    const view = new DataView(value.buffer, value.byteOffset);
    if ((view.getUint32(layout.OFFSET_CONNECTION_FLAGS, true) & layout.CONNECTION_OPENED) !== 0) yield view;
  }
}

/** Inode numbers of the unix sockets of a process' network namespace; empty when the process is gone. */
function unixInodes(tgid: number): Set<string> {
  try {
    return new Set(readFileSync(`/proc/${tgid}/net/unix`, 'utf8').split('\n').slice(1).map((line) => line.trim().split(/\s+/)[6] ?? ''));
  } catch {
    return new Set();
  }
}

/**
 * Where each open connection stands: for the end, when no probe runs any more. Not every backend is told when a unix socket
 * is closed: one whose inode is gone has ended, only nobody saw when.
 */
export function standing(connections: BpfMap, atUs: number, offset: number): CloseEvent[] {
  const found: CloseEvent[] = [];
  const inodes = new Map<number, Set<string>>();
  const isGone = (view: DataView): boolean => {
    if ((view.getUint32(layout.OFFSET_CONNECTION_FLAGS, true) & layout.CONNECTION_UNIX) === 0) return false; // TCP's end is always told
    const tgid = view.getUint32(layout.OFFSET_CONNECTION_TGID, true);
    const known = inodes.get(tgid) ?? unixInodes(tgid);
    inodes.set(tgid, known);
    return !known.has(String(view.getBigUint64(layout.OFFSET_CONNECTION_INODE, true)));
  };
  for (const view of openConnections(connections)) found.push(closeOf(view, isGone(view) ? 'done' : 'stands', atUs, offset));
  return found;
}

/** How far the open connections have sent: each is told where it has come further than when it was told last. */
export class SentSoFar {
  #told = new Map<number, number>();

  /** `offset`: the writer's connectionOffset. */
  take(connections: BpfMap, offset: number): MarkEvent['sent'] {
    const found: { connection: number; position: number }[] = [];
    const now = new Map<number, number>();
    for (const view of openConnections(connections)) {
      const connection = Number(view.getBigUint64(layout.OFFSET_CONNECTION_ID, true)) + offset;
      const position = Number(view.getBigUint64(layout.OFFSET_CONNECTION_EGRESS_POSITION, true));
      if (now.get(connection) === undefined && position > (this.#told.get(connection) ?? Number(view.getBigUint64(layout.OFFSET_CONNECTION_EGRESS_FROM, true)))) found.push({ connection, position });
      now.set(connection, position);
    }
    this.#told = now;
    return found;
  }
}
