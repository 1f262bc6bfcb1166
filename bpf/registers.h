/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each architecture calls what: the registers of a system call and of Go's calls, numbers of system calls, where the goroutine
 * stands. Names of fields, for loads and for BPF_CORE_READ alike.
 */
#ifndef KOALA_REGISTERS_H
#define KOALA_REGISTERS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#if defined(__TARGET_ARCH_x86)

#define CALL_NUMBER orig_ax
#define CALL_FIRST di
#define CALL_SECOND si
#define CALL_THIRD dx
#define CALL_FOURTH r10
#define CALL_FIFTH r8
#define CALL_MODE cs

/* Go ≥1.17, ABIInternal */
#define GO_FIRST ax
#define GO_SECOND bx
#define GO_FOURTH di
#define GO_RESULT ax
#define GO_G r14

/* asm/unistd_64.h */
#define NR_READ 0
#define NR_WRITE 1
#define NR_PWRITE64 18
#define NR_READV 19
#define NR_WRITEV 20
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_SENDMSG 46
#define NR_RECVMSG 47
#define NR_FUTEX 202
#define NR_SPLICE 275
#define NR_PWRITEV 296
#define NR_RECVMMSG 299
#define NR_SENDMMSG 307
#define NR_PREADV2 327
#define NR_PWRITEV2 328

#define USER_CS_64 0x33

/* Of a process of 64 bits? The selector's low half: the rest of it is flags of its own where FRED is (6.9). */
static __always_inline bool is_64_bit(unsigned long mode)
{
	return (__u16)mode == USER_CS_64;
}

/* pthread_self() of the current thread, by the kernel's copy: true unless it sets its fsbase by instruction, which nobody's threads do. */
static __always_inline __u64 thread_pointer(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread.fsbase);
}

#elif defined(__TARGET_ARCH_arm64)

#define CALL_NUMBER syscallno
#define CALL_FIRST orig_x0
#define CALL_SECOND regs[1]
#define CALL_THIRD regs[2]
#define CALL_FOURTH regs[3]
#define CALL_FIFTH regs[4]
#define CALL_MODE pstate

/* Go ≥1.18, ABIInternal */
#define GO_FIRST regs[0]
#define GO_SECOND regs[1]
#define GO_FOURTH regs[3]
#define GO_RESULT regs[0]
#define GO_G regs[28]

/* asm-generic/unistd.h */
#define NR_READ 63
#define NR_WRITE 64
#define NR_READV 65
#define NR_WRITEV 66
#define NR_PWRITE64 68
#define NR_PWRITEV 70
#define NR_SPLICE 76
#define NR_FUTEX 98
#define NR_SENDTO 206
#define NR_RECVFROM 207
#define NR_SENDMSG 211
#define NR_RECVMSG 212
#define NR_RECVMMSG 243
#define NR_SENDMMSG 269
#define NR_PREADV2 286
#define NR_PWRITEV2 287

#define PSR_MODE 0x1f /* asm/ptrace.h: 0 is user mode, 0x10 that of 32 bits */

static __always_inline bool is_64_bit(unsigned long mode)
{
	return (mode & PSR_MODE) == 0;
}

/* In a register, of which the kernel has no copy while the thread runs. */
static __always_inline __u64 thread_pointer(void)
{
	return 0;
}

#else
#error "no registers are known of this architecture"
#endif

#define NR_IO_URING_ENTER 426 /* everywhere */

#define THREAD_SIZE 16384 /* asked before 5.15 only, where a kernel without KASAN and with pages of 4 KiB has no other */

/* Of a thread that is in the kernel: the registers that its process had when it came there. TASK_BTF: asked only where it can be had (5.11). */
#define CALL_REGISTERS(TASK_BTF, TASK)                                         \
	(bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs) ? \
		 (const struct pt_regs *)bpf_task_pt_regs(TASK_BTF) :          \
		 (const struct pt_regs *)(BPF_CORE_READ((struct task_struct *)(TASK), stack) + THREAD_SIZE - bpf_core_type_size(struct pt_regs)))

#endif
