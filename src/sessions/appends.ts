/**
 * What a session's threads appended to files (koala's AppendFile): logs, mostly. Kept by file, and in it by write. Tied as a call is
 * when it begins: by who wrote, never by what; nothing looks back at them.
 */
import type { LossLedger } from '../connections/loss.ts';
import type { Contexts } from '../contexts/contexts.ts';
import type { Tie } from '../contexts/tie.ts';
import type { AppendEvent } from '../events/event.ts';
import type { OpenSession } from './open-session.ts';
import { actsOf, tieAtHand } from './owner.ts';
import type { Act } from './owner.ts';
import type { Processes } from './processes.ts';

/** Kept of one session. Of more only the length is told. */
const maxWrites = 10_000;
const maxAppendedBytes = 16 << 20;
/** Writes that are looked at to find the one that an event goes on with: as many threads may be in one. */
const maxLookedAt = 16;
const NONE: readonly AppendedFile[] = [];

export interface Write extends Act {
  /** Unix µs. */
  readonly atUs: number;
  readonly tid: number;
  readonly goroutine?: number;
  /** Bytes written, where `bytes` are only their beginning. */
  readonly length?: number;
  readonly bytes: Uint8Array;
}

export interface AppendedFile {
  /** Its path as the process had it; empty where that is not known. */
  readonly file: string;
  readonly writes: readonly Write[];
}

/** One write for a session that goes on. */
export interface Appending {
  readonly tie: Tie<OpenSession>;
  /** Number of the event. */
  readonly seq: number;
  readonly event: AppendEvent;
  length: number;
  bytes: Uint8Array;
  /** Another event of it follows. */
  more: boolean;
}

/** `event` is an action of the session that its thread works for, if it works for one. */
export function keepAppend(event: AppendEvent, seq: number, contexts: Contexts<OpenSession>, processes: Processes): void {
  // Who asked io_uring for it is not known.
  if (event.tid === 0 || processes.of(event.tgid).held.empty) return;
  const tie = tieAtHand(contexts, processes, event.tid, event.tgid);
  if (tie === undefined) return;
  const { job } = tie;
  const kept = (job.appends ??= []);
  const room = job.appendedBytes + event.bytes.length <= maxAppendedBytes;
  const bytes = room ? event.bytes : event.bytes.subarray(0, 0);
  for (let at = kept.length - 1; at >= Math.max(0, kept.length - maxLookedAt); at -= 1) {
    const before = kept[at] as Appending;
    if (!isSameFile(before.event, event)) continue;
    if (before.more && before.event.tid === event.tid && before.event.position + before.length === event.position) {
      // What comes after a hole is not shown as if it came before.
      if (before.bytes.length === before.length && bytes.length > 0) before.bytes = Buffer.concat([before.bytes, bytes]);
      before.length += event.length;
      before.more = event.more;
      job.appendedBytes += bytes.length;
      return;
    }
    // Where another one stands by now, nothing was written: the disk was full.
    if (before.event.position === event.position && before.length > 0) {
      kept.splice(at, 1);
      job.appendedBytes -= before.bytes.length;
      break;
    }
  }
  const last = kept.at(-1);
  if (kept.length >= maxWrites && last !== undefined) {
    last.length += event.length;
    return;
  }
  job.appendedBytes += bytes.length;
  kept.push({ tie, seq, event, length: event.length, bytes, more: event.more });
}

const isSameFile = (one: AppendEvent, other: AppendEvent): boolean => one.inode === other.inode && one.path === other.path;

/** Copies bytes out of the recording's blocks. */
export function ownAppends(session: OpenSession, copy: (bytes: Uint8Array) => Uint8Array): void {
  session.appends = session.appends?.map((one) => {
    const bytes = copy(one.bytes);
    return { ...one, bytes, event: { ...one.event, bytes } };
  });
}

/** By file, in the order of their first writes; those whose tie holds by what is known in the end. */
export function appendsOf(session: OpenSession, ledger: LossLedger): readonly AppendedFile[] {
  if (session.appends === undefined) return NONE;
  const actOf = actsOf(session, ledger);
  const files = new Map<string, Write[]>();
  for (const { tie, seq, event, length, bytes } of session.appends) {
    const act = actOf(tie, seq);
    if (act === undefined) continue;
    const { atUs, goroutine } = event;
    const write: Write = {
      atUs, tid: event.thread ?? event.tid, ...(goroutine === undefined ? {} : { goroutine }), ...(length > bytes.length ? { length } : {}), bytes, ...act,
    };
    const writes = files.get(event.path);
    if (writes === undefined) files.set(event.path, [write]);
    else writes.push(write);
  }
  return [...files].map(([file, writes]) => ({ file, writes }));
}
