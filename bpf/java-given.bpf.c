// SPDX-License-Identifier: GPL-2.0-only
/*
 * What virtual threads of Java's were given to do. That is an object, mostly of a lambda, which holds what it needs: so two that were begun
 * for one request hold the same object, where others hold others (src/contexts/errands.ts).
 *
 *   virtual thread 8   runs a FutureTask  →  a lambda  →  "order 17", a pool
 *   virtual thread 9   runs a FutureTask  →  a lambda  →  "order 17"
 */
#include "emit.h"
#include "java-objects.h"
#include "registers.h"

/* Where and how often objects had been moved when a virtual thread was told of: since then its own may lie elsewhere. */
struct java_told {
	__u64 collecting; /* as in struct java_waits: a process may run another one afterwards */
	__u64 collections;
};

/* key: id of a virtual thread and tgid. Deleted: by age. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct java_told);
} java_given SEC(".maps");

/* The object to which the one at `holder` has a pointer at `field`; 0: to none. A function of its own, of numbers: it is verified once. */
__noinline __u64 java_held(__u32 tgid, __u64 holder, __u32 field)
{
	const struct java_waits *waits = bpf_map_lookup_elem(&java_waits, &tgid);
	const struct java_heap *heap = bpf_map_lookup_elem(&java_heaps, &tgid);
	__u64 held;

	if (!waits || !heap)
		return 0;
	held = pointed_to(waits, holder, field);
	return !(held & 7) && held - heap->from < heap->to - heap->from ? held : 0;
}

/* What is to be done by the virtual thread at `object`, without what only holds that. */
static __always_inline __u64 given_to(const struct java_waits *waits, __u64 object)
{
	__u64 task = task_of(waits, object);

	for (int i = 0; i < JAVA_INNERS && task; i++)
		if (waits->inners[i].class && is_derived(waits, task, waits->inners[i].class, waits->inners[i].slot))
			task = pointed_to(waits, task, waits->inners[i].field);
	return task;
}

/* False: it holds nothing. */
static __always_inline bool fill_given(struct given_payload *given, const struct java_waits *waits, __u32 tgid, __u64 task)
{
	__s32 width = waits->narrow ? 4 : 8, size;
	__u64 any = 0;

	given->class = said_class(waits, task);
	size = (__s32)word_at(waits->classes + (given->class << (waits->unit & 63)) + waits->size_at);
	for (__s32 i = 0; i < GIVEN_OBJECTS; i++) {
		__s32 field = waits->fields_at + i * width;

		given->objects[i] = field + width <= size ? java_held(tgid, task, field) : 0;
		any |= given->objects[i];
	}
	return any != 0;
}

static __always_inline bool tell(__u64 who, __u64 context, const struct given_payload *given)
{
	struct {
		struct sample head;
		struct given_payload payload;
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return false;
	}
	fill_told(&record->head, SAMPLE_GIVEN, sizeof(record->payload), who, context, bpf_ktime_get_ns());
	record->payload = *given;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return true;
}

int tell_given(__u64 who, __u64 context)
{
	__u32 tgid = who >> 32;
	const struct java_waits *waits = bpf_map_lookup_elem(&java_waits, &tgid);
	__u64 key = context << 32 | tgid, object, task;
	struct given_payload given = {};
	struct java_told now = {}, *told;

	if (!waits || are_moved(waits->collecting))
		return 0;
	now.collecting = waits->collecting;
	now.collections = given.collections = (__u32)word_at(waits->collections);
	told = bpf_map_lookup_elem(&java_given, &key);
	if (told && told->collecting == now.collecting && told->collections == now.collections)
		return 0;
	object = mounted_object(waits, context);
	task = object ? given_to(waits, object) : 0;
	if (!task)
		return 0;
	if (fill_given(&given, waits, tgid, task)) {
		if (were_moved(waits->collecting, waits->collections, given.collections) || !tell(who, context, &given))
			return 0;
	}
	bpf_map_update_elem(&java_given, &key, &now, BPF_ANY);
	return 0;
}
