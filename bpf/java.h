/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which virtual thread of Java's the current thread carries. Each thread of a JVM has a JavaThread. Since JDK 24 it holds the id of the
 * virtual thread; before, only the object of that, which has the id. Where these lie, the JVM says itself, to user space.
 */
#ifndef KOALA_JAVA_H
#define KOALA_JAVA_H

#include "goroutine.h"
#include "registers.h"

/* key: tgid. Inserted: user space, once a JVM has begun with virtual threads. Deleted: exec, exit. Offsets in bytes. */
struct java_program {
	__u64 collecting;  /* address of a byte: not 0 while objects are moved with all threads stopped */
	__u64 collections; /* address of a word of 32 bits: such times so far                           */
	__u64 stale;       /* ZGC: address of the bits that only a pointer to what may be moved has now; 0: pointers are plain */
	__u64 coloured;    /* and of a word whose six lowest bits say how many, the lowest, are not of the address */
	__u64 class;       /* VirtualThread, as an object says it: the word of 64 bits at class_at, from class_shift on, as far as class_mask goes */
	__u64 class_mask;
	__u32 class_at;
	__u32 class_shift;
	__s32 thread;    /* from the thread's pthread_self(): pointer to its JavaThread */
	__u32 os_thread; /* in that: pointer to what the JVM keeps of the kernel's thread */
	__u32 self;      /* in that: its pthread_self() */
	__u32 mounted;   /* in the JavaThread: pointer to the pointer to the object that it carries, or is */
	__u32 own;       /* there, since JDK 24: likewise, to that which it is; else 0             */
	__u32 id;        /* there, since JDK 24; else in the object                                */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct java_program);
} java_programs __weak SEC(".maps");

#define HELD_STEPS 3
/* Of ZGC's small pages: threads allocate in no others. */
#define PAGE_SHIFT 21
#define GENERATIONS 2

/* Where a JVM keeps what its threads have allocated, and work with. key: tgid. Inserted: user space. Deleted: exec, exit. */
struct java_heap {
	__u64 collecting;
	__u64 collections;
	__u64 from; /* addresses that objects may have */
	__u64 to;
	__s32 thread; /* as above */
	__u32 os_thread;
	__u32 self;
	__u32 own;        /* in a JavaThread: pointer to the pointer to its Thread object  */
	__u32 stack_base; /* there: address behind its stack, which grows downwards        */
	__u32 start;      /* there: of the piece that it allocates in                      */
	__u32 top;
	__u32 end;
	__u32 depth; /* how far from there its oldest call of Java's was found, in the thread looked at last. Written: the kernel side */
	__u32 holder_at; /* Who has an object of class `holder` on its stack works at what that holds: as class, class_mask, … above */
	__u64 holder;    /* 0: none is known so far */
	__u64 holder_mask;
	__u64 pointers;  /* narrow ones in objects: so many from here, ... */
	__u32 holder_shift;
	__u32 pointer_shift; /* ... shifted by this */
	__u32 narrow;        /* 0: they are plain */
	__u32 steps[HELD_STEPS]; /* in the holder, and in what is found there: pointer to the next, and to what it holds */
	__u64 stale;       /* ZGC: as above                                                                     */
	__u64 coloured;
	__u64 offset_mask; /* bits of an address that say where in the heap it is: of the others it may change some. Else all */
	__u64 pages;       /* table of what it knows of each piece of the heap of 1 << PAGE_SHIFT bytes; 0: it isn't ZGC      */
	__u64 left[GENERATIONS]; /* tables of what it moved last from such a piece; 0: words on stacks say themselves if they are old */
	__u32 page_time;   /* there: by how many times it was made, and one                                     */
	__u32 page_start;  /* there: where in the heap it is                                                    */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct java_heap);
} java_heaps __weak SEC(".maps");

/* From an object to a thread that waits for it, or that owns it: through objects each of which has a pointer to the next one. */
#define JAVA_PATHS 3
#define JAVA_FIELDS 5
struct java_path {
	__u64 class;   /* of which the first object is, or of one derived from it; 0: of any             */
	__u32 slot;    /* where classes that are derived from it have a pointer to it                   */
	__u32 of_task; /* the first object is what the virtual thread runs; else the thread's own       */
	__u32 fields[JAVA_FIELDS]; /* 0: no more */
	__u32 next;    /* in the object before the last: pointer to who waits as well; 0: there is none */
};

/* What only holds what is to be done: of this class, or of one derived from it; 0: it is not loaded. */
struct java_inner {
	__u64 class;
	__u32 slot;  /* as above             */
	__u32 field; /* pointer to what is to be done */
};

#define JAVA_INNERS 2

/* How to find who waits for a virtual thread, and what it was given to do. key: tgid. Inserted: user space. Deleted: exec, exit. Offsets in bytes. */
struct java_waits {
	__u64 collecting; /* as above */
	__u64 collections;
	__u64 oops;    /* pointers of 32 bits count from here, in units of 1 << oop_shift bytes           */
	__u64 classes; /* and what objects say of their class from here, in units of 1 << unit bytes      */
	__u64 class;   /* VirtualThread, as an object says it, as above                                  */
	__u64 class_mask;
	__u32 class_at;
	__u32 class_shift;
	__u32 narrow;  /* pointers between objects are of 32 bits */
	__u32 oop_shift;
	__u32 unit;
	__s32 thread;  /* as above */
	__u32 os_thread;
	__u32 self;
	__u32 mounted;
	__u32 id;      /* in a Thread object                              */
	__u32 task[3]; /* fields, from a virtual thread to what it runs   */
	__u32 wrapped; /* in what only wraps a task: pointer to that      */
	__u64 wrapper; /* class of such; 0: it is not loaded              */
	__u32 wrapper_slot;
	__u32 pad0;
	struct java_path paths[JAVA_PATHS];
	struct java_inner inners[JAVA_INNERS];
	__u32 size_at;   /* in a class: bytes of its objects, as a signed number */
	__u32 fields_at; /* in an object: where the first pointer may be         */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct java_waits);
} java_waits __weak SEC(".maps");

/* The JavaThread of the current thread, by the offsets that a JVM has for that; 0: it has none. */
static __always_inline __u64 java_thread(__s32 thread_at, __u32 os_thread_at, __u32 self_at)
{
	__u64 self = thread_pointer(), thread = self ? word_at(self + thread_at) : 0;

	return thread && word_at(word_at(thread + os_thread_at) + self_at) == self ? thread : 0;
}

/* The pointer at `slot`, without what ZGC says in it beside the address; 0: what it leads to may have been moved. `stale`: which pointers' may. */
static __always_inline __u64 pointer_at(__u64 slot, __u64 stale, __u64 coloured)
{
	__u64 pointer = word_at(slot);

	if (!stale)
		return pointer;
	return pointer & stale ? 0 : pointer >> (word_at(coloured) & 63);
}

/* Objects are moved right now. Addresses, as above. */
static __always_inline bool are_moved(__u64 collecting)
{
	return (__u8)word_at(collecting);
}

/* They are, or were since there had been `before` such times: what was read since is nothing. */
static __always_inline bool were_moved(__u64 collecting, __u64 collections, __u32 before)
{
	return are_moved(collecting) || (__u32)word_at(collections) != before;
}

#endif
