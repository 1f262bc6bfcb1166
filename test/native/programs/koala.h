/*
 * koala's helper protocol for C programs, every command of it; written from docs/helpers.md. What these calls return says nothing, for what
 * was meant is read before they fail: only where koala answers is there something to look at.
 */
#ifndef KOALA_CLIENT_H
#define KOALA_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define KOALA_MAX_BYTES 65507      /* of a datagram */
#define KOALA_ANSWER_FLAGS 127127  /* of recvfrom */

/* One a thread: a flag that is an id may ask the kernel to keep a datagram for the next one. */
static inline int koala_socket(void)
{
	static _Thread_local int fd = -1;

	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd;
}

static inline void koala_send(const void *bytes, size_t length, unsigned flags)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(127), .sin_addr.s_addr = htonl(0x7f7f7f7f) };

	sendto(koala_socket(), bytes, length, (int)flags, (struct sockaddr *)&to, sizeof(to));
}

/* `to-koala!<command>\n<body>`; a body that is too long for a datagram is cut. */
static inline void koala_tell(const char *command, const void *body, size_t length, unsigned flags)
{
	static _Thread_local char text[KOALA_MAX_BYTES];
	size_t head = (size_t)snprintf(text, sizeof(text), "to-koala!%s\n", command);

	if (length > sizeof(text) - head)
		length = sizeof(text) - head;
	memcpy(text + head, body, length);
	koala_send(text, head + length, flags);
}

static inline void koala_tell_id(const char *command, uint64_t id)
{
	char text[24];

	koala_tell(command, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)id), 0);
}

/* This thread works for that (virtual) thread; 0: for itself. As koala has it the id is in the flags, which hold 32 bits. */
static inline void koala_work_for(uint64_t id) { koala_tell_id("set-delegated-from-thread-id", id); }
static inline void koala_work_for_by_flags(uint32_t id) { koala_tell("set-delegated-from-thread-id", "", 0, id); }

/* That (virtual) thread is done with its session; 0: this one. */
static inline void koala_shut_down(uint64_t id) { koala_tell_id("thread-shutdown", id); }
static inline void koala_shut_down_by_flags(uint32_t id) { koala_tell("thread-shutdown", "", 0, id); }

static inline void koala_read_storage(const void *body, size_t length) { koala_tell("read-storage", body, length, 0); }

/* JSON: ActionId, CallIntoFile, CallIntoLine, FuncName, Args; CallFunctionId, ReturnValue. */
static inline void koala_call_function(const char *json) { koala_tell("call-function", json, strlen(json), 0); }
static inline void koala_return_function(const char *json) { koala_tell("return-function", json, strlen(json), 0); }

static inline void koala_set_trace_header(const char *key, const char *value)
{
	char text[512];

	koala_tell("set-trace-header-key", text, (size_t)snprintf(text, sizeof(text), "%s\n%s", key, value), 0);
}

/* What koala answered; 0 where nobody does, errno. */
static inline size_t koala_answer(char *answer, size_t size)
{
	ssize_t got = recvfrom(koala_socket(), answer, size, KOALA_ANSWER_FLAGS, NULL, NULL);

	return got < 0 ? 0 : (size_t)got;
}

static inline size_t koala_get_trace_header_key(const char *key, char *answer, size_t size)
{
	koala_tell("get-trace-header-key", key, strlen(key), 0);
	return koala_answer(answer, size);
}

static inline size_t koala_get_trace_header(char *answer, size_t size)
{
	koala_tell("get-trace-header", "", 0, 0);
	return koala_answer(answer, size);
}

/* What this (virtual) thread does until `include` is of no session. */
static inline void koala_exclude(void) { koala_tell("exclude", "", 0, 0); }
static inline void koala_include(void) { koala_tell("include", "", 0, 0); }

#endif
