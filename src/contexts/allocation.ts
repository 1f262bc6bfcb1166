/**
 * Who has allocated what a thread of a JVM works with (bpf/java-heap.bpf.c). A task that is handed to another thread, an executor's for
 * instance, is an object: whoever handed it over has allocated it, in a piece of the heap in which nobody else does, one object behind
 * the other. So its address says by which thread, and between which two of that one's events; and while it runs it stands on the stack
 * of who took it, as the oldest object there that is new.
 *
 *   thread 7   reads A  …  allocates [100, 180)  …  calls      (allocated by 7 since it read A: for A)
 *   thread 9   its stack: 160                        call      (160: for A)
 *
 * The task of a thread that is begun for it is older than that thread, and not told of. What is new on its stack then is no task: what others have
 * put back into a pool of connections, for instance. Where such a thread has ended with its session nothing of it is believed (`sparesBorn`).
 * An event loop allocates for many, as does who reads answers for others: it tells nothing. Objects that were moved since are not told of (`collections`): of a task that waited while that was done, nothing is known.
 */
import { dropFirst } from '../bounded.ts';
import type { HeapEvent } from '../events/event.ts';
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';

/** Threads remembered, and of each so many of what it worked with. Past that the first is forgotten. */
const maxThreads = 4_096;
const maxStands = 64;
/** Of all times. Past that those of the first time are forgotten. */
const maxRanges = 262_144;
/** Ranges are found by the granules of addresses that they have a part in. */
const GRANULE = 65_536;
/** Of a range that is larger nothing is remembered: pieces are smaller by far. */
const maxGranules = 4_096;
/** A task may be handed over by a thread that runs one itself. */
const maxDepth = 4;
/** What stands oldest on a thread's stack while so many objects stand behind it, one after the other, is no task: these are. */
const OUTLASTS = 16;

/** Allocated by a thread between two of its events. */
interface Range {
  readonly from: number;
  readonly to: number;
  readonly by: Thread;
  readonly before: HeapEvent;
  readonly after: HeapEvent;
}

interface Thread {
  readonly tid: number;
  /** 0: longer than it is known. */
  readonly sinceUs: number;
  /** What it was told to work with, the last of it, in order: that holds until it is told of again. Never none. */
  readonly stands: HeapEvent[];
  /** It was at work for several requests at a time, or reads answers for others, so what it allocates may be for any of them, also for one that is over by now. */
  loops: boolean;
  /** Virtual threads take turns on it: between two events, and where it is not known which it carries, there may have been any of them. */
  carries: boolean;
  oldest: Oldest | undefined;
}

/** What stands oldest on a thread's stack, and what stood behind that so far: `OUTLASTS` at the most. */
interface Oldest {
  readonly object: number;
  readonly collections: number;
  readonly behind: Set<number>;
}

/** No object was moved in it: no address was used twice. */
interface Time {
  readonly granules: Map<number, Range[]>;
  ranges: number;
}

const FULL = maxStands + maxStands / 2;

export class Allocation<J extends Past> implements Hindsight<J> {
  readonly attribution = 'runtime';
  readonly support = 'allocated-for-it';
  readonly refutes = true;
  readonly sparesBorn = true;
  readonly knows = true;
  readonly #threads = new Map<number, Thread>();
  /** Threads that were seen to begin, and when. */
  readonly #begun = new Map<number, number>();
  /** By how often objects had been moved. */
  readonly #times = new Map<number, Time>();
  #ranges = 0;
  /** What the threads that began calls were at. */
  readonly #stands = new WeakMap<OpenTalk, HeapEvent>();

