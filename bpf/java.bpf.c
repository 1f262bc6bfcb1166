// SPDX-License-Identifier: GPL-2.0-only
/* Virtual threads of Java programs: which one the current thread carries. */
#include "emit.h"
#include "java.h"
#include "registers.h"

/*
 * By its object. A thread that waits in the kernel, or has come back and not yet asked, is not stopped while objects are moved; what is
 * read here then may be of another object, which may even be a virtual thread as well. So it holds only where no such time was, neither
 * before nor after.
 */
static __always_inline __u64 id_of_mounted(const struct java_program *program, __u64 thread)
{
	__u32 collections = word_at(program->collections);
	__u64 stale = program->stale ? word_at(program->stale) : 0, object, id;

	if (are_moved(program->collecting))
		return 0;
	object = pointer_at(word_at(thread + program->mounted), stale, program->coloured);
	if (!object || (word_at(object + program->class_at) >> (program->class_shift & 63) & program->class_mask) != program->class)
		return 0;
	id = word_at(object + program->id);
	if (were_moved(program->collecting, program->collections, collections))
		return 0;
	return program->stale && word_at(program->stale) != stale ? 0 : id;
}

/* For a moment, while objects are moved, a thread may seem to carry another where it carries none. The id is its own then, and true. */
static __always_inline bool carries_another(const struct java_program *program, __u64 thread)
{
	return word_at(word_at(thread + program->mounted)) != word_at(word_at(thread + program->own));
}

__u64 virtual_thread_of(__u64 who)
{
	__u32 tgid = who >> 32;
	const struct java_program *program = bpf_map_lookup_elem(&java_programs, &tgid);
	__u64 thread, id;

	thread = program ? java_thread(program->thread, program->os_thread, program->self) : 0;
	if (!thread)
		return 0;
	if (!program->own)
		id = id_of_mounted(program, thread);
	else
		id = carries_another(program, thread) ? word_at(thread + program->id) : 0;
	return id && id < VIRTUAL_THREADS ? FIRST_VIRTUAL_THREAD + id : 0;
}
