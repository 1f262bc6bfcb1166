/* SPDX-License-Identifier: MIT */
/* The roads by which bytes leave a socket. */
#define _GNU_SOURCE
#include "mover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t result(ssize_t r)
{
	return r < 0 ? -errno : r;
}

static ssize_t by_recv(struct connection *c, uint8_t *b, size_t n)
{
	return result(recv(c->fd, b, n, 0));
}

static ssize_t by_recvfrom(struct connection *c, uint8_t *b, size_t n)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof from;

	return result(recvfrom(c->fd, b, n, 0, (struct sockaddr *)&from, &size));
}

static ssize_t by_read(struct connection *c, uint8_t *b, size_t n)
{
	return result(read(c->fd, b, n));
}

static ssize_t by_waitall(struct connection *c, uint8_t *b, size_t n)
{
	return result(recv(c->fd, b, n, MSG_WAITALL));
}

static ssize_t by_dontwait(struct connection *c, uint8_t *b, size_t n)
{
	return result(recv(c->fd, b, n, MSG_DONTWAIT));
}

static int cut(uint8_t *b, size_t n, struct iovec *pieces, int most)
{
	int count = 0;

	for (size_t at = 0; at < n || count == 0;) {
		size_t size = count % 3 == 0 ? 1 : count % 3 == 1 ? 0 : 2 * n / most + 5;

		if (size > n - at || count == most - 1)
			size = n - at;
		pieces[count++] = (struct iovec){ b + at, size };
		at += size;
	}
	return count;
}

static ssize_t recvmsg_pieces(struct connection *c, uint8_t *b, size_t n, int most)
{
	struct iovec pieces[1024];
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = cut(b, n, pieces, most) };

	return result(recvmsg(c->fd, &message, 0));
}

static ssize_t by_recvmsg(struct connection *c, uint8_t *b, size_t n)
{
	return recvmsg_pieces(c, b, n, 16);
}

static ssize_t by_recvmsg1024(struct connection *c, uint8_t *b, size_t n)
{
	return recvmsg_pieces(c, b, n, 1024);
}

static ssize_t by_readv(struct connection *c, uint8_t *b, size_t n)
{
	struct iovec pieces[16];

	return result(readv(c->fd, pieces, cut(b, n, pieces, 16)));
}

/* Two messages a call; the second lands in a buffer of its own and is moved up to follow the first. */
static ssize_t by_recvmmsg(struct connection *c, uint8_t *b, size_t n)
{
	size_t half = n / 2;
	struct iovec pieces[2] = { { b, n - half }, { b + (n - half), half } };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &pieces[0], .msg_iovlen = 1 } },
				       { .msg_hdr = { .msg_iov = &pieces[1], .msg_iovlen = 1 } } };
	int got = recvmmsg(c->fd, messages, half ? 2 : 1, MSG_WAITFORONE, NULL);
	size_t first;

	if (got < 0)
		return -errno;
	first = messages[0].msg_len;
	if (got < 2)
		return first;
	memmove(b + first, b + (n - half), messages[1].msg_len);
	return first + messages[1].msg_len;
}

/* Looks twice, then reads: what was only looked at must not count. */
static ssize_t by_peek(struct connection *c, uint8_t *b, size_t n)
{
	ssize_t looked = recv(c->fd, b, n, MSG_PEEK);

	if (looked < 0)
		return -errno;
	recv(c->fd, b, n, MSG_PEEK);
	memset(b, 0xa5, looked);
	return result(recv(c->fd, b, n, 0));
}

/* The kernel throws the bytes away: consumed, but seen by nobody. */
static ssize_t by_trunc(struct connection *c, uint8_t *b, size_t n)
{
	ssize_t r;

	if (c->in.calls % 2 == 0)
		return by_recv(c, b, n);
	r = recv(c->fd, NULL, n < 5000 ? n : 5000, MSG_TRUNC);
	if (r < 0)
		return -errno;
	c->in.bytes += r;
	c->in.discarded += r;
	c->in.calls++;
	return by_recv(c, b, n - r > 0 ? n - r : 0);
}

static ssize_t by_splice(struct connection *c, uint8_t *b, size_t n)
{
	ssize_t held, got = 0;

	if (c->pipe[0] < 0) {
		if (pipe(c->pipe) < 0)
			die("pipe");
		fcntl(c->pipe[1], F_SETPIPE_SZ, 1 << 20);
	}
	held = splice(c->fd, NULL, c->pipe[1], NULL, n < 65536 ? n : 65536, 0);
	if (held < 0)
		return -errno;
	while (got < held) {
		ssize_t r = read(c->pipe[0], b + got, held - got);

		if (r <= 0)
			die("read of pipe");
		got += r;
	}
	return held;
}

