/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel skips a program of a trampoline or a tracepoint while another run of the same program is under way on that
 * CPU (bpf_prog.active): one that was preempted, where trampolines and (since 7.0) tracepoints may be, or one that a packet's
 * softirq interrupted. What would be skipped is a call or a change of state that nobody reports again. So a program holds the
 * CPU while it runs, where the kernel lets it: both functions below, and the calling of global functions meanwhile, are
 * there since 6.15 (e2d8f560d176 "bpf: Summarize sleepable global subprogs", which brought might_sleep). Kprobes always do.
 */
#ifndef KOALA_HELD_H
#define KOALA_HELD_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * Wanted: __ksym in every object. libbpf 1.1's linker refuses the second one that says it of a function ("failed to resolve
 * size of underlying type"); so one object says it, the others merely use the name.
 */
#ifdef KOALA_NAMES_KFUNCS
#define KFUNC __weak __ksym
#else
#define KFUNC __weak
#endif

extern void bpf_preempt_disable(void) KFUNC;
extern void bpf_preempt_enable(void) KFUNC;
extern void bpf_local_irq_save(unsigned long *flags) KFUNC;
extern void bpf_local_irq_restore(unsigned long *flags) KFUNC;

struct bpf_subprog_info___held {
	bool might_sleep;
} __attribute__((preserve_access_index));

#define MAY_HOLD bpf_core_field_exists(struct bpf_subprog_info___held, might_sleep)

/* Runs `what` with preemption off. */
#define HELD(what)                             \
	{                                      \
		if (MAY_HOLD)                  \
			bpf_preempt_disable(); \
		what;                          \
		if (MAY_HOLD)                  \
			bpf_preempt_enable();  \
	}

/* Runs `what` with interrupts off: for programs that softirqs run as well. */
#define HELD_FROM_INTERRUPTS(what)                       \
	{                                                \
		unsigned long held;                      \
                                                         \
		if (MAY_HOLD)                            \
			bpf_local_irq_save(&held);       \
		what;                                    \
		if (MAY_HOLD)                            \
			bpf_local_irq_restore(&held);    \
	}

#endif
