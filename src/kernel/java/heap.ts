/** Where a JVM keeps what its threads have allocated, and what they work with (bpf/java.h): HotSpot tells debuggers. */
import { flagsOf } from './flags.ts';
import { known, readable, Unreadable, type ProcessMemory } from './memory.ts';
import { counterOf } from './perf-data.ts';
import { MIN_THREADS, threadObject, threadsIn, type ThreadOffsets } from './threads.ts';
import type { VmStructs } from './vm-structs.ts';
import { addressAt, isInPage, ZGC_FLAGS, zgcOf, type Colours, type Pages } from './zgc.ts';

const WORD_BYTES = 8;
/** They move objects only while all threads are stopped, and each thread allocates in a piece of its own. */
const STOPPING = ['UseG1GC', 'UseParallelGC', 'UseSerialGC'];
/**
 * Moves them at any time, but only those that were there when the threads were stopped last; and where they lay, others do only when they were stopped again. So within such a time
 * an address means the same object.
 */
const SHENANDOAH = 'UseShenandoahGC';
/** Of which ones ZGC moves is known as well. */
const FLAGS = new Set([...STOPPING, SHENANDOAH, ...ZGC_FLAGS]);
const ALL_BITS = 0xffff_ffff_ffff_ffffn;

/** Addresses of what tells whether objects are moved, and how often they were, or may have been. */
export interface Collections {
  readonly collecting: number;
  readonly collections: number;
}

/** As struct java_heap of bpf/java.h has it; addresses and offsets in bytes. */
export interface Heap extends ThreadOffsets, Collections {
  readonly from: number;
  readonly to: number;
  readonly offsetMask: bigint;
  /** Of ZGC only. */
  readonly zgc: (Colours & Pages) | undefined;
  readonly own: number;
  readonly stackBase: number;
  readonly start: number;
  readonly top: number;
  readonly end: number;
}

/** 'unlike': not all is as it is known, or threads came and went meanwhile. 'other': its collector moves objects at any time, and which ones is not known. */
export function heapOf(memory: ProcessMemory, structs: VmStructs): Heap | 'unlike' | 'other' {
  try {
    const flags = flagsOf(memory, structs, FLAGS);
    const zgc = zgcOf(memory, structs, flags);
    const stops = flags?.get(SHENANDOAH) === true ? counterOf(memory, structs, 'sun.rt.safepoints') : undefined;
    if (zgc === undefined && stops === undefined && !STOPPING.some((flag) => flags?.get(flag) === true)) return 'other';
    const threads = threadsIn(memory, structs);
    const own = known(structs.offset('JavaThread._threadObj'));
    const collections = { ...collectionsOf(memory, structs), ...(stops !== undefined && { collections: stops }) };
    // Before JDK 16 that was no pointer to a pointer.
    const sound = threads?.all.filter((at) => readable(() => {
      const object = known(addressAt(memory, memory.pointer(at + own), zgc));
      return threadObject(memory, object, at) !== undefined && (zgc === undefined || isInPage(memory, zgc, object, memory.int(collections.collections)));
    }) === true);
    if (threads === undefined || sound === undefined || sound.length < MIN_THREADS) return 'unlike';
    const buffer = known(structs.offset('Thread._tlab'));
    return {
      ...threads.offsets, ...collections, ...(zgc ?? reserved(memory, structs)), zgc, own, stackBase: known(structs.offset('JavaThread._stack_base', 'Thread._stack_base')),
      start: buffer + known(structs.offset('ThreadLocalAllocBuffer._start')),
      top: buffer + known(structs.offset('ThreadLocalAllocBuffer._top')),
      end: buffer + known(structs.offset('ThreadLocalAllocBuffer._end')),
    };
  } catch (error) {
    if (error instanceof Unreadable) return 'unlike';
    throw error;
  }
}

/** Where objects may be, with other collectors than ZGC. */
function reserved(memory: ProcessMemory, structs: VmStructs): Pick<Heap, 'from' | 'to' | 'offsetMask'> {
  const region = memory.pointer(known(structs.address('Universe._collectedHeap'))) + known(structs.offset('CollectedHeap._reserved'));
  const from = memory.pointer(region + known(structs.offset('MemRegion._start')));
  return { from, to: from + memory.pointer(region + known(structs.offset('MemRegion._word_size'))) * WORD_BYTES, offsetMask: ALL_BITS };
}

export function collectionsOf(memory: ProcessMemory, structs: VmStructs): Collections {
  const heap = memory.pointer(known(structs.address('Universe._collectedHeap')));
  return {
    collecting: heap + known(structs.offset('CollectedHeap._is_stw_gc_active', 'CollectedHeap._is_gc_active')),
    collections: heap + known(structs.offset('CollectedHeap._total_collections')),
  };
}
