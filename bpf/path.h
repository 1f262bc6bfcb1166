/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a file lies. */
#ifndef KOALA_PATH_H
#define KOALA_PATH_H

#include "maps.h"

#define MAX_PATH_DEPTH 32 /* components and mounts */

/*
 * The path as the file's mount namespace has it, links resolved: at bytes[*at..PATH_END). `bytes` has twice that room, for the
 * verifier's sake. False: it is longer or deeper than that, and its beginning is missing. Wanted: bpf_d_path, which only a few
 * hooks may call. `at` must be in memory of which the verifier assumes nothing (a map's, the ring's).
 */
static __always_inline bool write_path(__u8 *bytes, volatile __u32 *at, const struct file *file)
{
	struct vfsmount *shown = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct mount *mount = (void *)shown - bpf_core_field_offset(struct mount, mnt);

	*at = PATH_END;
	for (int i = 0; i < MAX_PATH_DEPTH; i++) {
		__u32 length, to = *at;

		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			struct mount *parent = BPF_CORE_READ(mount, mnt_parent);

			if (parent == mount)
				return true;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = parent;
			continue;
		}
		length = BPF_CORE_READ(dentry, d_name.len);
		if (length > NAME_MAX || length >= to)
			return false;
		to -= length;
		bpf_probe_read_kernel(bytes + (to & (PATH_END - 1)), length & NAME_MAX, BPF_CORE_READ(dentry, d_name.name));
		to--;
		bytes[to & (PATH_END - 1)] = '/';
		*at = to;
		dentry = BPF_CORE_READ(dentry, d_parent);
	}
	return false;
}

#endif
