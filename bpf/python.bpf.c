// SPDX-License-Identifier: GPL-2.0-only
/* Contexts of Python programs: which one the current thread runs in, and which was made in which. */
#include "emit.h"
#include "python.h"
#include "registers.h"
#include <bpf/bpf_tracing.h>

/* Threads of an interpreter that are looked through. */
#define MAX_THREADS 64

/* key: tid. value: where the interpreter keeps the state of that thread; checked at each use. Deleted: by age. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, __u64);
} python_threads SEC(".maps");

/* key: a context, by address and process. value: its number. Deleted: by age; another context may come to lie there. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct go_object);
	__type(value, __u64);
} python_tasks SEC(".maps");

/* The interpreter's state of the current thread; 0: it has none. */
static __always_inline __u64 thread_state(const struct python_program *program, __u32 tid)
{
	__u64 self = thread_pointer(), state, *known = bpf_map_lookup_elem(&python_threads, &tid);

	if (!self)
		return 0;
	if (known && word_at(*known + program->thread_id) == self)
		return *known;
	state = word_at(program->interpreter);
	if (!state)
		return 0;
	state = word_at(state + program->first_thread);
	for (int i = 0; i < MAX_THREADS && state; i++) {
		if (word_at(state + program->thread_id) == self) {
			bpf_map_update_elem(&python_threads, &tid, &state, BPF_ANY);
			return state;
		}
		state = word_at(state + program->next);
	}
	return 0;
}

/* In a context (CPython 3.9 to 3.13), of 32 bits: it was entered, by Context.run. A thread's own is not, and stays for all that the thread does. */
#define CONTEXT_ENTERED 40

/* The number of the context in which the current thread runs, or else of the work item that it is at; 0: there is none. Tells of a context when it is met for the first time. */
static __always_inline __u64 current_task(const struct python_program *program, __u64 who)
{
	struct go_object key = { .tgid = who >> 32 };
	__u64 state = thread_state(program, (__u32)who), *known, number;

	if (!state)
		return 0;
	key.address = word_at(state + program->context);
	/* Also where one that was made lay at that address before. */
	if (!key.address || !(__u32)word_at(key.address + CONTEXT_ENTERED))
		return work_item_of(who);
	known = bpf_map_lookup_elem(&python_tasks, &key);
	if (known)
		return *known;
	if (word_at(key.address + sizeof(__u64)) != program->context_type)
		return work_item_of(who);
	number = met_task();
	if (!tell_task(who, number, 0, false))
		return 0;
	bpf_map_update_elem(&python_tasks, &key, &number, BPF_ANY);
	return number;
}

__u64 python_task_of(__u64 who)
{
	__u32 tgid = who >> 32;
	const struct python_program *program = bpf_map_lookup_elem(&python_programs, &tgid);

	return program ? current_task(program, who) : virtual_thread_of(who);
}

/* A context may have been made at `address`, within the current one. It is told of at once, for what was made in which is known here only. */
static __always_inline int makes(__u64 address)
{
	__u64 who = bpf_get_current_pid_tgid(), number, parent;
	struct go_object key = { .address = address, .tgid = who >> 32 };
	struct python_program *program = bpf_map_lookup_elem(&python_programs, &key.tgid);

	if (!program || word_at(address + sizeof(__u64)) != program->context_type)
		return 0;
	parent = current_task(program, who);
	/* Who gets here holds the interpreter's lock: there is no other at it. */
	number = FIRST_TASK + ++program->tasks;
	if (tell_task(who, number, parent, true))
		bpf_map_update_elem(&python_tasks, &key, &number, BPF_ANY);
	else
		bpf_map_delete_elem(&python_tasks, &key);
	return 0;
}

/* In PyContext_CopyCurrent, where it has what it returns, by the register that this is in (src/kernel/python/made.ts). */
SEC("uprobe")
int python_makes_rax(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return makes(PT_REGS_RC(regs));
}

SEC("uprobe")
int python_makes_rdi(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return makes(PT_REGS_PARM1(regs));
}
