/* SPDX-License-Identifier: MIT */
/* The roads by which bytes enter a socket. */
#define _GNU_SOURCE
#include "mover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t result(ssize_t r)
{
	return r < 0 ? -errno : r;
}

static ssize_t by_send(struct connection *c, const uint8_t *b, size_t n)
{
	return result(send(c->fd, b, n, MSG_NOSIGNAL));
}

static ssize_t by_sendto(struct connection *c, const uint8_t *b, size_t n)
{
	return result(sendto(c->fd, b, n, 0, NULL, 0));
}

static ssize_t by_write(struct connection *c, const uint8_t *b, size_t n)
{
	return result(write(c->fd, b, n));
}

/* Cuts a buffer in at most `most` pieces of uneven sizes, one byte and empty ones among them. */
static int cut(const uint8_t *b, size_t n, struct iovec *pieces, int most)
{
	static const size_t sizes[] = { 1, 0, 46, 0, 3, 1024, 1, 7, 4096, 0, 517, 1 };
	size_t even = n / (most / 2);
	int count = 0;

	for (size_t at = 0; at < n || count == 0;) {
		size_t size = count % 2 ? sizes[count / 2 % 12] : even;

		if (size > n - at || count == most - 1)
			size = n - at;
		pieces[count++] = (struct iovec){ (void *)(b + at), size };
		at += size;
	}
	return count;
}

static ssize_t sendmsg_pieces(struct connection *c, const uint8_t *b, size_t n, int most, int flags)
{
	struct iovec pieces[1024];
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = cut(b, n, pieces, most) };

	return result(sendmsg(c->fd, &message, flags));
}

static ssize_t by_sendmsg(struct connection *c, const uint8_t *b, size_t n)
{
	return sendmsg_pieces(c, b, n, 16, 0);
}

static ssize_t by_sendmsg1024(struct connection *c, const uint8_t *b, size_t n)
{
	return sendmsg_pieces(c, b, n, 1024, 0);
}

static ssize_t by_writev(struct connection *c, const uint8_t *b, size_t n)
{
	struct iovec pieces[16];

	return result(writev(c->fd, pieces, cut(b, n, pieces, 16)));
}

static ssize_t by_writev1024(struct connection *c, const uint8_t *b, size_t n)
{
	struct iovec pieces[1024];

	return result(writev(c->fd, pieces, cut(b, n, pieces, 1024)));
}

