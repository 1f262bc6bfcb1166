/* SPDX-License-Identifier: MIT */
/*
 * A plan is what one side does on each of its connections, step by step, separated by commas:
 *
 *   send=ROAD:SIZE[/PIECE]     send SIZE bytes; in one call, or in calls of PIECE; "ladder": a call for each size below
 *   recv=ROAD:SIZE[/BUFFER]    receive SIZE bytes ("*": to the end), into buffers of all the sizes below, or of BUFFER
 *   both=ROAD:SIZE:ROAD:SIZE   send and receive at once, a thread each
 *   writers=N:ROAD:SIZE        N threads send messages of all sizes under a lock, SIZE bytes in all
 *   last=ROAD:SIZE             write the book, send in one call and die at once, without close
 *   fin, reset, close, die     shutdown of the sending side; close with RST; close; SIGKILL to itself
 *   dup                        go on with a duplicate of the descriptor
 *   nonblock, sndbuf=N, rcvbuf=N, slow=US (before each receive), sleep=MS
 *   wait                       until a line comes on standard input
 *   repeat=N                   what follows, N times
 */
#define _GNU_SOURCE
#include "mover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const size_t ladder[] = { 1, 46, 1024, 4095, 4096, 4097, 32767, 32769, 65536, 262144 };
enum { RUNGS = sizeof ladder / sizeof *ladder };

static uint64_t size_of(const char *text)
{
	char *end;
	uint64_t n = 0;

	if (!strcmp(text, "ladder")) {
		for (int i = 0; i < RUNGS; i++)
			n += ladder[i];
		return n;
	}
	if (!strcmp(text, "*"))
		return UINT64_MAX;
	n = strtoull(text, &end, 10);
	if (*end == 'K')
		return n << 10;
	if (*end == 'M')
		return n << 20;
	if (*end)
		die(text);
	return n;
}

static void fail(struct half *h, const char *what, int error)
{
	if (error == ENOSYS)
		h->unsupported = true;
	if (!h->failed[0])
		snprintf(h->failed, sizeof h->failed, "%s: %s", what, strerrorname_np(error));
}

static uint8_t *new_buffer(size_t size)
{
	uint8_t *b = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED)
		die("mmap");
	return b;
}

static void drop_buffer(struct connection *c, uint8_t *b, size_t size)
{
	struct kept *kept;

	if (!c->keep_buffers) {
		munmap(b, size ? size : 1);
		return;
	}
	kept = malloc(sizeof *kept);
	*kept = (struct kept){ b, size ? size : 1, c->kept };
	c->kept = kept;
}

static void wait_for(int fd, short events)
{
	struct pollfd wait = { .fd = fd, .events = events };

	poll(&wait, 1, 10000);
}

/* Sends one message, however many calls it takes; counts what the calls say they moved. */
static bool send_message(struct connection *c, send_road road, size_t size)
{
	uint8_t *b = new_buffer(size);
	size_t at = 0;

	stream_fill(c->seed, c->out.bytes, b, size);
	while (at < size) {
		ssize_t r = road(c, b + at, size - at);

		if (r == -EAGAIN || r == -EINTR) {
			wait_for(c->fd, POLLOUT);
			continue;
		}
		if (r <= 0) {
			fail(&c->out, "send", -r);
			break;
		}
		c->out.calls++;
		sha256_add(&c->out.hash, b + at, r);
		c->out.bytes += r;
		at += r;
	}
	drop_buffer(c, b, size);
	return at == size;
}

static send_road send_named(const char *name)
{
	send_road road = find_send_road(name);

	if (!road)
		die(name);
	return road;
}

static bool send_all(struct connection *c, const char *road_name, char *size)
{
	send_road road = send_named(road_name);
	char *cut = strchr(size, '/');
	uint64_t left, piece;

	if (cut)
		*cut++ = 0;
	if (!strcmp(size, "ladder")) {
		for (int i = 0; i < RUNGS; i++)
			if (!send_message(c, road, ladder[i]))
				return false;
		return true;
	}
	left = size_of(size);
	piece = cut ? size_of(cut) : left;
	for (; left > 0; left -= piece) {
		if (piece > left)
			piece = left;
		if (!send_message(c, road, piece))
			return false;
	}
	return true;
}

struct task {
	struct connection *c;
	const char *road;
	char *size;
	unsigned slow_us;
	uint64_t goal;
	int number;
	pthread_t thread;
};

static bool receive_all(struct connection *c, const char *name, char *size, unsigned slow_us)
{
	receive_road road = find_receive_road(name);
	char *cut = strchr(size, '/');
	size_t fixed;
	uint64_t left, start = c->in.bytes;
	int turn = 0;

	if (!road)
		die(name);
	if (cut)
		*cut++ = 0;
	fixed = cut ? size_of(cut) : 0;
	left = size_of(size);
	while (c->in.bytes - start < left) {
		uint64_t due = left - (c->in.bytes - start), before = c->in.bytes;
		size_t room = fixed ? fixed : ladder[turn++ % RUNGS];
		uint8_t *b;
		ssize_t r;

		if (!fixed && strcmp(name, "waitall") == 0 && left != UINT64_MAX && due > 1 << 20)
			room = due;
		if (room > due)
			room = due;
		if (slow_us)
			usleep(slow_us);
		b = new_buffer(room);
		r = road(c, b, room);
		if (r > 0) {
			c->in.calls++;
			sha256_add(&c->in.hash, b, r);
			c->in.bytes += r;
		}
		munmap(b, room);
		if (r == -EAGAIN || r == -EINTR) {
			wait_for(c->fd, POLLIN);
			continue;
		}
		if (r < 0) {
			fail(&c->in, "recv", -r);
			return false;
		}
		if (r == 0 && c->in.bytes == before) {
			if (left != UINT64_MAX)
				fail(&c->in, "recv", ENODATA);
			return left == UINT64_MAX;
		}
	}
	return true;
}

