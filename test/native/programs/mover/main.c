/* SPDX-License-Identifier: MIT */
/*
 * mover listen|connect|deaf ADDRESS --book FILE [--plan P] [options]
 *
 * ADDRESS: v4[:PORT], v6[:PORT], mapped[:PORT] (an IPv6 socket that speaks IPv4), mptcp[:PORT], unix:PATH, unix:@NAME
 * listen  takes --connections N, runs the plan on each, then waits for the end of its peers' patience and leaves
 * connect makes N connections, P at a time
 * deaf    listens, fills its own queue and never accepts: connecting to it times out
 * It prints one JSON object a line: {"ready":PORT} first; lines on standard input let it go on where it waits.
 */
#define _GNU_SOURCE
#include "mover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

const char *book_path = "/dev/null";
const char *work_folder = "/tmp";
static const char *plan = "recv=read:*", *model = "thread";
static int connections = 1, parallel = 1, syn_count, hold, linger;
static uint32_t seed = 1;
static sem_t lines;

void die(const char *what)
{
	fprintf(stderr, "mover: %s: %s\n", what, strerror(errno));
	_exit(70);
}

void say(const char *format, ...)
{
	char text[512];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text, sizeof text - 1, format, list);
	va_end(list);
	text[n] = '\n';
	if (write(1, text, n + 1) < 0)
		_exit(70);
}

void wait_for_line(void)
{
	while (sem_wait(&lines) < 0)
		;
}

static void *count_lines(void *arg)
{
	char c;

	(void)arg;
	while (read(0, &c, 1) == 1)
		if (c == '\n')
			sem_post(&lines);
	return NULL;
}

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	} at;
	socklen_t size;
	int protocol;
};

static struct address address_of(const char *text, bool listening)
{
	struct address a = { 0 };
	const char *colon = strchr(text, ':');
	int port = colon ? atoi(colon + 1) : 0;

	if (!strncmp(text, "unix:", 5)) {
		size_t n = strlen(text + 5);

		a.at.un.sun_family = AF_UNIX;
		memcpy(a.at.un.sun_path, text + 5, n);
		a.size = offsetof(struct sockaddr_un, sun_path) + n;
		if (text[5] == '@')
			a.at.un.sun_path[0] = 0;
		else
			a.size++;
	} else if (!strncmp(text, "v4", 2) || !strncmp(text, "mptcp", 5)) {
		a.at.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
						.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		a.size = sizeof a.at.v4;
		a.protocol = text[0] == 'm' ? IPPROTO_MPTCP : 0;
	} else {
		a.at.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
		a.at.v6.sin6_addr = in6addr_loopback;
		if (!strncmp(text, "mapped", 6))
			inet_pton(AF_INET6, listening ? "::" : "::ffff:127.0.0.1", &a.at.v6.sin6_addr);
		a.size = sizeof a.at.v6;
	}
	return a;
}

static void name_end(const struct sockaddr *any, socklen_t size, char out[128])
{
	char host[INET6_ADDRSTRLEN];

	if (any->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)any;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		snprintf(out, 128, "%s:%d", host, ntohs(v4->sin_port));
	} else if (any->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)any;

		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof host);
			snprintf(out, 128, "%s:%d", host, ntohs(v6->sin6_port));
		} else {
			inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
			snprintf(out, 128, "[%s]:%d", host, ntohs(v6->sin6_port));
		}
	} else {
		const struct sockaddr_un *un = (const void *)any;
		int n = (int)size - (int)offsetof(struct sockaddr_un, sun_path);

		if (n > 0 && !un->sun_path[0])
			snprintf(out, 128, "unix:@%.*s", n - 1, un->sun_path + 1);
		else
			snprintf(out, 128, "unix:%.*s", n > 0 ? n : 0, un->sun_path);
	}
}

void name_ends(struct connection *c)
{
	struct sockaddr_storage end;
	socklen_t size = sizeof end;

	if (getsockname(c->fd, (void *)&end, &size) == 0)
		name_end((void *)&end, size, c->local);
	size = sizeof end;
	if (getpeername(c->fd, (void *)&end, &size) == 0)
		name_end((void *)&end, size, c->remote);
}

