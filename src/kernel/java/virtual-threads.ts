/**
 * Where a JVM keeps which virtual thread is mounted on which of its threads (bpf/java.h). HotSpot tells debuggers all of it but two: where
 * a thread of the C library's has its JavaThread (threads.ts), and where a Thread object has its id. These are looked for in threads that
 * are known, and must lie alike in all of them.
 */
import { Classes, headersOf, type ClassWord } from './classes.ts';
import { flagsOf } from './flags.ts';
import { collectionsOf, type Collections } from './heap.ts';
import { known, Unreadable, type ProcessMemory } from './memory.ts';
import { MIN_THREADS, threadObject, threadsIn, type ThreadOffsets } from './threads.ts';
import type { VmStructs } from './vm-structs.ts';
import { addressAt, coloursOf, ZGC_FLAGS } from './zgc.ts';

const WORD_BYTES = 8;
/** Beyond ids of threads. Twin of VIRTUAL_THREADS of bpf/event.h. */
const BEYOND_IDS = 1n << 48n;

/** As struct java_program of bpf/java.h has it; addresses and offsets in bytes. */
export interface VirtualThreads extends ThreadOffsets {
  readonly mounted: number;
  readonly id: number;
  readonly carried: ByThread | ByObject;
}

/** Since JDK 24. */
export interface ByThread {
  readonly own: number;
}

export interface ByObject extends Collections {
  /** 0, both: pointers are plain. */
  readonly stale: number;
  readonly coloured: number;
  readonly class: bigint;
  readonly classWord: ClassWord;
}

/** 'unlike': not all is as it is known, or threads came and went meanwhile. */
export type WhyUnknown = 'unlike';
/** 'unused': it has begun none so far. */
export type WhyNoVirtualThreads = WhyUnknown | 'unused';

/** It is of a release that knows of virtual threads. */
export function mayRunVirtual(structs: VmStructs): boolean {
  return structs.offset('JavaThread._vthread') !== undefined;
}

export function virtualThreadsOf(memory: ProcessMemory, structs: VmStructs): VirtualThreads | WhyNoVirtualThreads {
  try {
    const classes = new Classes(memory, structs);
    const virtual = virtualIn(classes);
    const state = structs.offset('InstanceKlass._init_state');
    if (virtual === undefined || memory.byte(virtual + known(state)) !== structs.constant('InstanceKlass::fully_initialized')) return 'unused';
    return byThread(memory, structs) ?? byObject(memory, structs, classes, virtual);
  } catch (error) {
    if (error instanceof Unreadable) return 'unlike';
    throw error;
  }
}

/** java.lang.VirtualThread; undefined: it is not loaded yet. */
function virtualIn(classes: Classes): number | undefined {
  const { thread } = classes;
  const between = thread === 0 ? undefined : classes.derived(thread, 'java/lang/BaseVirtualThread');
  return between === undefined ? undefined : classes.derived(between, 'java/lang/VirtualThread');
}

/** Undefined: this release's threads do not hold the id. */
function byThread(memory: ProcessMemory, structs: VmStructs): VirtualThreads | 'unlike' | undefined {
  const id = structs.offset('JavaThread._monitor_owner_id');
  const mounted = structs.offset('JavaThread._vthread');
  if (id === undefined || mounted === undefined) return undefined;
  const threads = threadsIn(memory, structs);
  if (threads === undefined) return 'unlike';
  const ids = new Set(threads.all.map((at) => memory.long(at + id)).filter(isId));
  return ids.size === threads.all.length ? { ...threads.offsets, mounted, id, carried: { own: known(structs.offset('JavaThread._threadObj')) } } : 'unlike';
}

const FLAGS = new Set([...ZGC_FLAGS, 'UseCompressedClassPointers', 'UseCompactObjectHeaders']);

function byObject(memory: ProcessMemory, structs: VmStructs, classes: Classes, virtual: number): VirtualThreads | WhyNoVirtualThreads {
  const flags = flagsOf(memory, structs, FLAGS);
  if (flags === undefined) return 'unlike';
  const colours = coloursOf(memory, structs, flags);
  const headers = headersOf(flags);
  const threads = threadsIn(memory, structs);
  const own = known(structs.offset('JavaThread._threadObj'));
  const id = idIn(memory, threads?.all.flatMap((at) => {
    const object = addressAt(memory, memory.pointer(at + own), colours);
    return object === undefined ? [] : [{ at, object }];
  }) ?? [], (object) => classes.isDerived(classes.classOf(object, headers), classes.thread));
  if (threads === undefined || id === undefined) return 'unlike';
  return {
    ...threads.offsets, id, mounted: known(structs.offset('JavaThread._vthread')),
    carried: {
      ...collectionsOf(memory, structs),
      stale: colours?.stale ?? 0, coloured: colours?.coloured ?? 0,
      class: classes.said(virtual, headers), classWord: classes.word(headers),
    },
  };
}

/** Where Thread objects have their id: after `eetop`, which points to their JavaThread. No two have the same. */
function idIn(memory: ProcessMemory, threads: readonly { readonly at: number; readonly object: number }[], isThread: (object: number) => boolean): number | undefined {
  const ids = new Set<bigint>();
  const offsets = new Set<number>();
  for (const { at, object } of threads) {
    if (!isThread(object)) return undefined;
    const found = threadObject(memory, object, at);
    const offset = (found?.eetop ?? 0) + WORD_BYTES;
    const id = found === undefined || offset + WORD_BYTES > found.words.length ? 0n : found.words.readBigUInt64LE(offset);
    if (!isId(id) || ids.has(id)) return undefined;
    ids.add(id);
    offsets.add(offset);
  }
  const [offset] = offsets;
  return threads.length < MIN_THREADS || offsets.size !== 1 ? undefined : offset;
}

const isId = (value: bigint): boolean => value > 0n && value < BEYOND_IDS;