/* Reads plainly, but takes the urgent byte when there is one. */
static ssize_t by_oob(struct connection *c, uint8_t *b, size_t n)
{
	struct pollfd wait = { .fd = c->fd, .events = POLLPRI };

	if (poll(&wait, 1, 0) > 0 && (wait.revents & POLLPRI)) {
		uint8_t urgent;

		recv(c->fd, &urgent, 1, MSG_OOB | MSG_DONTWAIT);
	}
	return by_recv(c, b, n);
}

static ssize_t by_oob_inline(struct connection *c, uint8_t *b, size_t n)
{
	int on = 1;

	setsockopt(c->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
	return by_recv(c, b, n);
}

/* The buffer ends at unmapped memory and more is asked. */
static ssize_t by_fault(struct connection *c, uint8_t *b, size_t n)
{
	size_t size = n < 9000 ? n : 9000, whole = (size + 4095) & ~4095ul;
	uint8_t *map = mmap(NULL, whole + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t r;

	if (map == MAP_FAILED)
		die("mmap");
	munmap(map + whole, 4096);
	r = result(recv(c->fd, map + whole - size, size + 3000, 0));
	if (r > 0)
		memcpy(b, map + whole - size, r);
	munmap(map, whole);
	return r == -EFAULT ? by_recv(c, b, size) : r;
}

static ssize_t by_aio(struct connection *c, uint8_t *b, size_t n)
{
	aio_context_t context = 0;
	struct iocb request = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = c->fd,
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

/* TCP_ZEROCOPY_RECEIVE: whole pages are mapped, the rest is read. */
static ssize_t by_zerocopy(struct connection *c, uint8_t *b, size_t n)
{
	struct tcp_zerocopy_receive ask = { 0 };
	socklen_t size = sizeof ask;
	size_t room = ZEROCOPY_ROOM;

	if (!c->zerocopy_map) {
		c->zerocopy_map = mmap(NULL, room, PROT_READ, MAP_SHARED, c->fd, 0);
		if (c->zerocopy_map == MAP_FAILED) {
			c->zerocopy_map = NULL;
			return -ENOSYS;
		}
	}
	ask.address = (uintptr_t)c->zerocopy_map;
	ask.length = (n < room ? n : room) & ~4095ul;
	if (ask.length == 0)
		return by_recv(c, b, n);
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &ask, &size) < 0) {
		if (errno == EIO) /* the end of the stream */
			return by_recv(c, b, n);
		return errno == EINVAL || errno == ENOPROTOOPT ? -ENOSYS : -errno;
	}
	if (ask.length > 0) {
		memcpy(b, c->zerocopy_map, ask.length);
		madvise(c->zerocopy_map, room, MADV_DONTNEED);
		return ask.length;
	}
	return by_recv(c, b, ask.recv_skip_hint > 0 && ask.recv_skip_hint < n ? ask.recv_skip_hint : n);
}

#define URING(function, operation, mode)                                                        \
	static ssize_t function(struct connection *c, uint8_t *b, size_t n)                     \
	{                                                                                       \
		return uring_receive(c, operation, mode, b, n);                                 \
	}
URING(by_uring_recv, "recv", URING_PLAIN)
URING(by_uring_recvmsg, "recvmsg", URING_PLAIN)
URING(by_uring_read, "read", URING_PLAIN)
URING(by_uring_readv, "readv", URING_PLAIN)
URING(by_uring_read_fixed, "read-fixed", URING_PLAIN)
URING(by_uring_recv_multishot, "recv-multishot", URING_PLAIN)
URING(by_uring_recv_async, "recv", URING_ASYNC)
URING(by_uring_recv_sqpoll, "recv", URING_SQPOLL)

static const struct {
	const char *name;
	receive_road road;
} roads[] = {
	{ "recv", by_recv },
	{ "recvfrom", by_recvfrom },
	{ "recvmsg", by_recvmsg },
	{ "recvmsg1024", by_recvmsg1024 },
	{ "recvmmsg", by_recvmmsg },
	{ "read", by_read },
	{ "readv", by_readv },
	{ "waitall", by_waitall },
	{ "dontwait", by_dontwait },
	{ "peek", by_peek },
	{ "trunc", by_trunc },
	{ "splice", by_splice },
	{ "oob", by_oob },
	{ "oob-inline", by_oob_inline },
	{ "fault", by_fault },
	{ "aio", by_aio },
	{ "zerocopy", by_zerocopy },
	{ "uring-recv", by_uring_recv },
	{ "uring-recvmsg", by_uring_recvmsg },
	{ "uring-read", by_uring_read },
	{ "uring-readv", by_uring_readv },
	{ "uring-read-fixed", by_uring_read_fixed },
	{ "uring-recv-multishot", by_uring_recv_multishot },
	{ "uring-recv-async", by_uring_recv_async },
	{ "uring-recv-sqpoll", by_uring_recv_sqpoll },
};

receive_road find_receive_road(const char *name)
{
	for (size_t i = 0; i < sizeof roads / sizeof *roads; i++)
		if (!strcmp(roads[i].name, name))
			return roads[i].road;
	return NULL;
}
