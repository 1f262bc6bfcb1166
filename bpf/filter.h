/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is watched. */
#ifndef KOALA_FILTER_H
#define KOALA_FILTER_H

#include "emit.h"

static __always_inline bool is_watched(__u32 tgid)
{
	__u32 slot = tgid & 0xffff, *known;

	if (tgid == knobs.recorder_tgid || tgid == 0)
		return false;
	if (knobs.watch_all)
		return true;
	known = bpf_map_lookup_elem(&watched_slots, &slot);
	if (!known || !*known)
		return false;
	return *known == tgid || bpf_map_lookup_elem(&watched, &tgid) != 0;
}

static __always_inline void set_slot(__u32 tgid, __u32 value)
{
	__u32 slot = tgid & 0xffff, *known = bpf_map_lookup_elem(&watched_slots, &slot);

	if (known)
		*known = value;
}

static __always_inline void watch(__u32 tgid)
{
	__u32 one = 1;

	if (tgid == knobs.recorder_tgid || knobs.watch_all)
		return;
	if (bpf_map_update_elem(&watched, &tgid, &one, BPF_ANY))
		count_loss(CAUSE_MAP_FULL, 1, 0);
	set_slot(tgid, tgid);
}

static __always_inline void unwatch(__u32 tgid)
{
	bpf_map_delete_elem(&watched, &tgid);
	set_slot(tgid, SLOT_SHARED);
}

#endif