static ssize_t by_sendmmsg(struct connection *c, const uint8_t *b, size_t n)
{
	struct iovec pieces[4];
	struct mmsghdr messages[4] = { 0 };
	ssize_t moved = 0;
	int sent;

	for (int i = 0; i < 4; i++) {
		size_t from = n * i / 4, to = n * (i + 1) / 4;

		pieces[i] = (struct iovec){ (void *)(b + from), to - from };
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(c->fd, messages, 4, 0);
	if (sent < 0)
		return -errno;
	/* A short message must be the last: a stream has no holes. */
	for (int i = 0; i < sent; i++) {
		moved += messages[i].msg_len;
		if (messages[i].msg_len < pieces[i].iov_len && i + 1 < sent)
			die("sendmmsg went on after a short message");
	}
	return moved;
}

static ssize_t by_more(struct connection *c, const uint8_t *b, size_t n)
{
	return result(send(c->fd, b, n > 1 ? n / 2 : n, n > 1 ? MSG_MORE : 0));
}

static ssize_t by_cork(struct connection *c, const uint8_t *b, size_t n)
{
	int on = 1, off = 0;
	ssize_t moved = 0;

	if (setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on) < 0)
		return -errno;
	for (size_t at = 0; at < n; at = moved) {
		size_t piece = at == 0 ? 1 : n - at;
		ssize_t r = write(c->fd, b + at, piece);

		if (r < 0) {
			moved = moved ? moved : -errno;
			break;
		}
		moved += r;
		if ((size_t)r < piece)
			break;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
	return moved;
}

/* Appends to the connection's file and says where: bytes in flight are never written over. */
static off_t put_in_file(struct connection *c, const uint8_t *b, size_t n)
{
	off_t at = c->file_at + 777; /* not aligned to anything */

	if (c->file < 0) {
		char name[300];

		snprintf(name, sizeof name, "%s/mover-XXXXXX", work_folder);
		c->file = mkstemp(name);
		if (c->file < 0)
			die("mkstemp");
		unlink(name);
	}
	if (pwrite(c->file, b, n, at) != (ssize_t)n)
		die("pwrite");
	c->file_at = at + n;
	return at;
}

static ssize_t by_sendfile(struct connection *c, const uint8_t *b, size_t n)
{
	off_t at = put_in_file(c, b, n);

	return result(sendfile(c->fd, c->file, &at, n));
}

/* Aligned whole pages first: what a receiver may map instead of copying. */
static ssize_t by_sendfile_aligned(struct connection *c, const uint8_t *b, size_t n)
{
	off_t at;

	c->file_at = ((c->file_at + 777 + 4095) & ~4095L) - 777;
	at = put_in_file(c, b, n);
	return result(sendfile(c->fd, c->file, &at, n));
}

/* A mapping nobody has touched yet: its bytes can't be read without a page fault. */
static ssize_t by_cold_map(struct connection *c, const uint8_t *b, size_t n)
{
	off_t at = put_in_file(c, b, n), page = at & ~4095L;
	size_t size = n + (at - page);
	uint8_t *map = mmap(NULL, size, PROT_READ, MAP_SHARED, c->file, page);
	ssize_t r;

	if (map == MAP_FAILED)
		die("mmap");
	r = result(write(c->fd, map + (at - page), n));
	munmap(map, size);
	return r;
}

static void open_pipe(struct connection *c)
{
	if (c->pipe[0] >= 0)
		return;
	if (pipe(c->pipe) < 0)
		die("pipe");
	fcntl(c->pipe[1], F_SETPIPE_SZ, 1 << 20);
}

/* Pipe to socket until the pipe is empty; what is in the pipe can't be taken back, so this one waits by itself. */
static ssize_t drain_pipe(struct connection *c, size_t held, unsigned flags)
{
	ssize_t moved = 0;

	while (held > 0) {
		ssize_t r = splice(c->pipe[0], NULL, c->fd, NULL, held, flags);

		if (r < 0 && errno == EAGAIN) {
			struct pollfd wait = { .fd = c->fd, .events = POLLOUT };

			poll(&wait, 1, -1);
			continue;
		}
		if (r <= 0)
			return moved ? moved : -errno;
		moved += r;
		held -= r;
	}
	return moved;
}

static ssize_t by_splice(struct connection *c, const uint8_t *b, size_t n)
{
	ssize_t held;

	open_pipe(c);
	held = write(c->pipe[1], b, n < 65536 ? n : 65536);
	return held < 0 ? -errno : drain_pipe(c, held, n > 65536 ? SPLICE_F_MORE : 0);
}

static ssize_t by_vmsplice(struct connection *c, const uint8_t *b, size_t n)
{
	struct iovec piece = { (void *)b, n < 65536 ? n : 65536 };
	ssize_t held;

	open_pipe(c);
	c->keep_buffers = true;
	held = vmsplice(c->pipe[1], &piece, 1, 0);
	return held < 0 ? -errno : drain_pipe(c, held, 0);
}

/* Takes completion notes off the error queue. Each covers a range of sends. */
static void reap_zerocopy(struct connection *c, bool wait)
{
	while (c->zerocopy_pending > 0) {
		char control[256];
		struct msghdr message = { .msg_control = control, .msg_controllen = sizeof control };
		struct cmsghdr *note;

		if (recvmsg(c->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
			struct pollfd error = { .fd = c->fd, .events = 0 };

			if (!wait || poll(&error, 1, 3000) <= 0)
				return;
			continue;
		}
		for (note = CMSG_FIRSTHDR(&message); note; note = CMSG_NXTHDR(&message, note)) {
			struct sock_extended_err *e = (void *)CMSG_DATA(note);

			if (e->ee_origin == SO_EE_ORIGIN_ZEROCOPY)
				c->zerocopy_pending -= e->ee_data - e->ee_info + 1;
		}
	}
}

static ssize_t by_zerocopy(struct connection *c, const uint8_t *b, size_t n)
{
	int on = 1;
	ssize_t r;

	if (setsockopt(c->fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) < 0)
		return -ENOSYS;
	c->keep_buffers = true;
	r = send(c->fd, b, n, MSG_ZEROCOPY);
	if (r < 0 && errno == ENOBUFS) {
		reap_zerocopy(c, true);
		r = send(c->fd, b, n, 0);
		return result(r);
	}
	if (r < 0)
		return -errno;
	c->zerocopy_pending++;
	reap_zerocopy(c, false);
	return r;
}

/* One urgent byte in the middle of each message. */
static ssize_t by_oob(struct connection *c, const uint8_t *b, size_t n)
{
	int flags = c->urgent_due ? MSG_OOB : 0;
	size_t size = c->urgent_due ? 1 : n > 1 ? n / 2 : n;
	ssize_t r = send(c->fd, b, size, flags);

	if (r == (ssize_t)size)
		c->urgent_due = !c->urgent_due && n > 1;
	return result(r);
}

/* The buffer ends at unmapped memory and more is asked: the kernel moves what it can, or -EFAULT. */
static ssize_t by_fault(struct connection *c, const uint8_t *b, size_t n)
{
	size_t size = n < 65536 ? n : 65536, whole = (size + 4095) & ~4095ul;
	uint8_t *map = mmap(NULL, whole + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t r;

	if (map == MAP_FAILED)
		die("mmap");
	munmap(map + whole, 4096);
	memcpy(map + whole - size, b, size);
	r = result(send(c->fd, map + whole - size, size + 3000, 0));
	if (r > (ssize_t)size)
		die("more was sent than there was");
	munmap(map, whole);
	return r == -EFAULT ? by_send(c, b, size) : r;
}

/* io_submit(2): the older asynchronous interface. */
static ssize_t by_aio(struct connection *c, const uint8_t *b, size_t n)
{
	aio_context_t context = 0;
	struct iocb request = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = c->fd,
				.aio_buf = (uintptr_t)b, .aio_nbytes = n };
	struct iocb *list[] = { &request };
	struct io_event done;

	if (syscall(SYS_io_setup, 1, &context) < 0)
		return -ENOSYS;
	if (syscall(SYS_io_submit, context, 1, list) != 1 ||
	    syscall(SYS_io_getevents, context, 1, 1, &done, NULL) != 1)
		done.res = -errno;
	syscall(SYS_io_destroy, context);
	return done.res;
}

#define URING(function, operation, mode)                                                        \
	static ssize_t function(struct connection *c, const uint8_t *b, size_t n)               \
	{                                                                                       \
		return uring_send(c, operation, mode, b, n);                                    \
	}
URING(by_uring_send, "send", URING_PLAIN)
URING(by_uring_sendmsg, "sendmsg", URING_PLAIN)
URING(by_uring_write, "write", URING_PLAIN)
URING(by_uring_writev, "writev", URING_PLAIN)
URING(by_uring_write_fixed, "write-fixed", URING_PLAIN)
URING(by_uring_send_zc, "send-zc", URING_PLAIN)
URING(by_uring_send_zc_fixed, "send-zc-fixed", URING_PLAIN)
URING(by_uring_sendmsg_zc, "sendmsg-zc", URING_PLAIN)
URING(by_uring_send_async, "send", URING_ASYNC)
URING(by_uring_send_sqpoll, "send", URING_SQPOLL)

static const struct {
	const char *name;
	send_road road;
} roads[] = {
	{ "send", by_send },
	{ "sendto", by_sendto },
	{ "sendmsg", by_sendmsg },
	{ "sendmsg1024", by_sendmsg1024 },
	{ "sendmmsg", by_sendmmsg },
	{ "write", by_write },
	{ "writev", by_writev },
	{ "writev1024", by_writev1024 },
	{ "more", by_more },
	{ "cork", by_cork },
	{ "sendfile", by_sendfile },
	{ "sendfile-aligned", by_sendfile_aligned },
	{ "splice", by_splice },
	{ "vmsplice", by_vmsplice },
	{ "zerocopy", by_zerocopy },
	{ "cold-map", by_cold_map },
	{ "fault", by_fault },
	{ "oob", by_oob },
	{ "aio", by_aio },
	{ "uring-send", by_uring_send },
	{ "uring-sendmsg", by_uring_sendmsg },
	{ "uring-write", by_uring_write },
	{ "uring-writev", by_uring_writev },
	{ "uring-write-fixed", by_uring_write_fixed },
	{ "uring-send-zc", by_uring_send_zc },
	{ "uring-send-zc-fixed", by_uring_send_zc_fixed },
	{ "uring-sendmsg-zc", by_uring_sendmsg_zc },
	{ "uring-send-async", by_uring_send_async },
	{ "uring-send-sqpoll", by_uring_send_sqpoll },
};

send_road find_send_road(const char *name)
{
	for (size_t i = 0; i < sizeof roads / sizeof *roads; i++)
		if (!strcmp(roads[i].name, name))
			return roads[i].road;
	return NULL;
}

void finish_roads(struct connection *c)
{
	reap_zerocopy(c, true);
	uring_close(c->ring_in);
	uring_close(c->ring_out);
	c->ring_in = c->ring_out = NULL;
	while (c->kept) {
		struct kept *next = c->kept->next;

		munmap(c->kept->at, c->kept->size);
		free(c->kept);
		c->kept = next;
	}
	if (c->zerocopy_map) /* it holds the socket */
		munmap(c->zerocopy_map, ZEROCOPY_ROOM);
	if (c->file >= 0)
		close(c->file);
	if (c->pipe[0] >= 0) {
		close(c->pipe[0]);
		close(c->pipe[1]);
	}
	c->zerocopy_map = NULL;
	c->file = c->pipe[0] = c->pipe[1] = -1;
}
