// SPDX-License-Identifier: GPL-2.0-only
/* Who has queued what uvloop (up to 0.22) is about to write. */
#include "files.h"
#include "libuv.h"
#include "python.h"
#include "registers.h"
#include "socket.h"
#include "uvloop.h"
#include <bpf/bpf_tracing.h>

/* In a UVStream (handles/stream.pxd), whose size user space has compared. */
#define HANDLE 24    /* uv_stream_t *_handle                                     */
#define BUFFERED 304 /* size_t _buffer_size: queued, and not handed to libuv yet */

struct uvloop_queue {
	__u64 task; /* the context that has queued */
	__u64 sent; /* 1: some of it was sent      */
};

/* Inserted: where something is queued. Deleted: by age. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct file_socket);
	__type(value, struct uvloop_queue);
} uvloop_queues SEC(".maps");

/* UVStream.write and .writelines, where they begin: the interpreter's lock is held. */
SEC("uprobe")
int python_queues(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), stream = PT_REGS_PARM1(regs), handle = word_at(stream + HANDLE);
	__u32 type = word_at(handle + TYPE);
	struct uvloop_queue queue = {}, *before;
	struct file_socket key;

	ON_THREADS_STACK(regs);
	if (word_at(handle + DATA) != stream || (type != UV_TCP && type != UV_NAMED_PIPE) || !socket_at(&key, word_at(handle + FD)))
		return 0;
	queue.task = python_task_of(who);
	before = bpf_map_lookup_elem(&uvloop_queues, &key);
	/* Bytes of several leave together: they are nobody's. */
	if ((word_at(stream + BUFFERED) || word_at(handle + UNSENT)) && (!before || before->task != queue.task))
		queue.task = met_task();
	bpf_map_update_elem(&uvloop_queues, &key, &queue, BPF_ANY);
	return 0;
}

__u64 queued_for(__u64 sock, __u64 who, __u64 context)
{
	struct file_socket key = { .sock = sock };
	struct uvloop_queue *queue;
	__u32 tgid = who >> 32;

	if (!bpf_map_lookup_elem(&uvloop_programs, &tgid))
		return context;
	key.inode = inode_of((const struct sock *)sock);
	queue = bpf_map_lookup_elem(&uvloop_queues, &key);
	/* Told once: the rest may be of others, by whom the kernel has not called us where they queued it. */
	if (!queue || queue->sent)
		return context;
	queue->sent = 1;
	return queue->task;
}
