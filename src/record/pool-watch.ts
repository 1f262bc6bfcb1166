/**
 * Finds out whether it is worth being told who wakes whom: whether a watched process has threads that write calls and never read a
 * request, while others of it do. An event loop, and a thread that calls for itself, read requests; goroutines are known by themselves.
 */
import {
  DIRECTION_EGRESS, DIRECTION_INGRESS, OFFSET_OPEN_PAYLOAD_ROLE, OFFSET_SAMPLE_CONNECTION, OFFSET_SAMPLE_CONTEXT, OFFSET_SAMPLE_DIRECTION, OFFSET_SAMPLE_KIND,
  OFFSET_SAMPLE_TGID, OFFSET_SAMPLE_TID, ROLE_OUTBOUND, SAMPLE_CLOSE, SAMPLE_DATA, SAMPLE_OPEN, SIZE_SAMPLE,
} from '../events/layout.ts';
import { readU64 } from '../events/sample.ts';

/** So often must a thread write calls before it reads a request: where threads share work, each does soon. */
const ENOUGH = 8;
/** Threads and connections that are remembered. Past that nothing more is found out. */
const maxRemembered = 65_536;

export class PoolWatch {
  /** Some thread does what others of its process take requests for. */
  found = false;
  readonly #outbound = new Set<number>();
  readonly #readers = new Set<number>();
  /** Processes of the readers. */
  readonly #serving = new Set<number>();
  readonly #writes = new Map<number, number>();

  /** A sample at `offset` of the ring. True once: from here on it is found. */
  sees(view: DataView, offset: number): boolean {
    const kind = view.getUint8(offset + OFFSET_SAMPLE_KIND);
    if (kind === SAMPLE_DATA) return this.#moved(view, offset);
    if (kind === SAMPLE_OPEN) {
      if (view.getUint8(offset + SIZE_SAMPLE + OFFSET_OPEN_PAYLOAD_ROLE) === ROLE_OUTBOUND && this.#outbound.size < maxRemembered) this.#outbound.add(connectionOf(view, offset));
    } else if (kind === SAMPLE_CLOSE) this.#outbound.delete(connectionOf(view, offset));
    return false;
  }

  #moved(view: DataView, offset: number): boolean {
    const tid = view.getUint32(offset + OFFSET_SAMPLE_TID, true);
    if (this.#readers.has(tid) || tid === 0 || readU64(view, offset + OFFSET_SAMPLE_CONTEXT) !== 0) return false;
    const direction = view.getUint8(offset + OFFSET_SAMPLE_DIRECTION);
    const outbound = this.#outbound.has(connectionOf(view, offset));
    const tgid = view.getUint32(offset + OFFSET_SAMPLE_TGID, true);
    if (direction === DIRECTION_INGRESS && !outbound && this.#readers.size < maxRemembered) {
      this.#readers.add(tid);
      this.#serving.add(tgid);
      this.#writes.delete(tid);
    } else if (direction === DIRECTION_EGRESS && outbound && this.#serving.has(tgid) && this.#writes.size < maxRemembered) {
      const writes = (this.#writes.get(tid) ?? 0) + 1;
      this.#writes.set(tid, writes);
      this.found = writes >= ENOUGH;
    }
    return this.found;
  }
}

const connectionOf = (view: DataView, offset: number): number => readU64(view, offset + OFFSET_SAMPLE_CONNECTION);
