// SPDX-License-Identifier: GPL-2.0-only
/*
 * Appends where functions can't be hooked (the `tracepoint` backend): the file systems have tracepoints of their own. ext4 tells of
 * each run of bytes that it has taken, by inode; file and buffer are the system call's. XFS tells of a write that begins.
 */
#define KOALA_DIRECT
#include "append.h"
#include "claim.h"
#include "syscall.h"
#include <bpf/bpf_tracing.h>

/*
 * key: pid_tgid. value: a write of which a part was taken. Inserted: a part that is not the last. Deleted: the last part; by age
 * where there is none, for the disk is full.
 */
struct partial_append {
	__u64 buffer; /* as the system call has it */
	__u64 count;
	__u64 position; /* of its next part in the file */
	__u64 done;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct partial_append);
} partial_appends SEC(".maps");

#define MAX_PIECES 64

/* What the iovecs hold together; 0: they are too many to add up. */
static __always_inline __u64 size_of_pieces(__u64 base, __u64 count)
{
	__u64 size = 0;

	if (count > MAX_PIECES)
		return 0;
	for (__u32 i = 0; i < MAX_PIECES; i++) {
		struct iovec_user vec = {};

		if (i >= count || bpf_probe_read_user(&vec, sizeof(vec), (void *)(base + i * sizeof(vec))))
			break;
		size += vec.iov_len;
	}
	return size;
}

/* How much of the write at hand was taken before; notes what is taken now. `total`: its size. */
static __always_inline __u64 take_part(__u64 who, const struct pt_regs *regs, __u64 position, __u64 copied, __u64 total)
{
	struct partial_append now = { .buffer = regs->CALL_SECOND, .count = regs->CALL_THIRD, .position = position + copied, .done = copied };
	struct partial_append *before;

	if (copied >= total)
		return 0;
	before = bpf_map_lookup_elem(&partial_appends, &who);
	if (before && before->position == position && before->buffer == now.buffer && before->count == now.count)
		now.done += before->done;
	if (now.done >= total)
		bpf_map_delete_elem(&partial_appends, &who);
	else
		bpf_map_update_elem(&partial_appends, &who, &now, BPF_ANY);
	return now.done - copied;
}

/* `copied` bytes of a write of the current thread stand at `position` of the file now. */
static __always_inline void appended(const struct inode *inode, __u64 position, __u64 copied)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 who = who_is(task), done, total;
	const struct pt_regs *regs;
	const struct inode *own;
	const struct file *file;
	struct part part = {};
	struct file_key key;
	unsigned long number;
	bool in_pieces;

	if (!is_watched(who >> 32) || !copied || !CLAIM(HOOK_APPENDED, inode, (__u32)position))
		return;
	regs = registers_of(task);
	if (!is_64_bit(regs->CALL_MODE))
		return;
	number = regs->CALL_NUMBER;
	in_pieces = number == NR_WRITEV || number == NR_PWRITEV || number == NR_PWRITEV2;
	if (!in_pieces && number != NR_WRITE && number != NR_PWRITE64)
		return;
	file = (void *)file_at(task, regs->CALL_FIRST);
	if (!is_appending(file))
		return;
	own = BPF_CORE_READ(file, f_inode);
	if (own == inode) {
		if ((inode->i_mode & S_IFMT) != S_IFREG)
			return;
		key.inode = inode->i_ino;
		key.device = inode->i_sb->s_dev;
		key.generation = inode->i_generation;
	} else if (BPF_CORE_READ(own, i_sb) == inode->i_sb || !identify(&key, own)) {
		/* What this thread was made to write meanwhile. Only a stacked file system (overlay) has an inode of its own, on another one. */
		return;
	}
	part.number = number_of(file, &key);
	part.position = position;
	part.length = copied;
	total = in_pieces ? size_of_pieces(regs->CALL_SECOND, regs->CALL_THIRD) : regs->CALL_THIRD;
	if (!total)
		return emit_unseen_append(&part, who, CAUSE_TOO_MANY_PIECES);
	done = take_part(who, regs, position, copied, total);
	part.more = done + copied < total;
	part.room = done < APPEND_MAX ? APPEND_MAX - done : 0;
	if (in_pieces) {
		struct pieces pieces = { .base = regs->CALL_SECOND, .skip = done, .count = regs->CALL_THIRD, .kind = PIECES_USER_IOVEC };

		emit_append_pieces(&part, &pieces, who);
	} else {
		emit_append(&part, regs->CALL_SECOND + done, who);
	}
}

SEC("tp_btf/ext4_da_write_end")
int BPF_PROG(tp_appended_delayed, struct inode *inode, long long position, unsigned int length, unsigned int copied)
{
	appended(inode, position, copied);
	return 0;
}

SEC("tp_btf/ext4_write_end")
int BPF_PROG(tp_appended, struct inode *inode, long long position, unsigned int length, unsigned int copied)
{
	appended(inode, position, copied);
	return 0;
}

SEC("tp_btf/ext4_journalled_write_end")
int BPF_PROG(tp_appended_journalled, struct inode *inode, long long position, unsigned int length, unsigned int copied)
{
	appended(inode, position, copied);
	return 0;
}

SEC("tp_btf/xfs_file_buffered_write")
int BPF_PROG(tp_appends_xfs, struct kiocb *iocb, struct iov_iter *iter)
{
	if (CLAIM(HOOK_APPENDED, iocb, 0))
		enter_append(iocb, iter);
	return 0;
}

#define IORING_OP_WRITE_FIXED 5
#define IORING_OP_WRITE 23
#define IORING_OP_WRITEV 2

/* An append by io_uring, when it is done. Who asked for it is not known: the thread at hand may be at something else by now. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(tp_append_completed, struct io_ring_ctx *ring_context, void *request, struct io_uring_cqe *cqe)
{
	const struct io_kiocb *req = request;
	__u64 who = bpf_get_current_pid_tgid();
	struct part part = { .room = APPEND_MAX };
	const struct file *file;
	struct file_key key;
	__u8 opcode;
	int moved;

	if (!is_watched(who >> 32))
		return 0;
	opcode = BPF_CORE_READ(req, opcode);
	if (opcode != IORING_OP_WRITE && opcode != IORING_OP_WRITEV && opcode != IORING_OP_WRITE_FIXED)
		return 0;
	moved = BPF_CORE_READ(cqe, res);
	file = BPF_CORE_READ(req, file);
	if (moved <= 0 || !is_appending(file) || !CLAIM(HOOK_APPENDED, request, 0) || !identify(&key, BPF_CORE_READ(file, f_inode)))
		return 0;
	part.number = number_of(file, &key);
	part.position = BPF_CORE_READ((const struct io_rw *)request, kiocb.ki_pos) - moved;
	part.length = moved;
	who &= ~0xffffffffULL; /* no thread */
	if (opcode == IORING_OP_WRITEV)
		emit_unseen_append(&part, who, CAUSE_NO_BUFFER);
	else
		emit_append(&part, BPF_CORE_READ((const struct io_rw *)request, addr), who);
	return 0;
}
