/**
 * How the kernel side finds who waits for a virtual thread (bpf/java-waits.bpf.c): by which fields its object leads to what it runs, and that to
 * a thread that waits for its result. Classes say where their objects have which field.
 */
import { Classes, headersOf, narrowPointers, type ClassWord, type Headers } from './classes.ts';
import { flagsOf } from './flags.ts';
import { collectionsOf, type Collections } from './heap.ts';
import { known, Unreadable, type ProcessMemory } from './memory.ts';
import { threadsIn, type ThreadOffsets } from './threads.ts';
import type { VmStructs } from './vm-structs.ts';

/** They move objects only while all threads are stopped. */
const COLLECTORS = ['UseG1GC', 'UseParallelGC', 'UseSerialGC'];
const FLAGS = new Set([...COLLECTORS, 'UseCompressedOops', 'UseCompressedClassPointers', 'UseCompactObjectHeaders']);

/** Class and field. */
type Field = readonly [string, string];
const VIRTUAL = 'java/lang/VirtualThread';
const SYNCHRONIZER = 'java/util/concurrent/locks/AbstractQueuedSynchronizer';
const FUTURE = 'java/util/concurrent/FutureTask';
const TASK: readonly Field[] = [[VIRTUAL, 'cont'], ['jdk/internal/vm/Continuation', 'target'], [`${VIRTUAL}$VThreadContinuation$1`, 'val$task']];
const WRAPPER = 'java/util/concurrent/ThreadPerTaskExecutor$TaskRunner';

/** What only holds what is to be done, outermost first. */
const INNERS: readonly Field[] = [[FUTURE, 'callable'], ['java/util/concurrent/Executors$RunnableAdapter', 'task']];

/** From a virtual thread, or from its task where that is of class `of`; `next`: as struct java_path of bpf/java.h has it. */
const PATHS: readonly { readonly of?: string; readonly fields: readonly Field[]; readonly next?: Field }[] = [
  { fields: [['java/lang/Thread', 'container'], ['jdk/internal/vm/StackableScope', 'owner']] },
  { of: FUTURE, fields: [[FUTURE, 'waiters'], [`${FUTURE}$WaitNode`, 'thread']], next: [`${FUTURE}$WaitNode`, 'next'] },
  {
    fields: [[VIRTUAL, 'termination'], ['java/util/concurrent/CountDownLatch', 'sync'], [SYNCHRONIZER, 'head'], [`${SYNCHRONIZER}$Node`, 'next'], [`${SYNCHRONIZER}$Node`, 'waiter']],
    next: [`${SYNCHRONIZER}$Node`, 'next'],
  },
];

export interface Inner {
  readonly class: number;
  readonly slot: number;
  readonly field: number;
}

export interface Path {
  readonly class: number;
  readonly slot: number;
  readonly ofTask: boolean;
  readonly fields: readonly number[];
  readonly next: number;
}

/** As struct java_waits of bpf/java.h has it; addresses and offsets in bytes. */
export interface Waits extends ThreadOffsets, Collections {
  /** Undefined: pointers are of 64 bits. */
  readonly oops: { readonly base: number; readonly shift: number } | undefined;
  readonly units: { readonly base: number; readonly shift: number };
  readonly class: bigint;
  readonly classWord: ClassWord;
  readonly mounted: number;
  readonly id: number;
  readonly task: readonly number[];
  readonly wrapper: Inner | undefined;
  readonly paths: readonly Path[];
  readonly inners: readonly Inner[];
  /** Where a class says how large its objects are, and where these may have their first pointer. */
  readonly sizeAt: number;
  readonly fieldsAt: number;
  /** All classes of this are loaded. */
  readonly all: boolean;
}

/** 'unlike': not all is as it is known, or no virtual thread was begun so far. 'other': its collector moves objects at any time. */
export function waitsOf(memory: ProcessMemory, structs: VmStructs): Waits | 'unlike' | 'other' {
  try {
    const flags = flagsOf(memory, structs, FLAGS);
    if (!COLLECTORS.some((flag) => flags?.get(flag) === true)) return 'other';
    const threads = threadsIn(memory, structs);
    if (threads === undefined) return 'unlike';
    const headers = headersOf(flags);
    const classes = new Classes(memory, structs);
    const fields = new Fields(classes);
    const paths = PATHS.flatMap(({ of, fields: through, next }) => fields.path(of, through, next) ?? []);
    const wrapper = fields.inner([WRAPPER, 'task']);
    const inners = INNERS.flatMap((field) => fields.inner(field) ?? []);
    const oops = narrowPointers(memory, structs, flags);
    return {
      ...threads.offsets, ...collectionsOf(memory, structs),
      oops, units: classes.units(headers),
      class: classes.said(known(fields.at(VIRTUAL)), headers), classWord: classes.word(headers),
      mounted: known(structs.offset('JavaThread._vthread')), id: known(fields.of(['java/lang/Thread', 'tid'])), task: TASK.map((field) => known(fields.of(field))),
      wrapper, paths, inners, sizeAt: known(structs.offset('Klass._layout_helper')), fieldsAt: firstPointer(headers, oops === undefined ? 8 : 4),
      all: wrapper !== undefined && paths.length === PATHS.length && inners.length === INNERS.length,
    };
  } catch (error) {
    if (error instanceof Unreadable) return 'unlike';
    throw error;
  }
}

/** Of classes by their names. */
class Fields {
  readonly #classes: Classes;
  readonly #byName: ReadonlyMap<string, number>;

  constructor(classes: Classes) {
    this.#classes = classes;
    const inPaths = PATHS.flatMap(({ fields, next }) => next === undefined ? fields : [...fields, next]);
    this.#byName = classes.loaded(new Set([VIRTUAL, WRAPPER, ...[...TASK, ...INNERS, ...inPaths].map(([name]) => name)]));
  }

  at(name: string): number | undefined {
    return this.#byName.get(name);
  }

  of([name, field]: Field): number | undefined {
    const at = this.at(name);
    return at === undefined ? undefined : this.#classes.field(at, field);
  }

  /** Undefined: its class is not loaded, or has another form. */
  inner([name, field]: Field): Inner | undefined {
    const at = this.at(name);
    const [slot, offset] = at === undefined ? [] : [this.#classes.slot(at), this.#classes.field(at, field)];
    return at === undefined || slot === undefined || offset === undefined ? undefined : { class: at, slot, field: offset };
  }

  /** Undefined: a class of it is not loaded, or has another form. */
  path(of: string | undefined, through: readonly Field[], next: Field | undefined): Path | undefined {
    const fields = through.map((field) => this.of(field) ?? 0);
    const class_ = of === undefined ? 0 : this.at(of) ?? 0;
    const slot = class_ === 0 ? 0 : this.#classes.slot(class_);
    const after = next === undefined ? 0 : this.of(next);
    return fields.includes(0) || slot === undefined || after === undefined || (class_ === 0) !== (of === undefined) ? undefined
      : { class: class_, slot, ofTask: of !== undefined, fields, next: after };
  }
}

/** In bytes: behind an object's headers, of 8 bytes, or of 8 and what says its class. `width`: of a pointer, which lies at a multiple of that. */
function firstPointer({ compact, compressed }: Headers, width: number): number {
  return compact ? 8 : compressed ? Math.ceil(12 / width) * width : 16;
}
