/* SPDX-License-Identifier: GPL-2.0-only */
/* The system call that the current thread is in, for hooks that are told too little: its number, arguments and files. x86-64. */
#ifndef KOALA_SYSCALL_H
#define KOALA_SYSCALL_H

#include "maps.h"

#define NR_READ 0
#define NR_WRITE 1
#define NR_PWRITE64 18
#define NR_READV 19
#define NR_WRITEV 20
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_SENDMSG 46
#define NR_RECVMSG 47
#define NR_SPLICE 275
#define NR_PWRITEV 296
#define NR_RECVMMSG 299
#define NR_SENDMMSG 307
#define NR_PREADV2 327
#define NR_PWRITEV2 328
#define NR_IO_URING_ENTER 426

#define USER_CS_64 0x33

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
