/** The threads of a JVM: where each has its JavaThread. That is looked for in threads that are known, and must lie alike in all of them. */
import { known, readable, type ProcessMemory } from './memory.ts';
import type { VmStructs } from './vm-structs.ts';

/** Looked at, and so many at least must be alike: a JVM has some ten of its own. */
const MAX_THREADS = 64;
export const MIN_THREADS = 3;
/** Of what the C library keeps of a thread, from its pthread_self() on. */
const SELF_BYTES = 2_048;
/** Of a Thread object: where its longs are. */
const OBJECT_BYTES = 64;
const WORD_BYTES = 8;

/** As struct java_program and struct java_heap of bpf/java.h have them, in bytes. */
export interface ThreadOffsets {
  readonly thread: number;
  readonly osThread: number;
  readonly self: number;
}

export interface Threads {
  /** Addresses of their JavaThreads. */
  readonly all: readonly number[];
  readonly offsets: ThreadOffsets;
}

/** What all releases have alike; undefined: it does not lie alike in all threads. */
export function threadsIn(memory: ProcessMemory, structs: VmStructs): Threads | undefined {
  const offsets = {
    osThread: known(structs.offset('JavaThread._osthread', 'Thread._osthread')),
    self: known(structs.offset('OSThread._pthread_id')),
  };
  const all = threadsOf(memory, structs);
  // Of one that begins or ends just now some may be missing.
  const thread = threadIn(memory, all.flatMap((at) => {
    const self = readable(() => memory.pointer(memory.pointer(at + offsets.osThread) + offsets.self));
    return self === undefined || self === 0 ? [] : [{ at, self }];
  }));
  return thread === undefined ? undefined : { all, offsets: { ...offsets, thread } };
}

function threadsOf(memory: ProcessMemory, structs: VmStructs): readonly number[] {
  const list = memory.pointer(known(structs.address('ThreadsSMRSupport._java_thread_list')));
  const count = Math.min(memory.int(list + known(structs.offset('ThreadsList._length'))), MAX_THREADS);
  const threads = memory.bytes(count * WORD_BYTES, memory.pointer(list + known(structs.offset('ThreadsList._threads'))));
  return Array.from({ length: count }, (_, index) => Number(threads.readBigUInt64LE(index * WORD_BYTES)));
}

/** From each thread's pthread_self() to what points to its JavaThread: what HotSpot gave to pthread_setspecific, or to pthread_create. */
function threadIn(memory: ProcessMemory, threads: readonly { readonly at: number; readonly self: number }[]): number | undefined {
  if (threads.length < MIN_THREADS) return undefined;
  let common: readonly number[] | undefined;
  for (const { at, self } of threads) {
    const words = memory.upTo(SELF_BYTES, self);
    const holds = (from: number): boolean => from + WORD_BYTES <= words.length && words.readBigUInt64LE(from) === BigInt(at);
    common = (common ?? Array.from({ length: SELF_BYTES / WORD_BYTES }, (_, index) => index * WORD_BYTES)).filter(holds);
  }
  return common?.[0];
}

/** What a Thread object begins with. Undefined: it does not lead back to the thread at `at`, as its `eetop` does. */
export function threadObject(memory: ProcessMemory, object: number, at: number): { readonly words: Buffer; readonly eetop: number } | undefined {
  const words = memory.bytes(OBJECT_BYTES, object);
  const eetop = words.indexOf(bytesOf(at));
  return eetop < 0 ? undefined : { words, eetop };
}

function bytesOf(address: number): Buffer {
  const bytes = Buffer.alloc(WORD_BYTES);
  bytes.writeBigUInt64LE(BigInt(address));
  return bytes;
}
