/*
 * Teams of four threads that speak koala's helper protocol: the first of each reads requests (GET /WHAT/ID), the others make its calls and say
 * for whom. `delegation UPSTREAM_PORT`; prints {"port"}. delegation.py is the same in Python.
 */
#define _GNU_SOURCE
#include "koala.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEAMS 4
#define MEMBERS 4
#define FLOOD 20000
#define FIRST_NAME 0x100000000ULL  /* no thread's id */
#define NOBODY 4100000             /* a name that nobody has */

struct team {
	int number;
	uint32_t tids[MEMBERS];
	sem_t go[MEMBERS], done[MEMBERS];
	void (*work)(struct team *team, int member);
	char what[32], id[64];
};

struct member {
	struct team *team;
	int number;
};

static int listener;
static unsigned short upstream;
static unsigned char garbled[KOALA_MAX_BYTES], letters[KOALA_MAX_BYTES];

static int is(const struct team *team, const char *what) { return strcmp(team->what, what) == 0; }
static uint64_t name_of(const struct team *team) { return FIRST_NAME + team->number; }

/* A request and its answer, to the end of the connection. */
static void call(struct team *team, int member)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(upstream), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char text[1024];
	int length = snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: u\r\nX-Rid: %s\r\nConnection: close\r\n\r\n", member ? "member" : "first", team->id);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || write(fd, text, length) != length)
		abort();
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

/* For the one before, and that for the one before it: a chain. */
static void delegate(struct team *team, int member)
{
	if (member % 2)
		koala_work_for_by_flags(team->tids[member - 1]);
	else
		koala_work_for(team->tids[member - 1]);
}

static void leave(struct team *team, int member) { (void)team; (void)member; koala_work_for(0); }
static void work_for_name(struct team *team, int member) { (void)member; koala_work_for(name_of(team)); }

static void flood(struct team *team, int member)
{
	for (int n = 0; n < FLOOD; n++)
		koala_work_for(team->tids[member - 1]);
}

static void have(struct team *team, int member, void (*work)(struct team *, int))
{
	team->work = work;
	sem_post(&team->go[member]);
	sem_wait(&team->done[member]);
}

static void garbage(void)
{
	koala_send("\x00\xff\x80 is no command", 18, 0);
	koala_send("", 0, 0);
	koala_send("to-koala!thread-shutdown", 24, 0); /* no newline */
	koala_send(garbled, sizeof(garbled), 0);
	koala_tell("dance", "", 0, 0);
	koala_tell("set-delegated-from-thread-id", "nine", 4, 0);
	koala_tell("set-trace-header-key", "no value", 8, 0);
}

static void words(void)
{
	char answer[64];

	koala_read_storage("user:7=koala\0bear", 17);
	koala_call_function("{\"ActionId\":1,\"CallIntoFile\":\"shop.c\",\"CallIntoLine\":7,\"FuncName\":\"price\",\"Args\":[]}");
	koala_return_function("{\"CallFunctionId\":1,\"ReturnValue\":9}");
	koala_set_trace_header("ti", "abc");
	if (koala_get_trace_header_key("ti", answer, sizeof(answer)) || koala_get_trace_header(answer, sizeof(answer)))
		abort();
	koala_read_storage(letters, sizeof(letters)); /* a datagram of 64 KiB */
}

static void serve(struct team *team)
{
	if (is(team, "words"))
		words();
	if (is(team, "garbage"))
		garbage();
	if (is(team, "unknown"))
		koala_shut_down(NOBODY);
	if (is(team, "exclude"))
		koala_exclude();
	if (is(team, "name")) {
		koala_work_for(name_of(team));
		have(team, 3, work_for_name);
	} else if (is(team, "chain") || is(team, "cycle") || is(team, "flood")) {
		for (int member = 1; member < MEMBERS; member++)
			have(team, member, delegate);
		if (is(team, "cycle")) {
			koala_work_for(team->tids[3]);
			koala_work_for_by_flags(team->tids[1]);
		}
		if (is(team, "flood"))
			have(team, 3, flood);
	} else {
		call(team, 0);
		koala_include();
		return;
	}
	have(team, 3, call);
	for (int member = 1; member < MEMBERS; member++)
		have(team, member, leave);
	if (is(team, "name"))
		koala_shut_down(name_of(team));
}

static void *member(void *given)
{
	struct member *self = given;
	struct team *team = self->team;

	team->tids[self->number] = (uint32_t)syscall(SYS_gettid);
	sem_post(&team->done[self->number]);
	for (;;) {
		sem_wait(&team->go[self->number]);
		team->work(team, self->number);
		sem_post(&team->done[self->number]);
	}
	return NULL;
}

static void *first(void *given)
{
	struct team *team = given;
	char text[4096];

	team->tids[0] = (uint32_t)syscall(SYS_gettid);
	for (int n = 1; n < MEMBERS; n++)
		sem_wait(&team->done[n]);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t got = read(fd, text, sizeof(text) - 1);

		text[got > 0 ? got : 0] = 0;
		if (sscanf(text, "GET /%31[a-z]/%63s ", team->what, team->id) == 2) {
			serve(team);
			got = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(team->id), team->id);
			if (write(fd, text, got) != got)
				abort();
		}
		close(fd);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct team teams[TEAMS];
	static struct member members[TEAMS][MEMBERS];
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	pthread_t thread;

	upstream = argc > 1 ? (unsigned short)atoi(argv[1]) : 0;
	memset(garbled, 0xff, sizeof(garbled));
	memset(letters, 'k', sizeof(letters));
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 64) < 0 || getsockname(listener, (struct sockaddr *)&at, &length) < 0)
		return 1;
	for (int n = 0; n < TEAMS; n++) {
		teams[n].number = n;
		for (int m = 1; m < MEMBERS; m++) {
			members[n][m] = (struct member){ &teams[n], m };
			sem_init(&teams[n].go[m], 0, 0);
			sem_init(&teams[n].done[m], 0, 0);
			pthread_create(&thread, NULL, member, &members[n][m]);
		}
		pthread_create(&thread, NULL, first, &teams[n]);
	}
	printf("{\"port\":%d}\n", ntohs(at.sin_port));
	fflush(stdout);
	pause();
}
