/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process runs, as far as that tells on whose behalf its threads are at work. */
#ifndef KOALA_PROGRAM_H
#define KOALA_PROGRAM_H

#include "goroutine.h"
#include "java.h"
#include "node.h"
#include "python.h"
#include "uvloop.h"

/* The process runs something else from now on, or nothing any more. */
static __always_inline void forget_program(__u32 tgid)
{
	if (!may_tell_contexts(tgid))
		return;
	bpf_map_delete_elem(&go_programs, &tgid);
	bpf_map_delete_elem(&python_programs, &tgid);
	bpf_map_delete_elem(&uvloop_programs, &tgid);
	bpf_map_delete_elem(&node_programs, &tgid);
	bpf_map_delete_elem(&java_programs, &tgid);
	bpf_map_delete_elem(&java_heaps, &tgid);
	bpf_map_delete_elem(&java_waits, &tgid);
}

#endif
