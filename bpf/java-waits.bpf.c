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
#include "java-objects.h"
#include "registers.h"

/* Those of which it is known. key: id and tgid. value: where the JVM says that objects are moved, for a process may run another one afterwards. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} java_waited SEC(".maps");

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
	object = mounted_object(waits, context);
	if (!object)
		return 0;
	waiter = waiter_of(waits, tgid, object);
	/* What was read while objects were moved may be of others. */
	if (!waiter || waiter >= VIRTUAL_THREADS || were_moved(waits->collecting, waits->collections, collections))
		return 0;
	if (tell_task(who, context, FIRST_VIRTUAL_THREAD + waiter, false))
		bpf_map_update_elem(&java_waited, &key, &waits->collecting, BPF_ANY);
	return 0;
}
