// SPDX-License-Identifier: GPL-2.0-only
/* Processes and threads: who is born of whom, who becomes what, who ends; and the filters that follow a service. */
#include "claim.h"
#include "path.h"
#include "process.h"
#include "program.h"
#include <bpf/bpf_tracing.h>

#define MAX_CGROUP_DEPTH 16

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

/* The two paths of an executable: as it was called, and where it lies. What follows a path is NUL. */
#define FILTER_END 256
struct exe_paths_text {
	__u32 called_length;
	__u32 at; /* it lies at bytes[at..PATH_END); PATH_END: longer or deeper than what is told */
	char called[FILTER_END];
	__u8 bytes[2 * PATH_END];
};

/* key: 0. Written and read: exec. Kept in a map, and compared in a function of its own, or the verifier follows every length. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exe_paths_text);
} exe_text SEC(".maps");

/* Is one of the paths in exe_text the one of this filter? 1: yes. */
__noinline int is_chosen_path(__u32 index)
{
	const struct path_filter *filter = bpf_map_lookup_elem(&exe_paths, &index);
	__u32 zero = 0;
	const struct exe_paths_text *text = bpf_map_lookup_elem(&exe_text, &zero);
	__u32 called, lies; /* 0: the same. Gathered without a branch, or the verifier follows each way a byte may differ */

	if (!filter || !text || !filter->length)
		return 0;
	called = text->called_length ^ filter->length;
	lies = (PATH_END - text->at) ^ filter->length;
	for (__u32 i = 0; i < FILTER_END; i++) {
		if (i >= filter->length)
			break;
		called |= text->called[i] ^ filter->path[i];
		lies |= (char)text->bytes[(text->at + i) & (2 * PATH_END - 1)] ^ filter->path[i];
	}
	return !called || !lies;
}

/* By its inode, by the path it was called with, or, replaced and called by another name, by the path where it lies. */
static __always_inline bool is_chosen_exe(struct task_struct *task, const char *filename)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	__u64 inode = BPF_CORE_READ(file, f_inode, i_ino);
	__u32 device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	__u32 zero = 0;
	struct exe_paths_text *text = bpf_map_lookup_elem(&exe_text, &zero);
	long length;

	if (!text)
		return false;
	if (!write_path(text->bytes, &text->at, file))
		text->at = PATH_END;
	length = bpf_probe_read_kernel_str(text->called, sizeof(text->called), filename);
	text->called_length = length > 0 ? length - 1 : 0;
	for (__u32 i = 0; i < 8; i++) {
		__u32 key = i;
		const struct path_filter *filter = bpf_map_lookup_elem(&exe_paths, &key);

		if (!filter || !filter->length)
			continue;
		if (filter->inode == inode && filter->device == device)
			return true;
		if (is_chosen_path(i))
			return true;
	}
	return false;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = BPF_CORE_READ(parent, tgid), tgid = BPF_CORE_READ(child, tgid);

	if (!CLAIM(HOOK_FORK, child, tgid))
		return 0;
	if (parent_tgid == tgid) {
		if (is_watched(tgid))
			emit_process(PROCESS_THREAD, parent, child, 0);
		return 0;
	}
	if (is_watched(parent_tgid) ||
	    (knobs.watch_cgroups && in_chosen_cgroup(BPF_CORE_READ(child, cgroups, dfl_cgrp)))) {
		emit_process(PROCESS_FORK, parent, child, 0);
		if (is_watched(parent_tgid))
			watch(tgid);
		else
			choose(child); /* born into a chosen cgroup */
	}
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	const char *filename = BPF_CORE_READ(bprm, filename);
	__u64 former = (__u64)tgid << 32 | (__u32)old_pid;

	if (!CLAIM(HOOK_EXEC, task, 0))
		return 0;
	forget_program(tgid);
	/* A thread that execs takes its process' id over: what was kept under its own is nobody's. */
	if (old_pid != tgid) {
		drop_thread(former);
	}
	if (knobs.watch_exe && is_chosen_exe(task, filename))
		choose(task);
	if (knobs.watch_cgroups && in_chosen_cgroup(BPF_CORE_READ(task, cgroups, dfl_cgrp)))
		choose(task);
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

	/* First: of two threads that end at once, the first to come here ends the process for the filters. */
	drop_thread(who);
	if (!is_watched(tgid) || !CLAIM(HOOK_EXIT, task, 0))
		return 0;
	signal = (void *)BPF_CORE_READ(task, signal);
	if (BPF_CORE_READ(signal, live.counter) > 0) {
		emit_process(PROCESS_THREAD_EXIT, task, task, 0);
		return 0;
	}
	emit_process(PROCESS_EXIT, task, task, 0);
	forget_program(tgid);
	unwatch(tgid);
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
		choose(task);
	return 0;
}
