// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which virtual thread of Java's began which. None says who has made it. But who gives a task to a virtual thread of its own mostly waits
 * for its result, or for the thread's end, and stands in a list of those who do; and what a StructuredTaskScope has begun belongs to its
 * owner. So that is looked for whenever the thread reads or writes, until it is found.
 *
 *   virtual thread 7   begins 8   waits for the task's result
 *   virtual thread 8              call   (its task: waited for by 7)
 */
#include "emit.h"
#include "java.h"
#include "registers.h"

/* Those of which it is known. key: id and tgid. value: where the JVM says that objects are moved, for a process may run another one afterwards. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} java_waited SEC(".maps");

/* The object to which `object` has a pointer at `field`; 0: to none. */
static __always_inline __u64 pointed_to(const struct java_waits *waits, __u64 object, __u32 field)
{
	__u64 pointer = word_at(object + field);

	if (!waits->narrow)
		return pointer;
	pointer = (__u32)pointer;
	return pointer ? waits->oops + (pointer << (waits->oop_shift & 63)) : 0;
}

static __always_inline __u64 said_class(const struct java_waits *waits, __u64 object)
{
	return word_at(object + waits->class_at) >> (waits->class_shift & 63) & waits->class_mask;
}

static __always_inline bool is_derived(const struct java_waits *waits, __u64 object, __u64 class, __u32 slot)
{
	return word_at(waits->classes + (said_class(waits, object) << (waits->unit & 63)) + slot) == class;
}

/* A function of its own, of numbers: it is verified once, and not for each path. */
__u64 java_path_end(__u32 tgid, __u64 object, __u32 index)
{
	const struct java_waits *waits = bpf_map_lookup_elem(&java_waits, &tgid);
	const struct java_path *path;
	__u64 last = 0;

	if (!waits || index >= JAVA_PATHS)
		return 0;
	path = &waits->paths[index];
	if (!path->fields[0] || (path->class && !is_derived(waits, object, path->class, path->slot)))
		return 0;
	for (int i = 0; i < JAVA_FIELDS && path->fields[i] && object; i++) {
		last = object;
		object = pointed_to(waits, object, path->fields[i]);
	}
	return path->next && pointed_to(waits, last, path->next) ? 0 : object;
}

static __always_inline __u64 task_of(const struct java_waits *waits, __u64 object)
{
	for (int i = 0; i < 3 && object; i++)
		object = pointed_to(waits, object, waits->task[i]);
	if (object && waits->wrapper && is_derived(waits, object, waits->wrapper, waits->wrapper_slot))
		return pointed_to(waits, object, waits->wrapped);
	return object;
}

/* The id of the virtual thread that waits for the one at `object`; 0: none is known. */
static __always_inline __u64 waiter_of(const struct java_waits *waits, __u32 tgid, __u64 object)
{
	__u64 task = task_of(waits, object), waiter = 0;

	for (__u32 i = 0; i < JAVA_PATHS && !waiter; i++)
		waiter = java_path_end(tgid, waits->paths[i].of_task ? task : object, i);
	return waiter && waiter != object && said_class(waits, waiter) == waits->class ? word_at(waiter + waits->id) : 0;
}

int tell_waiter(__u64 who, __u64 context)
{
	__u32 tgid = who >> 32, collections;
	const struct java_waits *waits = bpf_map_lookup_elem(&java_waits, &tgid);
	__u64 key = context << 32 | tgid, object, waiter, *known;

	if (!waits)
		return 0;
	known = bpf_map_lookup_elem(&java_waited, &key);
	if (known && *known == waits->collecting)
		return 0;
	collections = (__u32)word_at(waits->collections);
	if (are_moved(waits->collecting))
		return 0;
	object = java_thread(waits->thread, waits->os_thread, waits->self);
	object = object ? word_at(word_at(object + waits->mounted)) : 0;
	if (!object || said_class(waits, object) != waits->class || word_at(object + waits->id) + FIRST_VIRTUAL_THREAD != context)
		return 0;
	waiter = waiter_of(waits, tgid, object);
	/* What was read while objects were moved may be of others. */
	if (!waiter || waiter >= VIRTUAL_THREADS || were_moved(waits->collecting, waits->collections, collections))
		return 0;
	if (tell_task(who, context, FIRST_VIRTUAL_THREAD + waiter, false))
		bpf_map_update_elem(&java_waited, &key, &waits->collecting, BPF_ANY);
	return 0;
}
