/* SPDX-License-Identifier: GPL-2.0-only */
/* The system call that the current thread is in, for hooks that are told too little: its number, arguments and files. */
#ifndef KOALA_SYSCALL_H
#define KOALA_SYSCALL_H

#include "maps.h"
#include "registers.h"

/* The current thread: plain loads instead of calls. `who` is what bpf_get_current_pid_tgid returns. */
static __always_inline __u64 who_is(const struct task_struct *task)
{
	return (__u64)task->tgid << 32 | (__u32)task->pid;
}

static __always_inline const struct pt_regs *registers_of(struct task_struct *task)
{
	return (void *)bpf_task_pt_regs(task);
}

/* The struct file that descriptor `fd` of the current process stands for; 0: none. */
static __always_inline __u64 file_at(const struct task_struct *task, unsigned long fd)
{
	const struct fdtable *table = task->files->fdt;
	__u64 there = 0;

	if (fd >= table->max_fds || bpf_probe_read_kernel(&there, sizeof(there), table->fd + fd))
		return 0;
	return there;
}

#endif
