/* SPDX-License-Identifier: GPL-2.0-only */
/* Where each thread's calls are kept: found, made, given back. */
#ifndef KOALA_THREAD_H
#define KOALA_THREAD_H

#include "loss.h"

static __always_inline struct thread *thread_at(__u32 index)
{
	index %= THREADS;
	return bpf_map_lookup_elem(&threads, &index);
}

/* Whose first place is another's, or who has none. */
static __noinline __attribute__((unused)) struct thread *find_thread_further(__u64 who)
{
	for (__u32 step = 1; step < THREAD_STEPS; step++) {
		struct thread *thread = thread_at((__u32)who + step * THREAD_STRIDE);

		if (thread && thread->owner == who)
			return thread;
	}
	return 0;
}

static __always_inline struct thread *find_thread(__u64 who)
{
	struct thread *thread = thread_at((__u32)who);

	return thread && thread->owner == who ? thread : find_thread_further(who);
}

static __noinline __attribute__((unused)) struct thread *take_thread(__u64 who)
{
	__u32 one = 1;

	for (__u32 step = 0; step < THREAD_STEPS; step++) {
		__u32 index = ((__u32)who + step * THREAD_STRIDE) % THREADS;
		struct thread *thread = thread_at(index);

		if (!thread || thread->owner || bpf_map_update_elem(&taken_threads, &index, &one, BPF_NOEXIST))
			continue;
		__builtin_memset(thread, 0, sizeof(*thread));
		thread->owner = who;
		thread->calls[0].place = thread->calls[1].place = index;
		return thread;
	}
	return 0;
}

/* The thread is gone. */
static __always_inline void drop_thread(__u64 who)
{
	for (__u32 step = 0; step < THREAD_STEPS; step++) {
		__u32 index = ((__u32)who + step * THREAD_STRIDE) % THREADS;
		struct thread *thread = thread_at(index);

		if (!thread || thread->owner != who)
			continue;
		thread->owner = 0; /* first: from the deletion on it may be another's */
		bpf_map_delete_elem(&taken_threads, &index);
		return;
	}
}

/* One path for both, where the direction is not known when compiled: else the verifier walks all that follows twice. */
static __always_inline struct call *call_in(struct thread *thread, __u32 direction)
{
	__u32 which = direction == DIRECTION_INGRESS;

	return &thread->calls[which & 1];
}

/* The current thread's entry for what it sends (or receives), if it has one. */
static __always_inline struct call *find_call(__u32 direction, __u64 who)
{
	struct thread *thread = find_thread(who);

	return thread ? call_in(thread, direction) : 0;
}

/* The same, made at the thread's first call. */
static __always_inline struct call *call_of(__u32 direction, __u64 who)
{
	struct thread *thread = find_thread(who);

	if (!thread)
		thread = take_thread(who);
	if (!thread) {
		count_loss(CAUSE_MAP_FULL, 1, 0);
		return 0;
	}
	return call_in(thread, direction);
}

/* Begins a call in an entry that an earlier one may have used. */
static __always_inline void begin_call(struct call *call, __u64 sock, __u64 position, __u64 size)
{
	call->sock = sock;
	call->position = position;
	call->size = size;
	call->pieces.skip = 0;
	call->left = 0; /* else the next piece would be read from where the last call's ended */
	call->done = 0;
	call->remaining = 0;
	call->index = 0;
	call->failed = 0;
	call->flags = 0;
	call->inlined = 0;
	call->more = 0;
}

#endif
