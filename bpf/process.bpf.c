// SPDX-License-Identifier: GPL-2.0-only
/* Processes and threads: who is born of whom, who becomes what, who ends; and the filters that follow a service. */
#include "emit.h"
#include "filter.h"
#include <bpf/bpf_tracing.h>

#define MAX_CGROUP_DEPTH 16

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
	__builtin_memset(&record->process, 0, sizeof(record->process));
	record->head.captured = sizeof(record->process);
	record->process.what = what;
	record->process.child_tgid = BPF_CORE_READ(child, tgid);
	record->process.child_tid = BPF_CORE_READ(child, pid);
	record->process.parent_tgid = BPF_CORE_READ(child, real_parent, tgid);
	if (what == PROCESS_EXIT)
		record->process.exit_code = BPF_CORE_READ(task, group_leader, exit_code);
	if (what == PROCESS_EXIT && !record->process.exit_code)
		record->process.exit_code = BPF_CORE_READ(task, signal, group_exit_code);
	BPF_CORE_READ_STR_INTO(&record->process.comm, child, comm);
	if (filename)
		bpf_probe_read_kernel_str(record->process.path, sizeof(record->process.path), filename);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* Is a cgroup, or one above it, a chosen one? */
static __always_inline bool in_chosen_cgroup(struct cgroup *cgroup)
{
	struct kernfs_node *node = BPF_CORE_READ(cgroup, kn);

	for (int i = 0; i < MAX_CGROUP_DEPTH && node; i++) {
		__u64 id = BPF_CORE_READ(node, id);

		if (bpf_map_lookup_elem(&cgroups, &id))
			return true;
		if (bpf_core_field_exists(struct kernfs_node, __parent)) {
			node = BPF_CORE_READ(node, __parent);
		} else {
			const struct kernfs_node___parent *old = (const void *)node;

			node = BPF_CORE_READ(old, parent);
		}
	}
	return false;
}

static __always_inline bool same_path(const char *text, const struct path_filter *filter)
{
	char path[256] = {};
	long length = bpf_probe_read_kernel_str(path, sizeof(path), text);

	if (filter->length == 0 || length - 1 != filter->length)
		return false;
	for (int i = 0; i < 256; i++) {
		if (i >= filter->length)
			break;
		if (path[i] != filter->path[i])
			return false;
	}
	return true;
}

static __always_inline bool is_chosen_exe(struct task_struct *task, const char *filename)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	__u64 inode = BPF_CORE_READ(file, f_inode, i_ino);
	__u32 device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);

	for (__u32 i = 0; i < 8; i++) {
		__u32 key = i;
		const struct path_filter *filter = bpf_map_lookup_elem(&exe_paths, &key);

		if (!filter || !filter->length)
			continue;
		if (filter->inode == inode && filter->device == device)
			return true;
		if (same_path(filename, filter))
			return true;
	}
	return false;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = BPF_CORE_READ(parent, tgid), tgid = BPF_CORE_READ(child, tgid);

	if (parent_tgid == tgid) {
		if (is_watched(tgid))
			emit_process(PROCESS_THREAD, parent, child, 0);
		return 0;
	}
	if (is_watched(parent_tgid) ||
	    (knobs.watch_cgroups && in_chosen_cgroup(BPF_CORE_READ(child, cgroups, dfl_cgrp)))) {
		if (!knobs.watch_all)
			watch(tgid);
		emit_process(PROCESS_FORK, parent, child, 0);
	}
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	const char *filename = BPF_CORE_READ(bprm, filename);

	if (knobs.watch_exe && is_chosen_exe(task, filename))
		watch(tgid);
	if (knobs.watch_cgroups && in_chosen_cgroup(BPF_CORE_READ(task, cgroups, dfl_cgrp)))
		watch(tgid);
	if (is_watched(tgid))
		emit_process(PROCESS_EXEC, task, task, filename);
	return 0;
}

struct atomic {
	int counter;
} __attribute__((preserve_access_index));

struct signal_struct___live {
	struct atomic live;
} __attribute__((preserve_access_index));

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	__u64 who = bpf_get_current_pid_tgid();
	struct signal_struct___live *signal;

	if (!is_watched(tgid))
		return 0;
	bpf_map_delete_elem(&sends, &who);
	bpf_map_delete_elem(&receives, &who);
	signal = (void *)BPF_CORE_READ(task, signal);
	if (BPF_CORE_READ(signal, live.counter) > 0) {
		emit_process(PROCESS_THREAD_EXIT, task, task, 0);
		return 0;
	}
	emit_process(PROCESS_EXIT, task, task, 0);
	bpf_map_delete_elem(&watched, &tgid);
	return 0;
}

/* A unit that restarts gets a new cgroup of the same path: choose it before anything runs in it. */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup *cgroup, const char *path)
{
	__u64 id = BPF_CORE_READ(cgroup, kn, id);
	__u32 one = 1;

	if (!knobs.watch_cgroups)
		return 0;
	for (__u32 i = 0; i < 8; i++) {
		__u32 key = i;
		const struct path_filter *filter = bpf_map_lookup_elem(&cgroup_paths, &key);

		if (filter && filter->length && same_path(path, filter))
			bpf_map_update_elem(&cgroups, &id, &one, BPF_ANY);
	}
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(cgroup_joined, struct cgroup *cgroup, const char *path, struct task_struct *task)
{
	if (knobs.watch_cgroups && in_chosen_cgroup(cgroup))
		watch(BPF_CORE_READ(task, tgid));
	return 0;
}
