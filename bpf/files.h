/* SPDX-License-Identifier: GPL-2.0-only */
/* Which socket a file of the current process is. */
#ifndef KOALA_FILES_H
#define KOALA_FILES_H

#include "maps.h"

struct file_socket {
	__u64 sock;
	__u64 inode; /* another socket may come to lie there */
};

/* The socket that is file `fd` of the current process. */
static __always_inline bool socket_at(struct file_socket *found, __u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct socket *socket;
	struct file *file;

	if (fd >= BPF_CORE_READ(table, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd) || !file)
		return false;
	socket = BPF_CORE_READ(file, private_data);
	if (BPF_CORE_READ(socket, file) != file)
		return false;
	found->sock = (__u64)BPF_CORE_READ(socket, sk);
	found->inode = BPF_CORE_READ(file, f_inode, i_ino);
	return true;
}

#endif
