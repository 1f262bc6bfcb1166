/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In which context (contextvars) the Python code of the current thread runs. An asyncio task has one of its own, made as a copy of its
 * maker's, and so has whatever takes a context along (gather, asyncio.to_thread, anyio's threads). The interpreter keeps a list of
 * its threads, and each of them its context; where, is told by user space, which has read the executable.
 */
#ifndef KOALA_PYTHON_H
#define KOALA_PYTHON_H

#include "emit.h"

/* key: tgid. Inserted: user space. Deleted: exec, exit. Offsets in bytes. */
struct python_program {
	__u64 interpreter;    /* address of the pointer to the first interpreter's state  */
	__u64 context_type;   /* address of PyContext_Type                                */
	__u64 tasks;          /* contexts made so far, which are numbered                 */
	__u32 first_thread;   /* in an interpreter's state: pointer to the thread made last */
	__u32 next;           /* in a thread's state: pointer to the one made before it     */
	__u32 thread_id;      /* there: pthread_self(), which is the thread's fsbase        */
	__u32 context;        /* there: pointer to its context                              */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct python_program);
} python_programs __weak SEC(".maps");

/* Contexts that are met, and not seen made, are numbered by the time: here nobody holds the interpreter's lock. They are beyond those that are counted. */
#define FIRST_MET (FIRST_TASK + (1ULL << 47))
#define MET_MASK ((1ULL << 47) - 1)
#define MET_SHIFT 4 /* ns >> 4: 26 days pass before the numbers begin anew */

static __always_inline __u64 met_task(void)
{
	return FIRST_MET + (bpf_ktime_get_ns() >> MET_SHIFT & MET_MASK);
}

/* The work item that the current thread, which is `who`, is at; 0: none. */
extern __u64 work_item_of(__u64 who);

#endif
