/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk through V8's heap: each object once, those first that are met first, in four parts.
 *
 *   FIND_SOCKET   what the handle points to that is written to: the object that points back to it
 *   FIND_STARTS   what that one points to, and what points back to it (an http request): the call may be begun with these
 *   WALK          these, and what lies on the stack from the last frame of JavaScript on, the innermost first: what goes on when each is
 *                 done, up to a socket that somebody else has opened. What has a promise is the call, and nothing further out is looked at
 *   IS_CURRENT    the response by which it was found is the one that this socket is at, or it is one before
 *
 * Where an array of callbacks was met, or a list of who waits, what is written is of several calls, maybe, one for each (ioredis' auto-pipelining;
 * node-redis): WALK from each of these by itself.
 *
 * While the thread is in here no JavaScript runs, and the engine moves no object without it. A pointer is tagged: it is 1 beyond its object's
 * address. Each function is verified by itself, and finds what the others have left in node_walks.
 */
#ifndef KOALA_NODE_HEAP_H
#define KOALA_NODE_HEAP_H

#include "files.h"
#include "libuv.h"
#include "node.h"

#define MAX_ARRAYS 4     /* of callbacks */
/* Powers of 2. */
#define MAX_OBJECTS 1024 /* in the queue */
#define MAX_NEXT 256     /* in the one before it */
#define MAX_SEEN 4096
#define MAX_WORDS 64     /* of an object */
#define MAX_STARTS 8
#define MAX_SHAPES 128   /* maps that are kept */
#define MAX_HEADS 512    /* of objects, that are kept */
#define HEAD_WORDS 8     /* of an object, read at once: whatever it is, most of what it leads to is there */
#define MAX_UNAWAITED 8  /* promises met in a walk */
#define MAX_BEGUN 64     /* of those that were met lately */
#define FRAME_WORDS 64   /* of the stack, at a time */
#define STACK_WORDS 3136 /* of it, in all */

#define TAG 1
#define PAGE_SHIFT 18 /* of V8's */
#define IS_POINTER(word) (((word) & 3) == TAG)
#define WORD(object, offset) word_at((object) - TAG + (offset))

/* In objects of V8 11.3 to 14.6, 64 bits, without compressed pointers (what differs is in src/kernel/node/offsets.ts). */
#define MAP_META 8 /* sizes, type */
#define MAP_PROTOTYPE 24
#define GENERATOR_FROM 32 /* context, receiver, input, mode, continuation, registers, promise */
#define GENERATOR_CONTINUATION 4 /* of these; in its upper half, RUNNING or where it goes on */
#define RUNNING 0xfffffffe
#define ELEMENTS_OF_OBJECT 16 /* an array of its own */
#define ARRAY_LENGTH 24
#define ELEMENTS 16 /* of that array: the first */

#define MAX_PROPERTIES 1023 /* in the length of an array of them */
#define FIRST_FIELD 24 /* of an object that has properties within it */
#define MAX_FIELDS 8   /* of one in a list */

#define GENERATION_BITS 20 /* beside the 44 of an address of a multiple of 8 */
#define GENERATION_MASK ((1ULL << GENERATION_BITS) - 1)

enum node_phase { FIND_SOCKET, FIND_STARTS, WALK, IS_CURRENT };

struct node_met {
	__u64 object;
	__u64 via; /* the object that points to it */
};

/* A map of V8's: what an object is. */
struct node_shape {
	__u64 map; /* its address, and above that in which walk it was read */
	__u64 meta;
	__u64 prototype;
};
#define ADDRESS_BITS 48

/* What an object begins with. */
struct node_head {
	__u64 object; /* as in node_shape */
	__u64 words[HEAD_WORDS];
};

/* A promise that none waits for so far, among the variables of a function that waits for another: it was begun for that one's request, too. */
struct node_begun {
	__u64 promise;
	__u64 number; /* of the request */
	__u64 at_ns;
};