  told(event: HeapEvent): void {
    const { tid, context, collections, start, top } = event;
    const thread = this.#threads.get(tid);
    const before = thread?.stands.at(-1);
    if (thread === undefined || before === undefined) {
      this.#threads.set(tid, { tid, sinceUs: this.#begun.get(tid) ?? 0, stands: [event], loops: false, carries: context !== 0, oldest: undefined });
      dropFirst(this.#threads, maxThreads);
      return;
    }
    thread.carries ||= context !== 0;
    const since = { by: thread, before, after: event };
    if (before.collections !== collections || before.end === 0) {
      // The rest of its piece was nobody else's until objects were moved.
      this.#add({ ...since, from: before.top, to: before.end }, before.collections);
      this.#add({ ...since, from: start, to: top }, collections);
    } else if (before.start === start) this.#add({ ...since, from: before.top, to: top }, collections);
    else {
      this.#add({ ...since, from: before.top, to: before.end }, collections);
      this.#add({ ...since, from: start, to: top }, collections);
    }
    noteOldest(thread, event);
    thread.stands.push(event);
    if (thread.stands.length > FULL) thread.stands.splice(0, FULL - maxStands);
  }

  /** Thread `tid` begins. */
  begun(tid: number, atUs: number): void {
    this.#threads.delete(tid);
    this.#begun.set(tid, atUs);
    dropFirst(this.#begun, maxThreads);
  }

  /** Thread `tid` reads an answer to what another one has written: it does so for all, or may. */
  readsForOthers(tid: number): void {
    const thread = this.#threads.get(tid);
    if (thread !== undefined) thread.loops = true;
  }

  /** The process runs another program. */
  executed(): void {
    this.#threads.clear();
    this.#times.clear();
    this.#ranges = 0;
  }

  proves(): boolean {
    return false;
  }

  see(call: OpenTalk): void {
    const [first] = call.request.pieces;
    const stand = first === undefined ? undefined : this.#threads.get(first.thread)?.stands.findLast(({ atUs }) => atUs <= first.atUs);
    if (stand !== undefined) this.#stands.set(call, stand);
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const [first] = call.request.pieces;
    const thread = this.#threads.get(first?.thread ?? 0);
    // What a virtual thread does is not its carrier's task.
    const job = thread === undefined || thread.carries || first?.goroutine !== 0 ? undefined : this.#jobOf(thread, this.#stands.get(call), candidates, maxDepth);
    return job === undefined ? undefined : { job, alternatives: [] };
  }

  whyNot(): WhyNot | undefined {
    return undefined;
  }

  /** Whose session's the task is that a thread was at. */
  #jobOf(thread: Thread, stand: HeapEvent | undefined, candidates: readonly J[], depth: number): J | undefined {
    if (stand === undefined || depth === 0) return undefined;
    for (const object of stand.objects) {
      const range = this.#rangeOf(object, stand.collections);
      if (range === undefined) {
        // A pool's worker, say, which ZGC has moved to where new objects lie.
        if (outlasts(thread, object, stand.collections)) continue;
        // Who has allocated it is not known: it may be the task.
        return undefined;
      }
      // What it has allocated itself, and what was there before it: not its task.
      if (!stand.held && (range.by === thread || range.before.atUs < thread.sinceUs)) continue;
      return this.#jobOfAllocator(range, candidates, depth);
    }
    return undefined;
  }

  /** Whom the thread that has allocated it was at work for. */
  #jobOfAllocator({ by, before, after }: Range, candidates: readonly J[], depth: number): J | undefined {
    if (by.carries) return undefined;
    const reading = candidates.filter((job) => isAt(job, by, after.atUs));
    by.loops ||= reading.length > 1;
    if (by.loops) return undefined;
    if (reading.length > 0) return reading[0];
    // Of what it writes only is it known for whom that is.
    if (before.held || after.held) return undefined;
    const then = this.#jobOf(by, before, candidates, depth - 1);
    return then !== undefined && then === this.#jobOf(by, after, candidates, depth - 1) ? then : undefined;
  }

  #add(range: Range, collections: number): void {
    const [first, last] = [Math.floor(range.from / GRANULE), Math.floor((range.to - 1) / GRANULE)];
    if (range.to <= range.from || last - first >= maxGranules) return;
    let time = this.#times.get(collections);
    if (time === undefined) this.#times.set(collections, (time = { granules: new Map<number, Range[]>(), ranges: 0 }));
    time.ranges += 1;
    this.#ranges += 1;
    if (this.#ranges > maxRanges) this.#forgetFirst();
    for (let granule = first; granule <= last; granule += 1) {
      const others = time.granules.get(granule);
      if (others === undefined) time.granules.set(granule, [range]);
      else others.push(range);
    }
  }

  #forgetFirst(): void {
    for (const [collections, { ranges }] of this.#times) {
      this.#times.delete(collections);
      this.#ranges -= ranges;
      return;
    }
  }

  #rangeOf(address: number, collections: number): Range | undefined {
    return this.#times.get(collections)?.granules.get(Math.floor(address / GRANULE))?.find(({ from, to }) => from <= address && address < to);
  }
}

function noteOldest(thread: Thread, { objects: [object, next], collections, held }: HeapEvent): void {
  if (held || object === undefined || next === undefined) return;
  let { oldest } = thread;
  if (oldest?.object !== object || oldest.collections !== collections) thread.oldest = oldest = { object, collections, behind: new Set() };
  if (oldest.behind.size < OUTLASTS) oldest.behind.add(next);
}

/** `object` stood oldest on the thread's stack while it was at one task after the other. */
function outlasts({ oldest }: Thread, object: number, collections: number): boolean {
  return oldest?.object === object && oldest.collections === collections && oldest.behind.size === OUTLASTS;
}

/**
 * What `thread` did up to `atUs`, where it is told of, and since it was told of before, was for this one: it had read its request by then,
 * and had not answered. Whenever it reads or writes it is told of, but where it has allocated nothing since.
 */
function isAt({ talk: { request: { pieces: [first] }, response: { pieces: [answer] } } }: Past, { tid }: Thread, atUs: number): boolean {
  return first !== undefined && first.goroutine === 0 && first.thread === tid && first.atUs < atUs && (answer === undefined || answer.atUs >= atUs);
}