static void book_half(FILE *out, const char *name, const struct half *h)
{
	char text[65];

	sha256_text(&h->hash, text);
	fprintf(out, ",\"%s\":{\"bytes\":%llu,\"sha256\":\"%s\",\"discarded\":%llu,\"calls\":%llu,\"failed\":\"%s\",\"unsupported\":%s}",
		name, (unsigned long long)h->bytes, text, (unsigned long long)h->discarded,
		(unsigned long long)h->calls, h->failed, h->unsupported ? "true" : "false");
}

void write_book(const struct connection *c)
{
	char line[2048];
	int fd = open(book_path, O_WRONLY | O_APPEND | O_CREAT, 0644);
	FILE *out = fmemopen(line, sizeof line, "w");

	if (fd < 0 || !out)
		die(book_path);
	fprintf(out, "{\"index\":%d,\"seed\":%u,\"tgid\":%d,\"local\":\"%s\",\"remote\":\"%s\"", c->index, c->seed,
		getpid(), c->local, c->remote);
	book_half(out, "ingress", &c->in);
	book_half(out, "egress", &c->out);
	fprintf(out, "}\n");
	fclose(out);
	if (write(fd, line, strlen(line)) < 0)
		die("write of the book");
	close(fd);
}

static void begin(struct connection *c, int fd, int index)
{
	memset(c, 0, sizeof *c);
	c->fd = fd;
	c->index = index;
	c->seed = seed + index;
	c->file = c->pipe[0] = c->pipe[1] = -1;
	pthread_mutex_init(&c->sending, NULL);
	sha256_begin(&c->in.hash);
	sha256_begin(&c->out.hash);
}

static void work(int fd, int index)
{
	struct connection c;

	begin(&c, fd, index);
	name_ends(&c);
	run_plan(&c, plan);
	write_book(&c);
	finish_roads(&c);
	if (c.fd >= 0)
		close(c.fd);
}

struct accepted {
	int fd, index;
	pthread_t thread;
};

static void *work_thread(void *arg)
{
	struct accepted *a = arg;

	work(a->fd, a->index);
	return NULL;
}

/* The other process of the "pass" model: takes descriptors off a socket and works on them. */
static void take_passed(int from)
{
	for (int index = 0;; index++) {
		char byte, control[CMSG_SPACE(sizeof(int))];
		struct iovec piece = { &byte, 1 };
		struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
					  .msg_controllen = sizeof control };
		int fd;

		if (recvmsg(from, &message, 0) <= 0)
			_exit(0);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
		work(fd, index);
	}
}

static void pass(int to, int fd)
{
	char byte = 1, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec piece = { &byte, 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *note = CMSG_FIRSTHDR(&message);

	note->cmsg_level = SOL_SOCKET;
	note->cmsg_type = SCM_RIGHTS;
	note->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(note), &fd, sizeof fd);
	if (sendmsg(to, &message, 0) != 1)
		die("sendmsg of a descriptor");
	close(fd);
}

static int open_listener(const char *where, int backlog)
{
	struct address a = address_of(where, true);
	int on = 1, fd = socket(a.at.any.sa_family, SOCK_STREAM, a.protocol);

	if (fd < 0) {
		say("{\"unsupported\":\"socket: %s\"}", strerror(errno));
		exit(0);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, &a.at.any, a.size) < 0 || listen(fd, backlog) < 0)
		die(where);
	a.size = sizeof a.at;
	getsockname(fd, &a.at.any, &a.size);
	say("{\"ready\":%d,\"pid\":%d}", a.at.any.sa_family == AF_UNIX ? 0 : ntohs(a.at.v4.sin_port), getpid());
	return fd;
}