struct node_walk {
	struct node_program program; /* a copy: it is asked at every step */
	__u64 generation;   /* of what was met in this part; others' in `seen` is forgotten */
	__u64 top;          /* of the stack's part that is JavaScript's              */
	__u64 handle;       /* the object of what is written to                      */
	__u64 socket;       /* what points back to that                              */
	__u64 prototype;    /* of sockets                                            */
	__u64 loop;         /* of libuv's handles                                    */
	__u64 constants;    /* the page where V8 keeps what never changes            */
	__u64 handle_in;    /* in Node's object: libuv's handle                      */
	__u64 walks;        /* so far                                                */
	__u64 counted_at;   /* until when `credit` was counted                       */
	__s64 credit;       /* what walks may take yet, in ns                        */
	__u64 of_maps;      /* the map of maps that was met last                     */
	__u64 opener;       /* number of the inbound connection whose request opened the one that is written to; 0: not known */
	__u64 opener_at;    /* how far that one was read by then                     */
	__u32 handle_at;    /* which of a socket's words is its handle               */
	__u32 pad0;
	/* Zero when a walk begins: from here on to `frame`; when one from a callback does, to `arrays`. */
	__u64 found;        /* number of the inbound connection                      */
	__u64 found_at;     /* how far that one was read                             */
	__u64 found_socket;
	__u64 found_via;    /* what pointed to that                                  */
	__u64 of_prototype; /* of the object that was loaded last                    */
	__u32 words;        /* of that one, in `body`                                */
	__u32 head;
	__u32 tail;
	__u32 next_head;
	__u32 next_tail;
	__u32 goes_on;      /* what is queued now is to be looked at first             */
	__u32 further;      /* looked at since something was found                    */
	enum node_phase phase;
	__u32 starts;
	__u32 next_start;
	__u32 stack_at;     /* words of the stack that were read                     */
	__u32 frame_at;     /* of those in `frame`, looked at                        */
	__u32 caller_at;    /* words of the stack before the next frame begins       */
	__u32 called_with;  /* before these: what the frame was called with          */
	__u32 is_sure;      /* beyond these, too, nothing is dead                    */
	__u32 far;          /* it is gone on only with async functions that run, and sockets */
	__u32 promise;      /* something waits                                       */
	__u32 suspended;    /* an async function does                                */
	__u32 unawaiteds;   /* promises met that none waits for so far               */
	__u32 cut;          /* not all was looked at                                 */
	__u32 several;      /* more than one was found                               */
	__u32 by_opening;   /* it is the opener's request: another counts for more   */
	__u32 current;      /* the socket points back to `found_via`                 */
	__u32 of_socket;    /* it is gone on from one of `start`                     */
	__u32 arrays;
	__u32 array_at;     /* of these: whose callbacks are looked at               */
	__u32 part;         /* of these: at which it is                              */
	__u32 in_part;
	__u32 shared;       /* one of those of this array has led somewhere          */
	__u32 otherwise;    /* and not to `alone`                                    */
	__u32 unlike;       /* one of those has not led to `alone`                   */
	__u32 pad1;
	__u64 alone;        /* what the walk came to that begins with the stack      */
	__u64 array[MAX_ARRAYS];
	__u64 list;         /* the first met that points to the next of a list that goes one way */
	__u32 link;         /* in that, in bytes: the next                           */
	__u32 of_list;      /* `parts` are: the last ones are meant                  */
	__u64 start[MAX_STARTS];
	__u64 frame[FRAME_WORDS];
	__u64 body[MAX_WORDS];
	struct node_shape shapes[MAX_SHAPES];
	struct node_head heads[MAX_HEADS];
	struct node_met next[MAX_NEXT];     /* what goes on: looked at first */
	struct node_met queue[MAX_OBJECTS];
	__u64 seen[MAX_SEEN];
	__u64 unawaited[MAX_UNAWAITED];
	struct node_begun begun[MAX_BEGUN];
	__u64 begins;            /* of these so far */
	__u64 parts[NODE_PARTS]; /* numbers of requests; 0: not known */
	__u64 shares;            /* writes for several so far */
};
/* key: a program's place. Written: by its main thread only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NODE_WALKS);
	__type(key, __u32);
	__type(value, struct node_walk);
} node_walks __weak SEC(".maps");

static __always_inline struct node_walk *walk_at(__u32 place)
{
	return bpf_map_lookup_elem(&node_walks, &place);
}

/* `answered`: not the one that the connection is at, but one before. */
static __always_inline __u64 request_of(__u64 connection, bool answered)
{
	return (answered ? FIRST_NODE_ANSWERED : FIRST_NODE_REQUEST) + (connection & NODE_REQUEST_MASK);
}

