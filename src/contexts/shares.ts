/**
 * What Node writes for several requests at a time (ioredis with auto-pipelining: the commands of all that asked within one turn of the loop): its memory
 * leads from the callback of each command to the response that this is for (bpf/node-heap.h). They are told in the order of the commands, which are the
 * calls that begin in that write; where these are not as many, nothing is known. Where the commands stand in a list, of all that wait for an answer, each
 * with the next (node-redis), the last ones are those of this write.
 */
import { dropFirst } from '../bounded.ts';
import { FIRST_NODE_SHARED, NODE_PARTS } from '../events/event.ts';
import type { OpenTalk } from '../talks/open-talk.ts';

/** Writes remembered, of one process. Past that the first one is forgotten. */
const maxWrites = 4_096;

interface Write {
  /** They are those of all who wait: the last are of this write. */
  readonly ofList: boolean;
  /** For which request each part is, by its number; 0: not known. */
  readonly numbers: number[];
  /** Calls that are known to have begun in it. */
  calls: number;
}

export class Shares {
  /** By the number of the first part. */
  readonly #writes = new Map<number, Write>();
  readonly #places = new WeakMap<OpenTalk, { readonly write: Write; readonly at: number }>();

  /** Part `context` is written for request `number`. `ofList`: as all are who wait in a list, the last of whom it is for. */
  told(context: number, number: number, ofList: boolean): void {
    const at = (context - FIRST_NODE_SHARED) % NODE_PARTS;
    // The numbers of writes come round again.
    if (at === 0) this.#writes.set(context, { ofList, numbers: [number], calls: 0 });
    else this.#writes.get(context - at)?.numbers.push(number);
    dropFirst(this.#writes, maxWrites);
  }

  /** `call` is known to be one, and was written as `number`. In the order in which they began. */
  called(call: OpenTalk, number: number): void {
    const write = this.#writes.get(number);
    if (write === undefined || this.#places.has(call)) return;
    this.#places.set(call, { write, at: write.calls });
    write.calls += 1;
  }

  /** For which request `call` was written, by its number; 0: not known. */
  of(call: OpenTalk): number {
    const place = this.#places.get(call);
    if (place === undefined) return 0;
    const { write: { ofList, numbers, calls }, at } = place;
    const before = numbers.length - calls;
    return before === 0 || (ofList && before > 0) ? numbers[before + at] ?? 0 : 0;
  }
}
