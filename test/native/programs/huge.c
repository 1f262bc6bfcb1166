/*
 * Sends itself messages over TCP, and receives them in one huge page that another thread splits and puts together all the while
 * (as allocators and khugepaged do). Says {"ready":true}, waits for a line, says {"bytes":N,"together":N} or {"refused":errno}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#define HUGE ((size_t)2 << 20)
#define MESSAGE ((size_t)16 << 10)
#define PLACES 100
#define FILL 7

static uint8_t *page;
static atomic_bool over;
static long together;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The last 4 KiB belong to no message. */
static void *split_and_join(void *unused)
{
	(void)unused;
	while (!over) {
		if (!madvise(page, HUGE, MADV_COLLAPSE))
			together++;
		madvise(page + HUGE - 4096, 4096, MADV_DONTNEED);
		page[HUGE - 1] = 1;
	}
	return NULL;
}

static void *send_all(void *argument)
{
	const int *of = argument;
	uint8_t message[MESSAGE];

	memset(message, FILL, sizeof message);
	for (int i = 0; i < of[1]; i++) {
		for (size_t at = 0; at < MESSAGE;) {
			ssize_t sent = write(of[0], message + at, MESSAGE - at);

			if (sent <= 0)
				die("write");
			at += sent;
		}
	}
	shutdown(of[0], SHUT_WR);
	return NULL;
}

int main(int argc, char **argv)
{
	uint8_t *room = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof address;
	int listening = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0), to;
	int sending[2] = { from, argc > 1 ? atoi(argv[1]) : 1000 };
	pthread_t sender, splitter;
	uint64_t bytes = 0;
	ssize_t got;

	if (room == MAP_FAILED)
		die("mmap");
	page = (uint8_t *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));
	memset(page, FILL, HUGE);
	printf("{\"ready\":true}\n");
	fflush(stdout);
	getchar();
	if (madvise(page, HUGE, MADV_COLLAPSE)) {
		printf("{\"refused\":%d}\n", errno);
		return 0;
	}
	if (bind(listening, (void *)&address, length) || listen(listening, 1) || getsockname(listening, (void *)&address, &length) ||
	    connect(from, (void *)&address, length) || (to = accept(listening, NULL, NULL)) < 0)
		die("connect");
	pthread_create(&splitter, NULL, split_and_join, NULL);
	pthread_create(&sender, NULL, send_all, sending);
	for (long i = 0; (got = read(to, page + (i % PLACES) * MESSAGE, MESSAGE)) > 0; i++)
		bytes += got;
	over = true;
	pthread_join(splitter, NULL);
	pthread_join(sender, NULL);
	printf("{\"bytes\":%llu,\"together\":%ld}\n", (unsigned long long)bytes, together);
	fflush(stdout);
	pause();
	return 0;
}