static void serve(const char *where)
{
	struct accepted *all = calloc(connections, sizeof *all);
	int listener = open_listener(where, 4096), pair[2] = { -1, -1 };
	bool threads = !strcmp(model, "thread"), forks = !strcmp(model, "fork"), passes = !strcmp(model, "pass");
	pid_t worker = 0;

	if (passes) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
			die("socketpair");
		worker = fork();
		if (worker == 0) {
			close(pair[0]);
			close(listener);
			take_passed(pair[1]);
		}
		close(pair[1]);
	}
	for (int i = 0; i < connections; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept");
		all[i] = (struct accepted){ .fd = fd, .index = i };
		if (threads) {
			if (pthread_create(&all[i].thread, NULL, work_thread, &all[i]))
				die("pthread_create");
		} else if (forks) {
			if (fork() == 0) {
				close(listener);
				work(fd, i);
				_exit(0);
			}
			close(fd);
		} else if (passes) {
			pass(pair[0], fd);
		} else {
			work(fd, i);
		}
	}
	for (int i = 0; threads && i < connections; i++)
		pthread_join(all[i].thread, NULL);
	if (passes) {
		close(pair[0]);
		waitpid(worker, NULL, 0);
	}
	while (forks && wait(NULL) > 0)
		;
	free(all);
}

static const char *target;

static void connect_once(int index)
{
	struct address a = address_of(target, false);
	int fd = socket(a.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, a.protocol);
	struct connection c;

	if (fd < 0)
		die("socket");
	if (syn_count)
		setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &syn_count, sizeof syn_count);
	if (connect(fd, &a.at.any, a.size) < 0) {
		begin(&c, fd, index);
		snprintf(c.out.failed, sizeof c.out.failed, "connect: %s", strerrorname_np(errno));
		name_ends(&c);
		name_end(&a.at.any, a.size, c.remote);
		write_book(&c);
		close(fd);
		return;
	}
	work(fd, index);
}

static void *connect_thread(void *arg)
{
	for (int index = (int)(intptr_t)arg; index < connections; index += parallel)
		connect_once(index);
	return NULL;
}

static void connect_all(void)
{
	pthread_t *threads = calloc(parallel, sizeof *threads);

	for (int i = 1; i < parallel; i++)
		if (pthread_create(&threads[i], NULL, connect_thread, (void *)(intptr_t)i))
			die("pthread_create");
	connect_thread(NULL);
	for (int i = 1; i < parallel; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

/* A queue of one, filled: the kernel drops every further SYN. */
static void be_deaf(const char *where)
{
	int listener = open_listener(where, 0);
	struct sockaddr_storage at;
	socklen_t size = sizeof at;

	getsockname(listener, (void *)&at, &size);
	for (int i = 0; i < 4; i++) {
		int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

		connect(fd, (void *)&at, size);
	}
	usleep(100000);
	say("{\"full\":true}");
}

int main(int count, char **words)
{
	unsigned deadline = 120;
	pthread_t reader;

	if (count < 3)
		die("usage: mover listen|connect|deaf ADDRESS [--book FILE] [--plan PLAN] …");
	for (int i = 3; i < count; i++) {
		const char *word = words[i], *value = i + 1 < count ? words[i + 1] : "";

		if (!strcmp(word, "--hold")) {
			hold = 1;
			continue;
		}
		if (!strcmp(word, "--linger")) {
			linger = 1;
			continue;
		}
		i++;
		if (!strcmp(word, "--book"))
			book_path = value;
		else if (!strcmp(word, "--folder"))
			work_folder = value;
		else if (!strcmp(word, "--plan"))
			plan = value;
		else if (!strcmp(word, "--model"))
			model = value;
		else if (!strcmp(word, "--connections"))
			connections = atoi(value);
		else if (!strcmp(word, "--parallel"))
			parallel = atoi(value);
		else if (!strcmp(word, "--seed"))
			seed = strtoul(value, NULL, 10);
		else if (!strcmp(word, "--syncnt"))
			syn_count = atoi(value);
		else if (!strcmp(word, "--deadline"))
			deadline = atoi(value);
		else
			die(word);
	}
	signal(SIGPIPE, SIG_IGN);
	alarm(deadline);
	sem_init(&lines, 0, 0);
	if (pthread_create(&reader, NULL, count_lines, NULL))
		die("pthread_create");
	if (hold) {
		say("{\"ready\":0,\"pid\":%d}", getpid());
		wait_for_line();
	}
	target = words[2];
	if (!strcmp(words[1], "listen"))
		serve(target);
	else if (!strcmp(words[1], "connect"))
		connect_all();
	else if (!strcmp(words[1], "deaf"))
		be_deaf(target);
	else
		die(words[1]);
	if (linger || !strcmp(words[1], "deaf")) {
		say("{\"done\":true}");
		wait_for_line();
	}
	return 0;
}
