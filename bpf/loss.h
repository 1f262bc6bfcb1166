/* SPDX-License-Identifier: GPL-2.0-only */
/* What is lost without a connection's position to tell it is counted, by cause. */
#ifndef KOALA_LOSS_H
#define KOALA_LOSS_H

#include "maps.h"

static __always_inline void count_loss(__u32 cause, __u64 events, __u64 bytes)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct cpu_losses *here = bpf_map_lookup_elem(&losses, &cpu);
	struct lost *lost;

	if (!here)
		return;
	lost = &here->of[cause & (CAUSES - 1)];
	/*
	 * Whole additions: a softirq, or on Linux >=7.0 another thread, may count on the same CPU in between. None of 0: clang
	 * makes an atomic OR of it, which 5.10 refuses.
	 */
	if (events)
		__sync_fetch_and_add(&lost->events, events);
	if (bytes)
		__sync_fetch_and_add(&lost->bytes, bytes);
}

#endif
