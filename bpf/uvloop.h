/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uvloop up to 0.22: what writes to a transport only queues, and the loop writes for all of them later, in a context of its own or in none.
 * So it is noted where it is queued whose it is: by socket, for there can be but one writer to a transport.
 */
#ifndef KOALA_UVLOOP_H
#define KOALA_UVLOOP_H

#include "goroutine.h"

/* key: tgid. value: 1: it has loaded such a uvloop. Inserted: user space. Deleted: exec, exit. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} uvloop_programs __weak SEC(".maps");

/* The context of Python's for which the current thread, which is `who` and runs in `context`, writes to `sock` (a number): that one, unless it was queued. */
extern __u64 queued_for(__u64 sock, __u64 who, __u64 context);

static __always_inline __u64 writer_of(__u64 sock, __u64 who, __u64 context)
{
	bool may_be_queued = !context || (context >= FIRST_TASK && context < FIRST_VIRTUAL_THREAD);

	return may_be_queued && may_tell_contexts(who >> 32) ? queued_for(sock, who, context) : context;
}

#endif
