// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process does on a signal: /proc tells that it catches one, not by which function nor how it was asked for. Runs when
 * user space reads the iterator, which happens only where somebody is about to be sent that signal.
 */
#include "maps.h"
#include <bpf/bpf_tracing.h>

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

struct sigaction___asked {
	void *sa_handler;
	unsigned long sa_flags;
} __attribute__((preserve_access_index));

struct k_sigaction___asked {
	struct sigaction___asked sa;
} __attribute__((preserve_access_index));

struct sighand_struct___asked {
	struct k_sigaction___asked action[64];
} __attribute__((preserve_access_index));

struct task_struct___sighand {
	struct sighand_struct___asked *sighand;
} __attribute__((preserve_access_index));

SEC("iter/task")
int signal_actions(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct sighand_struct___asked *sighand;
	struct k_sigaction___asked *action;
	struct signal_action *asked;
	__u32 zero = 0, index;

	asked = bpf_map_lookup_elem(&signal_asked, &zero);
	if (!task || !asked || BPF_CORE_READ(task, pid) != asked->tgid)
		return 0;
	index = asked->signal - 1;
	if (index > 63)
		return 0;
	sighand = BPF_CORE_READ((struct task_struct___sighand *)task, sighand);
	/* Wanted: &sighand->action[index]. CO-RE relocates a constant index only, so step by the size of an element. */
	action = (void *)sighand + bpf_core_field_offset(struct sighand_struct___asked, action) +
		 index * bpf_core_type_size(struct k_sigaction___asked);
	asked->handler = (__u64)BPF_CORE_READ(action, sa.sa_handler);
	asked->flags = BPF_CORE_READ(action, sa.sa_flags);
	asked->found = sighand != 0;
	return 0;
}
