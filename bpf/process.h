/* SPDX-License-Identifier: GPL-2.0-only */
/* What happens to a process, to the ring; and a process becomes a chosen one. */
#ifndef KOALA_PROCESS_H
#define KOALA_PROCESS_H

#include "emit.h"
#include "filter.h"

/* Of signal->flags (include/linux/sched/signal.h). */
#define SIGNAL_GROUP_EXIT 4

/* Its threads are made to end: by exit_group or a signal, or because one of them runs another program and waits for the rest (de_thread of fs/exec.c). */
static __always_inline bool ends_threads(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);

	return BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT || BPF_CORE_READ(signal, notify_count);
}

static __always_inline void emit_process(__u8 what, struct task_struct *task, struct task_struct *child,
					 const char *filename)
{
	struct {
		struct sample head;
		struct process_payload process;
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return;
	}
	fill_sample(&record->head, SAMPLE_PROCESS, DIRECTION_NONE, 0);
	if (what == PROCESS_SEEN) { /* by whoever chose it: a mover of cgroups */
		record->head.tgid = BPF_CORE_READ(child, tgid);
		record->head.tid = record->head.tgid;
	}
	__builtin_memset(&record->process, 0, sizeof(record->process));
	record->head.captured = sizeof(record->process);
	record->process.what = what;
	record->process.child_tgid = BPF_CORE_READ(child, tgid);
	record->process.child_tid = BPF_CORE_READ(child, pid);
	record->process.parent_tgid = BPF_CORE_READ(child, real_parent, tgid);
	if (what == PROCESS_THREAD_EXIT)
		record->process.with_process = ends_threads(task);
	if (what == PROCESS_EXIT)
		record->process.exit_code = BPF_CORE_READ(task, group_leader, exit_code);
	if (what == PROCESS_EXIT && !record->process.exit_code)
		record->process.exit_code = BPF_CORE_READ(task, signal, group_exit_code);
	BPF_CORE_READ_STR_INTO(&record->process.comm, child, comm);
	if (filename)
		bpf_probe_read_kernel_str(record->process.path, sizeof(record->process.path), filename);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/*
 * A process becomes a chosen one in the midst of its life: user space hears of it, and looks for what is older than this
 * moment (its listeners, connections, children).
 */
static __always_inline void choose(struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);

	if (knobs.watch_all || is_watched(tgid) || tgid == knobs.recorder_tgid)
		return;
	watch(tgid);
	emit_process(PROCESS_SEEN, task, task, 0);
}

#endif
