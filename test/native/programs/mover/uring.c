/* SPDX-License-Identifier: MIT */
/* io_uring by its three system calls: one operation at a time, submitted and waited for. */
#define _GNU_SOURCE
#include "mover.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SHOTS = 32, SHOT_SIZE = 4096, FIXED_SIZE = 1 << 18 };

struct uring {
	int fd;
	enum uring_mode mode;
	unsigned *sq_tail, *sq_mask, *sq_array, *sq_flags, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	void *sq_map, *cq_map;
	size_t sq_size, cq_size, sqes_size;
	uint8_t *fixed; /* the registered buffer, made at first use */
	size_t fixed_at;
	uint8_t *shots; /* buffers the kernel picks from */
	bool armed;
	uint8_t *rest; /* of a shot that was larger than asked */
	size_t rest_size;
	int rest_id;
};

static struct uring *open_ring(enum uring_mode mode)
{
	struct io_uring_params p = { .flags = mode == URING_SQPOLL ? IORING_SETUP_SQPOLL : 0, .sq_thread_idle = 50 };
	struct uring *r;
	int fd = syscall(SYS_io_uring_setup, 2 * SHOTS, &p);

	if (fd < 0)
		return NULL;
	r = calloc(1, sizeof *r);
	r->fd = fd;
	r->mode = mode;
	r->rest_id = -1;
	r->sq_size = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	r->cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	r->sqes_size = p.sq_entries * sizeof(struct io_uring_sqe);
	r->sq_map = mmap(NULL, r->sq_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	r->cq_map = mmap(NULL, r->cq_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (r->sq_map == MAP_FAILED || r->cq_map == MAP_FAILED || (void *)r->sqes == MAP_FAILED)
		die("mmap of a ring");
	r->sq_tail = (void *)((char *)r->sq_map + p.sq_off.tail);
	r->sq_mask = (void *)((char *)r->sq_map + p.sq_off.ring_mask);
	r->sq_flags = (void *)((char *)r->sq_map + p.sq_off.flags);
	r->sq_array = (void *)((char *)r->sq_map + p.sq_off.array);
	r->cq_head = (void *)((char *)r->cq_map + p.cq_off.head);
	r->cq_tail = (void *)((char *)r->cq_map + p.cq_off.tail);
	r->cq_mask = (void *)((char *)r->cq_map + p.cq_off.ring_mask);
	r->cqes = (void *)((char *)r->cq_map + p.cq_off.cqes);
	return r;
}

void uring_close(struct uring *r)
{
	if (!r)
		return;
	munmap(r->sq_map, r->sq_size);
	munmap(r->cq_map, r->cq_size);
	munmap(r->sqes, r->sqes_size);
	close(r->fd);
	if (r->fixed)
		munmap(r->fixed, FIXED_SIZE);
	if (r->shots)
		munmap(r->shots, SHOTS * SHOT_SIZE);
	free(r);
}

static void submit(struct uring *r, const struct io_uring_sqe *sqe)
{
	unsigned tail = *r->sq_tail, slot = tail & *r->sq_mask;
	unsigned flags = 0, now = 1;

	r->sqes[slot] = *sqe;
	if (r->mode == URING_ASYNC)
		r->sqes[slot].flags |= IOSQE_ASYNC;
	r->sq_array[slot] = slot;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_SEQ_CST);
	if (r->mode == URING_SQPOLL) {
		if (!(__atomic_load_n(r->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP))
			return;
		flags = IORING_ENTER_SQ_WAKEUP;
		now = 0;
	}
	while (syscall(SYS_io_uring_enter, r->fd, now, 0, flags, NULL, 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			die("io_uring_enter");
}

struct completion {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

static struct completion next(struct uring *r)
{
	struct io_uring_cqe *at;
	struct completion e;
	unsigned head = *r->cq_head;

	while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == head)
		if (syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
			die("io_uring_enter");
	at = &r->cqes[head & *r->cq_mask];
	e = (struct completion){ at->user_data, at->res, at->flags };
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return e;
}

/* One operation from submission to the last of its completions (zero copy has two). */
static ssize_t run(struct uring *r, const struct io_uring_sqe *sqe)
{
	struct completion e;

	submit(r, sqe);
	e = next(r);
	if (e.flags & IORING_CQE_F_MORE)
		next(r);
	return e.res;
}

static bool register_fixed(struct uring *r)
{
	struct iovec piece = { .iov_len = FIXED_SIZE };

	if (r->fixed)
		return true;
	r->fixed = mmap(NULL, FIXED_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->fixed == MAP_FAILED)
		die("mmap");
	piece.iov_base = r->fixed;
	return syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, &piece, 1) == 0;
}

/* A part of the registered buffer for at most `count` bytes, at an odd address. An operation is over before the next begins. */
static uint8_t *fixed_part(struct uring *r, size_t *count)
{
	size_t quarter = FIXED_SIZE / 4;
	uint8_t *at;

	if (*count > quarter - 3)
		*count = quarter - 3;
	at = r->fixed + r->fixed_at * quarter + 3;
	r->fixed_at = (r->fixed_at + 1) % 4;
	return at;
}

static ssize_t gone_if(ssize_t r, bool optional)
{
	return optional && (r == -EINVAL || r == -EOPNOTSUPP || r == -EPERM) ? -ENOSYS : r;
}

ssize_t uring_send(struct connection *c, const char *operation, enum uring_mode mode, const uint8_t *b, size_t n)
{
	struct iovec pieces[3] = { { (void *)b, n / 3 }, { (void *)(b + n / 3), 0 }, { (void *)(b + n / 3), n - n / 3 } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 3 };
	struct io_uring_sqe q = { .fd = c->fd, .addr = (uintptr_t)b, .len = n, .user_data = 1 };
	bool first = c->out.bytes == 0;

	if (!c->ring_out && !(c->ring_out = open_ring(mode)))
		return -ENOSYS;
	if (strstr(operation, "fixed")) {
		uint8_t *part;

		if (!register_fixed(c->ring_out))
			return -ENOSYS;
		part = fixed_part(c->ring_out, &n);
		memcpy(part, b, n);
		q.addr = (uintptr_t)part;
		q.len = n;
	}
	if (!strcmp(operation, "send")) {
		q.opcode = IORING_OP_SEND;
	} else if (!strcmp(operation, "write")) {
		q.opcode = IORING_OP_WRITE;
	} else if (!strcmp(operation, "write-fixed")) {
		q.opcode = IORING_OP_WRITE_FIXED;
	} else if (!strcmp(operation, "writev")) {
		q.opcode = IORING_OP_WRITEV;
		q.addr = (uintptr_t)pieces;
		q.len = 3;
	} else if (!strcmp(operation, "sendmsg") || !strcmp(operation, "sendmsg-zc")) {
		q.opcode = operation[7] ? IORING_OP_SENDMSG_ZC : IORING_OP_SENDMSG;
		q.addr = (uintptr_t)&message;
		q.len = 1;
	} else if (!strcmp(operation, "send-zc")) {
		q.opcode = IORING_OP_SEND_ZC;
	} else if (!strcmp(operation, "send-zc-fixed")) {
		q.opcode = IORING_OP_SEND_ZC;
		q.ioprio = IORING_RECVSEND_FIXED_BUF;
	} else {
		die(operation);
	}
	return gone_if(run(c->ring_out, &q), first);
}

static ssize_t give_shot(struct uring *r, int id, int count)
{
	struct io_uring_sqe q = { .opcode = IORING_OP_PROVIDE_BUFFERS, .fd = count, .len = SHOT_SIZE, .user_data = 2,
				  .addr = (uintptr_t)(r->shots + id * SHOT_SIZE), .off = id, .buf_group = 7 };

	submit(r, &q);
	return 0;
}

/* One armed receive that completes again and again, each time into a buffer of the kernel's choice. */
static ssize_t multishot(struct connection *c, uint8_t *b, size_t n)
{
	struct uring *r = c->ring_in;

	if (!r->shots) {
		r->shots = mmap(NULL, SHOTS * SHOT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (r->shots == MAP_FAILED)
			die("mmap");
		give_shot(r, 0, SHOTS);
	}
	while (!r->rest) {
		struct completion e;

		if (!r->armed) {
			struct io_uring_sqe q = { .opcode = IORING_OP_RECV, .fd = c->fd, .ioprio = IORING_RECV_MULTISHOT,
						  .flags = IOSQE_BUFFER_SELECT, .buf_group = 7, .user_data = 1 };

			submit(r, &q);
			r->armed = true;
		}
		e = next(r);
		if (e.user_data == 2) {
			if (e.res < 0)
				return -ENOSYS;
			continue;
		}
		if (!(e.flags & IORING_CQE_F_MORE))
			r->armed = false;
		if (e.res == -ENOBUFS)
			continue;
		if (e.res <= 0)
			return gone_if(e.res, c->in.bytes == 0);
		r->rest_id = e.flags >> IORING_CQE_BUFFER_SHIFT;
		r->rest = r->shots + r->rest_id * SHOT_SIZE;
		r->rest_size = e.res;
	}
	if (n > r->rest_size)
		n = r->rest_size;
	memcpy(b, r->rest, n);
	r->rest += n;
	r->rest_size -= n;
	if (r->rest_size == 0) {
		give_shot(r, r->rest_id, 1);
		r->rest = NULL;
	}
	return n;
}

ssize_t uring_receive(struct connection *c, const char *operation, enum uring_mode mode, uint8_t *b, size_t n)
{
	struct iovec pieces[3] = { { b, n / 3 }, { b + n / 3, 0 }, { b + n / 3, n - n / 3 } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 3 };
	struct io_uring_sqe q = { .fd = c->fd, .addr = (uintptr_t)b, .len = n, .user_data = 1 };
	uint8_t *part = NULL;
	ssize_t r;

	if (!c->ring_in && !(c->ring_in = open_ring(mode)))
		return -ENOSYS;
	if (!strcmp(operation, "recv-multishot"))
		return multishot(c, b, n);
	if (!strcmp(operation, "recv")) {
		q.opcode = IORING_OP_RECV;
	} else if (!strcmp(operation, "read")) {
		q.opcode = IORING_OP_READ;
	} else if (!strcmp(operation, "readv")) {
		q.opcode = IORING_OP_READV;
		q.addr = (uintptr_t)pieces;
		q.len = 3;
	} else if (!strcmp(operation, "read-fixed")) {
		if (!register_fixed(c->ring_in))
			return -ENOSYS;
		part = fixed_part(c->ring_in, &n);
		q.opcode = IORING_OP_READ_FIXED;
		q.addr = (uintptr_t)part;
		q.len = n;
	} else if (!strcmp(operation, "recvmsg")) {
		q.opcode = IORING_OP_RECVMSG;
		q.addr = (uintptr_t)&message;
		q.len = 1;
	} else {
		die(operation);
	}
	r = gone_if(run(c->ring_in, &q), c->in.bytes == 0);
	if (part && r > 0)
		memcpy(b, part, r);
	return r;
}
