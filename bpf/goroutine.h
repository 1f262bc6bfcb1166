/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which goroutine runs on the current thread. Go keeps a pointer to it (`g`): on amd64 in the thread's local storage, at a fixed
 * distance from fsbase; on arm64 in register 28. The distance, and where `g` holds what, is told by user space, which has read the executable.
 * Until it has, and for whatever is no Go program, the answer is 0: not known.
 */
#ifndef KOALA_GOROUTINE_H
#define KOALA_GOROUTINE_H

#include "maps.h"

#define GO_ROLES 4      /* GOROUTINE_SERVES and on */
#define GO_WORDS 1024   /* of 64 bits: 65536 process ids apart, two share a bit */

/*
 * key: tgid / 64, modulo GO_WORDS. value: a bit for each process that may be a Go program, run Python, or a JVM. Set: user space.
 * Never cleared: it spares the others look-ups in `go_programs`, `python_programs`, `java_programs`, `java_heaps` and `java_waits`.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GO_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} go_bits __weak SEC(".maps");

/* key: tgid. Inserted: user space. Deleted: exec, exit. */
struct go_program {
	__s64 g_at; /* from fsbase; unused on arm64 */
	__u32 goid; /* offsets in runtime.g; 0: it has none, or where is not known */
	__u32 parent;
	__u32 function;
	__u32 complete; /* all of this is known. Until then goroutines are known by their ids only, and not told of */
	__u32 m; /* in runtime.g, and in that, which is a runtime.m, the goroutine that its thread runs; asked where there is no parent */
	__u32 current;
	__u64 roles[GO_ROLES]; /* addresses of the functions by which roles are known; 0: it holds none */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct go_program);
} go_programs __weak SEC(".maps");

/* An object of a Go program, by address and process. */
struct go_object {
	__u64 address;
	__u32 tgid;
	__u32 pad0;
};

/*
 * From Linux 6.13 on a program with 64 bytes of variables or more has a stack of its own on each processor, and the kernel sees to it that
 * no second run gets there meanwhile: but not for uprobes, which may be preempted. Then a run goes on with the variables of another
 * thread's, and tells the goroutine of one with the request of the other. A program with a tail call has its thread's stack. This one
 * leads nowhere. To stand first in each program of a uprobe.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} nowhere __weak SEC(".maps");

#define ON_THREADS_STACK(context) bpf_tail_call(context, &nowhere, 0)

/* 0 where it can't be read: the kernel clears it then, and the verifier has one way less to follow. */
static __always_inline __u64 word_at(__u64 address)
{
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/* The id of the goroutine at `g` of a Go program; 0: there is none. Tells of it when it is new. */
extern __u64 goroutine_at(__u64 who, __u64 g);

/* The id of the goroutine that began the one at `g`, which is known by `goid`; 0: not known. */
extern __u64 goroutine_parent(__u64 who, __u64 g, __u64 goid);

/* The goroutine of the current thread, which is `who` and may be a Go program's; 0: not known. Tells of it when it is new. */
extern __u64 goroutine_of(__u64 who);

/* The context in which the current thread, which is `who`, runs Python code; 0: not known. */
extern __u64 python_task_of(__u64 who);

/* The virtual thread of Java's that the current thread, which is `who`, carries; 0: not known. */
extern __u64 virtual_thread_of(__u64 who);

/* Tells what the current thread, which is `who`, has allocated, where it is one of a JVM. `context`: the virtual thread that it carries. */
extern int tell_heap(__u64 who, __u64 context, __u64 at_ns);

/* Tells which virtual thread waits for `context`, the one that the current thread, which is `who`, carries. */
extern int tell_waiter(__u64 who, __u64 context);

/* Tells what that one was given to do. */
extern int tell_given(__u64 who, __u64 context);

static __always_inline bool may_tell_contexts(__u32 tgid)
{
	__u32 word = tgid / 64 % GO_WORDS;
	__u64 *bits = bpf_map_lookup_elem(&go_bits, &word);

	return bits && *bits >> tgid % 64 & 1;
}

/* `at_ns`: what it tells of itself meanwhile is of that time too. */
static __always_inline __u64 context_of(__u64 who, __u64 at_ns)
{
	__u64 context;

	if (!may_tell_contexts(who >> 32))
		return 0;
	context = goroutine_of(who);
	/* A goroutine and a context of Python's are of no JVM. */
	if (!context || context >= FIRST_VIRTUAL_THREAD)
		tell_heap(who, context, at_ns);
	if (context >= FIRST_VIRTUAL_THREAD) {
		tell_waiter(who, context);
		tell_given(who, context);
	}
	return context;
}

#endif
