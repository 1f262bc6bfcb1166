/*
 * The simplest service there is, for bench/replay.ts: threads that accept, answer one request after the other with "ok", and
 * before that, asked for /calls/FIRST/COUNT, ask their dependency for so many items, one after the other, on a connection each
 * has for itself. Build: cc -O2 -pthread. Run: replay-service PORT THREADS DEPENDENCY-IP DEPENDENCY-PORT [TIMES]
 * TIMES: a file to which the nanoseconds of each call are appended, a line each.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 4096 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static int listener, times = -1;
static struct sockaddr_in dependency;

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* Reads up to the end of a head and the `Content-Length` bytes behind it. False when the peer is gone. */
static int read_message(int fd, char *buffer)
{
	int have = 0;

	for (;;) {
		int got = read(fd, buffer + have, BUFFER - 1 - have);

		if (got <= 0)
			return 0;
		have += got;
		buffer[have] = 0;
		char *end = strstr(buffer, "\r\n\r\n");
		if (!end)
			continue;
		char *length = strstr(buffer, "Content-Length: ");
		int body = length && length < end ? atoi(length + 16) : 0;
		if (have >= end + 4 - buffer + body)
			return 1;
	}
}

static void ask(int *upstream, int item)
{
	char buffer[BUFFER];
	int size = snprintf(buffer, sizeof(buffer), "GET /items/%d HTTP/1.1\r\nHost: items\r\n\r\n", item);

	if (*upstream < 0) {
		*upstream = socket(AF_INET, SOCK_STREAM, 0);
		no_delay(*upstream);
		if (connect(*upstream, (struct sockaddr *)&dependency, sizeof(dependency)) < 0)
			exit(3);
	}
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	if (write(*upstream, buffer, size) != size || !read_message(*upstream, buffer)) {
		close(*upstream);
		*upstream = -1;
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (times >= 0) {
		size = snprintf(buffer, sizeof(buffer), "%ld\n", (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec);
		if (write(times, buffer, size) != size)
			exit(4);
	}
}

static void *serve(void *unused)
{
	int upstream = -1;

	(void)unused;
	for (;;) {
		char buffer[BUFFER];
		int first, count, fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		no_delay(fd);
		while (read_message(fd, buffer)) {
			if (sscanf(buffer, "GET /calls/%d/%d", &first, &count) == 2)
				for (int item = first; item < first + count; item++)
					ask(&upstream, item);
			if (write(fd, answer, sizeof(answer) - 1) < 0)
				break;
		}
		close(fd);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int one = 1;
	pthread_t thread;

	if (argc != 5 && argc != 6)
		return 2;
	if (argc == 6)
		times = open(argv[5], O_WRONLY | O_CREAT | O_APPEND, 0644);
	signal(SIGPIPE, SIG_IGN);
	address.sin_port = htons(atoi(argv[1]));
	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	dependency = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(argv[4])) };
	inet_pton(AF_INET, argv[3], &dependency.sin_addr);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1024) < 0)
		return 1;
	for (int at = atoi(argv[2]); at > 1; at--)
		pthread_create(&thread, NULL, serve, NULL);
	serve(NULL);
}
