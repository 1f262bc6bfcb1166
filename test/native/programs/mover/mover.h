/* SPDX-License-Identifier: MIT */
/*
 * mover moves reproducible bytes over a socket by a chosen system call ("road") and writes down what it moved.
 * What the parts share: a connection, its book, and the roads.
 */
#ifndef MOVER_H
#define MOVER_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sha256.h"

/* What passed in one direction, as the system calls' return values say. */
struct half {
	uint64_t bytes;     /* handed over, or consumed                                      */
	uint64_t discarded; /* of these: thrown away unseen (MSG_TRUNC), not in the hash     */
	uint64_t calls;
	struct sha256 hash;
	char failed[80];    /* what ended this direction early: "send: Connection reset by peer" */
	bool unsupported;   /* this kernel does not have the road                            */
};

struct kept { /* memory that must not be touched while the kernel may still read it */
	void *at;
	size_t size;
	struct kept *next;
};

enum { ZEROCOPY_ROOM = 1 << 18 };

struct connection {
	int fd;
	int index;
	uint32_t seed; /* of the bytes this side sends */
	char local[128], remote[128];
	struct half in, out;
	pthread_mutex_t sending;
	bool keep_buffers;
	struct kept *kept;
	/* state of roads, made at first use */
	struct uring *ring_in, *ring_out;
	int file, pipe[2];
	off_t file_at;
	unsigned zerocopy_pending;
	void *zerocopy_map;
	bool urgent_due;
};

/* The byte stream of `seed` is a function of position alone: bytes [position, position + count). */
void stream_fill(uint32_t seed, uint64_t position, void *buffer, size_t count);

/* A road tries once; it returns the bytes that moved, 0 at the end of the stream, or -errno (-ENOSYS: not here). */
typedef ssize_t (*send_road)(struct connection *c, const uint8_t *buffer, size_t count);
typedef ssize_t (*receive_road)(struct connection *c, uint8_t *buffer, size_t count);

send_road find_send_road(const char *name);
receive_road find_receive_road(const char *name);
/* Waits for what the roads left in flight (zero copy) and frees their state. */
void finish_roads(struct connection *c);

/* io_uring without liburing. Operations are named as in the roads: "send", "sendmsg", "write-fixed", "recv" … */
enum uring_mode { URING_PLAIN, URING_ASYNC, URING_SQPOLL };
ssize_t uring_send(struct connection *c, const char *operation, enum uring_mode mode, const uint8_t *buffer, size_t count);
ssize_t uring_receive(struct connection *c, const char *operation, enum uring_mode mode, uint8_t *buffer, size_t count);
void uring_close(struct uring *ring);

/* Runs the plan on the connection until it ends or fails. */
void run_plan(struct connection *c, const char *plan);
/* Appends the connection's line to the book. */
void write_book(const struct connection *c);

/* main.c */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void wait_for_line(void);
void die(const char *what) __attribute__((noreturn));
extern const char *book_path;
extern const char *work_folder;
void name_ends(struct connection *c);
#endif