/* Of what the walk came to; 0: nothing. */
static __always_inline __u64 number_of(const struct node_walk *walk)
{
	if (walk->several || walk->cut)
		return 0;
	/* Where none waits for it so far, whoever has begun it may come to that: it was begun with others, and these are waited for one after the other. */
	if (!walk->found)
		return walk->promise && !walk->suspended ? 0 : NODE_NOBODY;
	return request_of(walk->found, !walk->current);
}

#define TYPE_IN(meta) ((__u16)((meta) >> 32))

/* What `map` says; all 0: it is none. The engine moves none during a walk, so that each is read once. */
static __always_inline const struct node_shape *shape_at(struct node_walk *walk, __u64 map)
{
	struct node_shape *shape = &walk->shapes[map * 0x9e3779b97f4a7c15ULL >> 57 & (MAX_SHAPES - 1)];
	__u64 key = map | walk->walks << ADDRESS_BITS, words[MAP_PROTOTYPE / 8 + 1] = {};

	if (shape->map == key)
		return shape;
	shape->map = key;
	shape->meta = shape->prototype = 0;
	if (!IS_POINTER(map) || map >> ADDRESS_BITS || bpf_probe_read_user(words, sizeof(words), (void *)(map - TAG)))
		return shape;
	if (words[0] != walk->of_maps) {
		if (!IS_POINTER(words[0]) || TYPE_IN(WORD(words[0], MAP_META)) != walk->program.map)
			return shape;
		walk->of_maps = words[0];
	}
	shape->meta = words[MAP_META / 8];
	shape->prototype = words[MAP_PROTOTYPE / 8];
	return shape;
}

/*
 * What `object` begins with, all 0 where nothing can be read. It is looked at by what points to it, and when it is its turn; the engine moves nothing during a
 * walk, so that it is read once, mostly. What is read beyond its end is of no meaning, and where memory ends there, not read.
 */
static __always_inline const struct node_head *head_at(struct node_walk *walk, __u64 object)
{
	struct node_head *head = &walk->heads[object * 0x9e3779b97f4a7c15ULL >> 55 & (MAX_HEADS - 1)];
	__u64 key = object | walk->walks << ADDRESS_BITS;

	if (head->object == key)
		return head;
	head->object = key;
	for (__u32 words = HEAD_WORDS; words >= 2; words--) {
		if (!bpf_probe_read_user(head->words, words * sizeof(__u64), (void *)(object - TAG)))
			return head;
	}
	__builtin_memset(head->words, 0, sizeof(head->words));
	return head;
}

/* Of a pointer. */
static __always_inline __u64 map_of(struct node_walk *walk, __u64 object)
{
	return head_at(walk, object)->words[0];
}

static __always_inline __u64 meta_of(struct node_walk *walk, __u64 object)
{
	return shape_at(walk, map_of(walk, object))->meta;
}

/* What Node has for the `object` that stands for it; 0: that stands for nothing. */
static __always_inline __u64 inside_of(struct node_walk *walk, __u64 object)
{
	__u64 inside = head_at(walk, object)->words[walk->program.embedder_field / 8 & (HEAD_WORDS - 1)];

	return inside & 7 ? 0 : inside;
}

static __always_inline void restart(struct node_walk *walk, enum node_phase phase)
{
	walk->generation = (walk->generation + 1) & GENERATION_MASK;
	walk->head = walk->tail = walk->next_head = walk->next_tail = 0;
	walk->phase = phase;
}

/* node-heap.bpf.c */
extern int node_push(__u32 place, __u64 object, __u64 via);
extern int node_load(__u32 place, __u64 object);
extern int node_push_body(__u32 place, __u64 via);
extern int node_place_of(__u32 place, __u64 value);
extern int node_file_of(__u32 place, __u64 object);

/* Looks at one object (node-walk.bpf.c). 1: that's it. */
extern int node_step(__u32 place);

#endif
