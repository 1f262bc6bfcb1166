/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What processes append to files: writes to regular files that were opened with O_APPEND; logs, mostly. Each sample names its file
 * by a number, and the file's path is told once, before: it is walked here, for a file that is opened for one line and closed again
 * has no path any more by the time user space could ask.
 */
#ifndef KOALA_APPEND_H
#define KOALA_APPEND_H

#include "filter.h"
#include "path.h"

#define APPEND_MAX 8192 /* kept of one write */
#define O_APPEND 02000
#define S_IFMT 0170000
#define S_IFREG 0100000

/* A file that was told of, by its number. Inserted: its first append; the least used ones make room, and are told of again. */
struct file_key {
	__u64 inode;
	__u32 device;
	__u32 generation; /* inode numbers are used again */
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct file_key);
	__type(value, __u64);
} files __weak SEC(".maps");

/* 0: the ring has no room to tell of it; its next append does. */
static __always_inline __u64 tell_file(const struct file *file, const struct file_key *key)
{
	/* What nobody else is called, and JavaScript can hold. */
	__u64 number = ((__u64)bpf_get_prandom_u32() << 21 ^ bpf_get_prandom_u32()) | 1;
	struct {
		struct sample head;
		struct file_payload file;
	} *record = RESERVE_PAYLOAD(sizeof(*record));

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return 0;
	}
	fill_sample(&record->head, SAMPLE_FILE, DIRECTION_NONE, number);
	record->head.captured = sizeof(record->file);
	record->file.inode = key->inode;
	record->file.device = key->device;
	record->file.pad0 = 0;
	record->file.cut = !write_path(record->file.path, &record->file.from, file);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	bpf_map_update_elem(&files, key, &number, BPF_ANY);
	return number;
}

/* A part of a write, or all of it: `length` bytes at `position`. */
struct part {
	__u64 number; /* of its file */
	__u64 position;
	__u64 length;
	__u64 room; /* bytes that may be kept                            */
	__u64 more; /* 1: another part of the same write comes after it    */
};

/* False: it is no regular file. Where the inode is a tracepoint's argument, plain loads do (append.bpf.c). */
static __always_inline bool identify(struct file_key *key, const struct inode *inode)
{
	key->inode = BPF_CORE_READ(inode, i_ino);
	key->device = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
	return (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG;
}

static __always_inline bool is_appending(const struct file *file)
{
	return file && BPF_CORE_READ(file, f_flags) & O_APPEND;
}

static __always_inline __u64 number_of(const struct file *file, const struct file_key *key)
{
	__u64 *known = bpf_map_lookup_elem(&files, key);

	return known ? *known : tell_file(file, key);
}

static __always_inline void begin_append(struct sample *head, const struct part *part, __u64 who)
{
	fill_sample_of(head, SAMPLE_APPEND, DIRECTION_EGRESS, part->number, who);
	head->position = part->position;
	head->length = part->length;
	head->flags = part->more ? SAMPLE_MORE : 0;
}

static __always_inline void emit_unseen_append(const struct part *part, __u64 who, __u8 cause)
{
	struct sample head;

	begin_append(&head, part, who);
	head.cause = cause;
	emit_bare(&head);
}

/* One contiguous range of the process' memory. Lost bytes are those of connections: what is lost here is an event. */
static __always_inline void emit_append(const struct part *part, __u64 address, __u64 who)
{
	__u32 size = part->length < part->room ? part->length : part->room;
	struct sample head;
	int got;

	if (!size)
		return emit_unseen_append(part, who, CAUSE_NONE);
	begin_append(&head, part, who);
	got = emit_range_once(&head, (void *)address, size);
	if (got == EMIT_FULL) {
		count_loss(CAUSE_RING_FULL, 1, 0);
	} else if (got == EMIT_UNREADABLE) {
		head.cause = CAUSE_UNREADABLE;
		emit_bare(&head);
	}
}

/* Several. What is beyond the room is a sample without bytes. */
static __always_inline void emit_append_pieces(struct part *part, const struct pieces *pieces, __u64 who)
{
	/* The thread is not receiving now. */
	struct call *call = call_of(DIRECTION_INGRESS, who);
	bool beyond = part->length > part->room;

	if (!call) {
		count_loss(CAUSE_MAP_FULL, 1, 0);
		return;
	}
	begin_call(call, 0, 0, part->length);
	begin_append(&call->head, part, who);
	call->pieces = *pieces;
	call->remaining = beyond ? part->room : part->length;
	call->more = beyond || part->more;
	emit_steps(call->place, DIRECTION_INGRESS);
	if (call->remaining && call->failed != CAUSE_UNREADABLE) {
		count_loss(call->failed ?: CAUSE_TOO_MANY_PIECES, 1, 0);
		call->remaining = 0;
	}
	if (!beyond && !call->remaining)
		return;
	part->position += part->length;
	part->length = call->remaining + (beyond ? part->length - part->room : 0);
	part->position -= part->length;
	emit_unseen_append(part, who, call->remaining ? CAUSE_UNREADABLE : CAUSE_NONE);
	call->remaining = 0;
}

/* A write begins, of whatever file: told before it is known how much of it finds room on the disk. */
static __always_inline void enter_append(const struct kiocb *iocb, const struct iov_iter *iter)
{
	__u64 who = bpf_get_current_pid_tgid(), address = 0, left = 0;
	const struct file *file = LOAD(iocb, ki_filp);
	struct part part = { .length = LOAD(iter, count), .room = APPEND_MAX };
	struct pieces pieces = {};
	const struct inode *inode;
	struct file_key key;

	if (!is_watched(who >> 32) || !part.length || !is_appending(file))
		return;
	inode = BPF_CORE_READ(file, f_inode);
	if (!identify(&key, inode))
		return;
	part.number = number_of(file, &key);
	part.position = BPF_CORE_READ(inode, i_size);
	pieces_of_iter(&pieces, &address, &left, iter);
	if (pieces.kind == PIECES_RANGE)
		emit_append(&part, address + pieces.skip, who);
	else if (pieces.kind == PIECES_KERNEL_IOVEC)
		emit_append_pieces(&part, &pieces, who);
	else
		emit_unseen_append(&part, who, CAUSE_NO_BUFFER);
}

#endif
