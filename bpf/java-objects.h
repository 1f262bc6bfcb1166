/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects of a JVM that moves them only while all threads are stopped. */
#ifndef KOALA_JAVA_OBJECTS_H
#define KOALA_JAVA_OBJECTS_H

#include "java.h"

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

/* The virtual thread `context`, as an object, where the current thread carries that; 0: it does not, or it can't be read. */
static __always_inline __u64 mounted_object(const struct java_waits *waits, __u64 context)
{
	__u64 thread = java_thread(waits->thread, waits->os_thread, waits->self), object = thread ? word_at(word_at(thread + waits->mounted)) : 0;

	return object && said_class(waits, object) == waits->class && word_at(object + waits->id) + FIRST_VIRTUAL_THREAD == context ? object : 0;
}

/* What the virtual thread at `object` runs. */
static __always_inline __u64 task_of(const struct java_waits *waits, __u64 object)
{
	for (int i = 0; i < 3 && object; i++)
		object = pointed_to(waits, object, waits->task[i]);
	if (object && waits->wrapper && is_derived(waits, object, waits->wrapper, waits->wrapper_slot))
		return pointed_to(waits, object, waits->wrapped);
	return object;
}

#endif