static void *receive_task(void *arg)
{
	struct task *t = arg;

	receive_all(t->c, t->road, t->size, t->slow_us);
	return NULL;
}

static void *writer_task(void *arg)
{
	struct task *t = arg;
	struct connection *c = t->c;
	send_road road = send_named(t->road);
	bool going = true;

	for (int turn = t->number; going; turn += 3) {
		size_t size = ladder[turn % (RUNGS - 1)];

		pthread_mutex_lock(&c->sending);
		if (c->out.bytes + size > t->goal)
			size = t->goal - c->out.bytes;
		going = size > 0 && send_message(c, road, size);
		pthread_mutex_unlock(&c->sending);
	}
	return NULL;
}

static void run_writers(struct connection *c, int count, const char *road, uint64_t size)
{
	struct task tasks[64];
	uint64_t goal = c->out.bytes + size;

	for (int i = 0; i < count && i < 64; i++) {
		tasks[i] = (struct task){ .c = c, .road = road, .goal = goal, .number = i };
		if (pthread_create(&tasks[i].thread, NULL, writer_task, &tasks[i]))
			die("pthread_create");
	}
	for (int i = 0; i < count && i < 64; i++)
		pthread_join(tasks[i].thread, NULL);
}

/* The book says what the last call will do before it does it: after it there is no time. */
static void send_and_die(struct connection *c, const char *road_name, size_t size)
{
	send_road road = send_named(road_name);
	struct half before = c->out;
	uint8_t *b = new_buffer(size);

	stream_fill(c->seed, c->out.bytes, b, size);
	sha256_add(&c->out.hash, b, size);
	c->out.bytes += size;
	write_book(c);
	c->out = before;
	_exit(road(c, b, size) == (ssize_t)size ? 0 : 9);
}

static void reset(struct connection *c)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(c->fd);
	c->fd = -1;
}

/* One step; false ends the plan. */
static bool step(struct connection *c, char *text, unsigned *slow_us)
{
	char *part[5] = { 0 }, *value = strchr(text, '=');
	int parts = 0, number;

	if (value)
		*value++ = 0;
	for (char *at = value; at && parts < 5; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
		part[parts++] = at;
	for (int i = 1; i < parts; i++)
		part[i][-1] = 0;
	number = value ? atoi(value) : 0;

	if (!strcmp(text, "send"))
		return send_all(c, part[0], part[1]);
	if (!strcmp(text, "recv"))
		return receive_all(c, part[0], part[1], *slow_us);
	if (!strcmp(text, "both")) {
		struct task t = { .c = c, .road = part[2], .size = part[3], .slow_us = *slow_us };

		if (pthread_create(&t.thread, NULL, receive_task, &t))
			die("pthread_create");
		send_all(c, part[0], part[1]);
		pthread_join(t.thread, NULL);
		return !c->in.failed[0] && !c->out.failed[0];
	}
	if (!strcmp(text, "writers"))
		run_writers(c, number, part[1], size_of(part[2]));
	else if (!strcmp(text, "last"))
		send_and_die(c, part[0], size_of(part[1]));
	else if (!strcmp(text, "fin"))
		shutdown(c->fd, SHUT_WR);
	else if (!strcmp(text, "reset"))
		reset(c);
	else if (!strcmp(text, "die")) {
		write_book(c);
		kill(getpid(), SIGKILL);
	} else if (!strcmp(text, "dup")) {
		int again = dup(c->fd);

		close(c->fd);
		c->fd = again;
	} else if (!strcmp(text, "nonblock"))
		fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
	else if (!strcmp(text, "sndbuf"))
		setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &number, sizeof number);
	else if (!strcmp(text, "rcvbuf"))
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &number, sizeof number);
	else if (!strcmp(text, "slow"))
		*slow_us = number;
	else if (!strcmp(text, "sleep"))
		usleep(number * 1000);
	else if (!strcmp(text, "wait")) {
		say("{\"waiting\":%d,\"in\":%llu,\"out\":%llu}", c->index, (unsigned long long)c->in.bytes,
		    (unsigned long long)c->out.bytes);
		wait_for_line();
	} else if (strcmp(text, "close"))
		die(text);
	return strcmp(text, "close") && strcmp(text, "reset");
}

void run_plan(struct connection *c, const char *plan)
{
	unsigned slow_us = 0;
	const char *at = plan, *again = NULL;
	int left = 0;

	while (*at || left > 0) {
		char text[256];
		size_t n;

		if (!*at) {
			left--;
			at = again;
			if (left <= 0)
				break;
		}
		n = strcspn(at, ",");
		if (n >= sizeof text)
			die("a step is too long");
		memcpy(text, at, n);
		text[n] = 0;
		at += n + (at[n] == ',');
		if (!strncmp(text, "repeat=", 7)) {
			left = atoi(text + 7);
			again = at;
		} else if (!step(c, text, &slow_us)) {
			break;
		}
	}
}
