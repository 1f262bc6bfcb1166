/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From Linux 7.0 on a tracepoint's program may be preempted, and meanwhile the kernel skips it for every other thread on that
 * CPU (the count in bpf_prog.active). There user space loads these programs several times over the same maps: each copy has a
 * count of its own, and the first copy that runs for an event does the work. On other kernels there is one copy, and this is
 * compiled away.
 */
#ifndef KOALA_CLAIM_H
#define KOALA_CLAIM_H

#include "maps.h"

enum hook {
	HOOK_SEND = 1,
	HOOK_SENT = 2,
	HOOK_CONSUMED = 3,
	HOOK_RECEIVED = 4,
	HOOK_COMPLETED = 5,
	HOOK_STATE = 6,
	HOOK_FORK = 7,
	HOOK_EXEC = 8,
	HOOK_EXIT = 9,
	HOOK_APPENDED = 10,
};

/* An event that a thread is in the middle of. value: a bit for each copy that ran. Inserted: the first of them. Deleted: the last copy. */
struct claim {
	__u64 who;    /* pid_tgid: of a packet's event that of whom it interrupted, but its object is another */
	__u64 object; /* the socket, task or request it is about */
	__u32 hook;
	__u32 stamp; /* what tells it from the one before, where there is such a thing: a sequence number, a state */
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct claim);
	__type(value, __u32);
} claims __weak SEC(".maps");

/*
 * Is this event this copy's to tell? Where the last copy was skipped the entry stays; a copy that finds its own bit in it knows
 * that this is another event, as does the first copy, for nobody comes before it.
 */
static __always_inline bool claim_copy(__u32 hook, const void *object, __u32 stamp)
{
	struct claim key = { .object = (__u64)object, .hook = hook, .stamp = stamp };
	__u32 mine = 1u << knobs.copy, *ran;
	bool first;

	key.who = bpf_get_current_pid_tgid();
	ran = bpf_map_lookup_elem(&claims, &key);
	first = !ran || *ran & mine || !knobs.copy;
	if (knobs.copy == knobs.copies - 1) {
		if (ran)
			bpf_map_delete_elem(&claims, &key);
		return first;
	}
	if (!ran)
		return !bpf_map_update_elem(&claims, &key, &mine, BPF_ANY);
	*ran = first ? mine : *ran | mine;
	return first;
}

/* The arguments are not even looked at where there is one copy: that is the hot path. */
#define CLAIM(hook, object, stamp) (knobs.copies < 2 || claim_copy(hook, object, stamp))

#endif
