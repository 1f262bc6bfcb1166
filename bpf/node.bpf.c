// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk through V8's heap: each object once, those first that are met first, in four parts.
 *
 *   FIND_SOCKET   what the handle points to that is written to: the object that points back to it
 *   FIND_STARTS   what that one points to, and what points back to it (an http request): the call may be begun with these
 *   WALK          these, and what lies on the stack from the last frame of JavaScript on, the innermost first: what goes on when each is
 *                 done, up to a socket that somebody else has opened. What has a promise is the call, and nothing further out is looked at
 *   IS_CURRENT    the response by which it was found is the one that this socket is at, or it is one before
 *
 * Where an array of callbacks was met, what is written is of several calls, maybe, one for each (ioredis' auto-pipelining): WALK from each of these by
 * itself.
 *
 * While the thread is in here no JavaScript runs, and the engine moves no object without it. A pointer is tagged: it is 1 beyond its object's
 * address. Each function is verified by itself, and finds what the others have left in node_walks.
 */
#include "emit.h"
#include "files.h"
#include "libuv.h"
#include "node.h"
#include "registers.h"
#include <bpf/bpf_tracing.h>

#define MAX_LOOKED_AT 1000 /* objects looked at, of all parts: past that nothing is told. What was told took fewer by a good deal (docs/decisions/node-heap.md) */
#define MAX_OF_SOCKET 192 /* objects met from one of FIND_STARTS' */
#define MAX_ARRAYS 4    /* of callbacks */
#define MAX_SHARED_STEPS 2048 /* of all of their walks */
#define MAX_FURTHER 48 /* objects looked at after one was found that it may be */
#define MAX_VARIABLES 24 /* of a context that is gone on with: past that it is a module's, in a bundle */
#define MAX_LINKS 12 /* of an object's words: where it may point to the next of a list */
#define MAX_PROBES 8 /* places where an object is looked for among those that were met */
/* Powers of 2. */
#define MAX_OBJECTS 1024 /* in the queue */
#define MAX_NEXT 256     /* in the one before it */
#define MAX_SEEN 4096
#define MAX_WORDS 64     /* of an object */
#define MAX_STARTS 8
#define FRAME_WORDS 64   /* of the stack, at a time */
/* Of the stack: beyond the first it is gone on only with async functions that run. */
#define NEAR_WORDS 256
#define STACK_WORDS 1088

#define TAG 1
#define PAGE_SHIFT 18 /* of V8's */
#define IS_POINTER(word) (((word) & 3) == TAG)
#define WORD(object, offset) word_at((object) - TAG + (offset))

/* In objects of V8 11.3 to 14.6, 64 bits, without compressed pointers (what differs is in src/kernel/node/offsets.ts). */
#define MAP_META 8 /* sizes, type */
#define MAP_PROTOTYPE 24
#define BOUND_FROM 24 /* function, this, arguments */
#define PROMISE_REACTIONS 24
#define PROMISE_FLAGS 32
#define PROMISE_STATUS 3 /* of its flags; 0: pending */
#define GENERATOR_FROM 32 /* context, receiver, input, mode, continuation, registers, promise */
#define GENERATOR_CONTINUATION 4 /* of these; in its upper half, RUNNING or where it goes on */
#define RUNNING 0xfffffffe
#define ASYNC_REQUEST_PROMISE 32
#define CONTEXT_PREVIOUS 24
#define CONTEXT_OF_FUNCTION 5 /* in the order of their names */
#define CONTEXT_OF_MODULE 6
#define CONTEXT_NATIVE 7
#define CONTEXT_OF_SCRIPT 8
#define ELEMENTS 16
#define ELEMENTS_OF_OBJECT 16
#define ARRAY_LENGTH 24
#define MAX_PROPERTIES 1023
#define DICTIONARY_PREFIX 5 /* before the first key */
#define NODE_HANDLE 8       /* in Node's: the reference to the object */

#define GENERATION_BITS 20 /* beside the 44 of an address of a multiple of 8 */
#define GENERATION_MASK ((1ULL << GENERATION_BITS) - 1)

enum node_phase { FIND_SOCKET, FIND_STARTS, WALK, IS_CURRENT };

struct node_met {
	__u64 object;
	__u64 via; /* the object that points to it */
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
	__u32 handle_at;    /* which of a socket's words is its handle               */
	__u32 pad0;
	/* Zero when a walk begins: from here on to `frame`; when one from a callback does, to `arrays`. */
	__u64 found;        /* number of the inbound connection                      */
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
	__u32 far;          /* it is gone on only with async functions that run      */
	__u32 promise;      /* something waits                                       */
	__u32 suspended;    /* an async function does                                */
	__u32 cut;          /* not all was looked at                                 */
	__u32 several;      /* more than one was found                               */
	__u32 current;      /* the socket points back to `found_via`                 */
	__u32 of_socket;    /* it is gone on from one of `start`                     */
	__u32 arrays;
	__u32 array_at;     /* of these: whose callbacks are looked at               */
	__u32 part;         /* of these: at which it is                              */
	__u32 in_part;
	__u32 shared;       /* one of those of this array has led somewhere          */
	__u32 otherwise;    /* and not to `alone`                                    */
	__u32 unlike;       /* one of those has not led to `alone`                   */
	__u64 alone;        /* what the walk came to that begins with the stack      */
	__u64 array[MAX_ARRAYS];
	__u64 start[MAX_STARTS];
	__u64 frame[FRAME_WORDS];
	__u64 body[MAX_WORDS];
	struct node_met next[MAX_NEXT];     /* what goes on: looked at first */
	struct node_met queue[MAX_OBJECTS];
	__u64 seen[MAX_SEEN];
	__u64 parts[NODE_PARTS]; /* numbers of requests; 0: not known */
	__u64 shares;            /* writes for several so far */
};
/* key: a program's place. Written: by its main thread only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NODE_WALKS);
	__type(key, __u32);
	__type(value, struct node_walk);
} node_walks SEC(".maps");

/* key: struct sock. value: number of the request for which it is written to next. Inserted: before it is. Deleted: once it is told. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u64);
} node_calls SEC(".maps");

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
	if (!walk->found)
		return FIRST_NODE_REQUEST; /* nobody's */
	return request_of(walk->found, !walk->current);
}

static __always_inline struct node_program *program_now(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&node_programs, &tgid);
}

/* Queues `object`, unless it was met before. 1: it is queued. */
__noinline int node_push(__u32 place, __u64 object, __u64 via)
{
	struct node_walk *walk = walk_at(place);
	__u64 key;
	__u32 at, tail;

	if (!walk || !IS_POINTER(object) || object >> PAGE_SHIFT == walk->constants)
		return 0;
	key = object >> 3 << GENERATION_BITS | walk->generation;
	at = object * 0x9e3779b97f4a7c15ULL >> 52;
	for (__u32 i = 0; i < MAX_PROBES; i++) {
		__u32 index = (at + i) & (MAX_SEEN - 1);
		__u64 there = walk->seen[index];

		if (there == key)
			return 0;
		if ((there & GENERATION_MASK) != walk->generation) {
			tail = walk->tail;
			if (tail >= MAX_OBJECTS || (walk->of_socket && tail >= MAX_OF_SOCKET))
				break;
			walk->seen[index] = key;
			if (walk->goes_on && walk->next_tail < MAX_NEXT) {
				tail = walk->next_tail;
				walk->next[tail & (MAX_NEXT - 1)].object = object;
				walk->next[tail & (MAX_NEXT - 1)].via = via;
				walk->next_tail = tail + 1;
				return 1;
			}
			walk->queue[tail & (MAX_OBJECTS - 1)].object = object;
			walk->queue[tail & (MAX_OBJECTS - 1)].via = via;
			walk->tail = tail + 1;
			return 1;
		}
	}
	walk->cut = 1;
	return 0;
}

static __always_inline __u64 meta_of(__u64 object)
{
	__u64 map = WORD(object, 0);

	return IS_POINTER(map) ? WORD(map, MAP_META) : 0;
}
#define TYPE_IN(meta) ((__u16)((meta) >> 32))

/* 1: `object`, whose first words were loaded, points to another of the same `map`: it is in a list, as what waits in a queue of all is. */
__noinline int node_is_listed(__u32 place, __u64 object, __u64 map, __u32 count)
{
	struct node_walk *walk = walk_at(place);
	int listed = 0;

	if (!walk)
		return 0;
	for (__u32 i = 0; i < MAX_LINKS; i++) {
		__u64 word = walk->body[i];

		if (i < count && IS_POINTER(word) && word != object && WORD(word, 0) == map)
			listed = 1;
	}
	return listed;
}

/* Reads those words of `object` that lead to what goes on when it is done. Returns its type. */
__noinline int node_load(__u32 place, __u64 object)
{
	struct node_walk *walk = walk_at(place);
	const struct node_program *program;
	__u64 head[2] = {}, map[3] = {}, meta, properties = 0;
	__u32 from = 0, count = 0, type;

	if (!walk)
		return 0;
	program = &walk->program;
	walk->words = 0;
	walk->of_prototype = 0;
	bpf_probe_read_user(head, sizeof(head), (void *)(object - TAG));
	if (!IS_POINTER(head[0]))
		return 0;
	bpf_probe_read_user(map, sizeof(map), (void *)(head[0] - TAG + MAP_META));
	meta = map[0];
	type = TYPE_IN(meta);
	if (type >= program->object && type <= program->last_object) {
		if (type == program->object)
			walk->of_prototype = map[(MAP_PROTOTYPE - MAP_META) / 8];
		from = (meta >> 8 & 255) * 8;
		count = (meta & 255) - (meta >> 8 & 255);
		properties = head[1];
	} else if (type >= program->first_function && type <= program->last_function) {
		from = program->function_context;
		count = 1;
	} else if (type >= program->first_context && type <= program->last_context) {
		__u32 kind = type - program->first_context, around;

		/* Those are shared by all. */
		if (kind == CONTEXT_OF_MODULE || kind == CONTEXT_NATIVE || kind == CONTEXT_OF_SCRIPT)
			return type;
		from = CONTEXT_PREVIOUS;
		count = (__u32)(head[1] >> 32) - 1;
		if (count > MAX_VARIABLES)
			count = 1; /* those around it */
		if (kind == CONTEXT_OF_FUNCTION) {
			around = TYPE_IN(meta_of(WORD(object, CONTEXT_PREVIOUS))) - program->first_context;
			if (around == CONTEXT_NATIVE || around == CONTEXT_OF_SCRIPT)
				return type; /* a CommonJS module's own */
		}
	} else if (type == program->promise) {
		from = PROMISE_REACTIONS;
		count = (WORD(object, PROMISE_FLAGS) >> 32 & PROMISE_STATUS) == 0;
	} else if (type == program->reaction) {
		from = 8;
		count = 5;
	} else if (type == program->context_cell) {
		from = 8;
		count = 1;
	} else if (type == program->capability) {
		from = 8;
		count = 2;
	} else if (type == program->generator || type == program->async_function || type == program->async_generator) {
		from = GENERATOR_FROM;
		count = type == program->generator ? 6 : 7;
	} else if (type == program->bound_function) {
		from = BOUND_FROM;
		count = 3;
	} else if (type == program->fixed_array) {
		from = ELEMENTS;
		count = head[1] >> 32;
	} else if (type == program->property_array) {
		from = ELEMENTS;
		count = head[1] >> 32 & MAX_PROPERTIES;
	} else if (type == program->name_dictionary) {
		from = ELEMENTS + DICTIONARY_PREFIX * 8;
		count = (__u32)(head[1] >> 32) - DICTIONARY_PREFIX;
	} else if (type == program->async_request) {
		from = ASYNC_REQUEST_PROMISE;
		count = 1;
	}
	if (count > MAX_WORDS - 1)
		count = (__s32)count < 0 ? 0 : MAX_WORDS - 1;
	opaque(count);
	count &= MAX_WORDS - 1;
	if (count && bpf_probe_read_user(walk->body, count * 8, (void *)(object - TAG + from))) {
		walk->cut = 1;
		return 0;
	}
	if (type == program->object && node_is_listed(place, object, head[0], count))
		return type;
	if (IS_POINTER(properties)) {
		walk->body[count & (MAX_WORDS - 1)] = properties;
		count++;
	}
	walk->words = count;
	return type;
}

/* Queues what the object that was loaded last points to. */
__noinline int node_push_body(__u32 place, __u64 via)
{
	struct node_walk *walk = walk_at(place);

	if (!walk)
		return 0;
	for (__u32 i = 0; i < MAX_WORDS; i++) {
		if (i >= walk->words)
			break;
		if (IS_POINTER(walk->body[i]))
			node_push(place, walk->body[i], via);
	}
	return 0;
}

/* Which of the words of the object that was loaded last is `value`, counted from 1; 0: none. */
__noinline int node_place_of(__u32 place, __u64 value)
{
	struct node_walk *walk = walk_at(place);
	__u32 at = 0;

	if (!walk)
		return 0;
	for (__u32 i = 0; i < MAX_WORDS; i++) {
		if (i >= walk->words)
			break;
		if (walk->body[i] == value)
			at = i + 1;
	}
	return at;
}

/* The file of the handle of libuv's for which `object` stands, counted from 1; 0: it stands for none. */
__noinline int node_file_of(__u32 place, __u64 object)
{
	struct node_walk *walk = walk_at(place);
	__u64 inside, handle;
	__u32 type;

	if (!walk)
		return 0;
	inside = WORD(object, walk->program.embedder_field);
	if (!inside || inside & 7)
		return 0;
	handle = inside + walk->handle_in;
	type = word_at(handle + TYPE);
	if (word_at(handle + DATA) != inside || word_at(handle + LOOP) != walk->loop || (type != UV_TCP && type != UV_NAMED_PIPE))
		return 0;
	return (__u32)word_at(handle + FD) + 1;
}

static __always_inline void restart(struct node_walk *walk, enum node_phase phase)
{
	walk->generation = (walk->generation + 1) & GENERATION_MASK;
	walk->head = walk->tail = walk->next_head = walk->next_tail = 0;
	walk->phase = phase;
}

/* A socket, which was loaded last, is at the end of the walk if somebody else has opened its connection. */
static __always_inline void meet_socket(struct node_walk *walk, __u32 place, __u64 socket, __u64 via)
{
	int file = node_file_of(place, walk->body[walk->handle_at & (MAX_WORDS - 1)]);
	struct connection *connection;
	struct file_socket there;

	if (!file || !socket_at(&there, file - 1))
		return;
	connection = bpf_map_lookup_elem(&connections, &there.sock);
	if (!connection || connection->role != ROLE_INBOUND)
		return;
	if (walk->found && walk->found != connection->id)
		walk->several = 1;
	walk->found = connection->id;
	walk->found_socket = socket;
	walk->found_via = via;
	if (!via) {
		/* On the stack: what runs now was called by what had read of it. */
		walk->current = 1;
		return;
	}
	walk->current = node_place_of(place, via) != 0;
	if (!walk->current && walk->words) {
		node_load(place, walk->body[(walk->words - 1) & (MAX_WORDS - 1)]); /* its properties */
		walk->current = node_place_of(place, via) != 0;
	}
}

/* What the call may be begun with: word `at` of the stack's part that is at hand. 1: it is queued. */
__noinline int node_start(__u32 place, __u32 at)
{
	struct node_walk *walk = walk_at(place);
	const struct node_program *program;
	__u64 object, map, meta;
	__u32 type;

	if (!walk)
		return 0;
	program = &walk->program;
	object = walk->frame[at & (FRAME_WORDS - 1)];
	if (!IS_POINTER(object) || object >> 47)
		return 0;
	map = WORD(object, 0);
	if (!IS_POINTER(map) || TYPE_IN(meta_of(map)) != program->map)
		return 0;
	meta = WORD(map, MAP_META);
	type = TYPE_IN(meta);
	if (walk->far) {
		bool is_socket = type == program->object && WORD(map, MAP_PROTOTYPE) == walk->prototype;

		if (!is_socket && ((type != program->async_function && type != program->async_generator) ||
				   WORD(object, GENERATOR_FROM + 8 * GENERATOR_CONTINUATION) >> 32 != RUNNING))
			return 0;
	} else if (type < program->object || type == program->array || type == program->primitive_wrapper ||
		   (type >= program->first_collection && type <= program->last_collection && type != program->promise) ||
		   (type == program->api_object && object == walk->handle)) {
		return 0;
	}
	for (__u32 i = 0; i < MAX_STARTS; i++) {
		if (walk->start[i] == object)
			return 0;
	}
	return node_push(place, object, 0);
}

/* The next of what the call may be begun with, the innermost first. 1: there is no more. */
__noinline int node_next_start(__u32 place)
{
	struct node_walk *walk = walk_at(place);
	__u32 at;

	if (!walk)
		return 1;
	if (!walk->far && walk->starts == 1 && !walk->next_start) {
		node_push(place, walk->start[walk->next_start & (MAX_STARTS - 1)], 0);
		walk->next_start++;
		walk->of_socket = 1;
		return 0;
	}
	walk->of_socket = 0;
	if (walk->frame_at >= FRAME_WORDS) {
		if (walk->stack_at >= STACK_WORDS)
			return 1;
		if (walk->stack_at >= NEAR_WORDS)
			walk->far = 1;
		if (bpf_probe_read_user(walk->frame, sizeof(walk->frame), (void *)(walk->top + 8 * (__u64)walk->stack_at)))
			return 1;
		walk->stack_at += FRAME_WORDS;
		walk->frame_at = 0;
	}
	for (__u32 i = 0; i < FRAME_WORDS; i++) {
		at = walk->frame_at;
		if (at >= FRAME_WORDS)
			break;
		walk->frame_at = at + 1;
		if (node_start(place, at))
			break;
	}
	return 0;
}

/* All that is met from one start has been looked at. 1: that's it. */
__noinline int node_end_start(__u32 place)
{
	struct node_walk *walk = walk_at(place);

	if (!walk)
		return 1;
	switch (walk->phase) {
	case FIND_SOCKET:
		return 1;
	case FIND_STARTS:
		restart(walk, WALK);
		return 0;
	case WALK:
		if (walk->found) {
			if (walk->several || walk->current)
				return 1;
			restart(walk, IS_CURRENT);
			node_load(place, walk->found_socket);
			node_push_body(place, 0);
			return 0;
		}
		if (walk->promise && !walk->far) {
			/* It is waited for, on behalf of nobody. Where no one waits yet, the function that runs will. */
			if (walk->suspended)
				return 1;
			walk->far = 1;
		}
		return node_next_start(place);
	default:
		return 1;
	}
}

/* Notes an array of callbacks. */
__noinline int node_array(__u32 place, __u64 array)
{
	struct node_walk *walk = walk_at(place);
	__u64 length = WORD(array, ARRAY_LENGTH) >> 32, first;
	__u32 at, type;

	if (!walk || !length || length > NODE_PARTS)
		return 0;
	first = WORD(WORD(array, ELEMENTS_OF_OBJECT), ELEMENTS);
	type = IS_POINTER(first) ? TYPE_IN(meta_of(first)) : 0;
	at = walk->arrays;
	if (type < walk->program.first_function || type > walk->program.last_function || at >= MAX_ARRAYS)
		return 0;
	walk->array[at & (MAX_ARRAYS - 1)] = array;
	walk->arrays = at + 1;
	return 0;
}

/* Looks at one object. 1: that's it. */
__noinline int node_step(__u32 place)
{
	struct node_walk *walk = walk_at(place);
	const struct node_program *program;
	__u64 object, via;
	__u32 type, at;
	bool list;

	if (!walk)
		return 1;
	program = &walk->program;
	if (walk->cut) {
		if (!walk->of_socket || walk->promise || walk->found)
			return 1;
		/* It is no call, but a client that is shared by many (undici's): that leads anywhere. */
		walk->cut = 0;
		restart(walk, WALK);
	}
	walk->goes_on = 0;
	/* Another would be near. */
	if (walk->found && walk->current && walk->phase == WALK && walk->further++ >= MAX_FURTHER)
		return 1;
	if (walk->next_head < walk->next_tail) {
		at = walk->next_head & (MAX_NEXT - 1);
		object = walk->next[at].object;
		via = walk->next[at].via;
		walk->next_head++;
	} else {
		/* All of them were looked at: there is room again. */
		walk->next_head = walk->next_tail = 0;
		if (walk->head >= walk->tail)
			return node_end_start(place);
		at = walk->head & (MAX_OBJECTS - 1);
		object = walk->queue[at].object;
		via = walk->queue[at].via;
		walk->head++;
	}
	if (walk->phase == IS_CURRENT && object == walk->found_via) {
		walk->current = 1;
		return 1;
	}
	type = node_load(place, object);
	list = type == program->property_array || type == program->name_dictionary;
	switch (walk->phase) {
	case FIND_SOCKET:
		if (list) {
			node_push_body(place, via);
		} else if (type == program->object) {
			at = node_place_of(place, walk->handle);
			if (at) {
				walk->socket = object;
				walk->prototype = walk->of_prototype;
				walk->handle_at = at - 1;
				restart(walk, FIND_STARTS);
				node_push_body(place, 0);
			}
		}
		return 0;
	case FIND_STARTS:
		if (list)
			node_push_body(place, via);
		else if (type == program->object && node_place_of(place, walk->socket) && walk->starts < MAX_STARTS) {
			walk->start[walk->starts & (MAX_STARTS - 1)] = object;
			walk->starts++;
		}
		return 0;
	case WALK:
		if (type == program->promise)
			walk->promise = 1;
		else if (type == program->async_function || type == program->async_generator) {
			if (walk->body[GENERATOR_CONTINUATION] >> 32 != RUNNING)
				walk->suspended = 1;
		} else if (type == program->object && walk->of_prototype == walk->prototype) {
			meet_socket(walk, place, object, via);
			return 0;
		} else if (type == program->api_object && node_file_of(place, object)) {
			return 0;
		} else if (type == program->array) {
			if (!walk->in_part)
				node_array(place, object);
			return 0;
		}
		walk->goes_on = !list && type != program->object && type != program->api_object;
		node_push_body(place, list ? via : object);
		return 0;
	default:
		if (list || (type == program->api_object && !node_file_of(place, object)))
			node_push_body(place, via);
		return 0;
	}
}

/* One step of the walks from each callback. 1: that's it: parts[0..part) are told. */
__noinline int node_shared_step(__u32 place)
{
	struct node_walk *walk = walk_at(place);
	__u64 array, number;
	__u32 part;

	if (!walk)
		return 1;
	array = walk->array[walk->array_at & (MAX_ARRAYS - 1)];
	part = walk->part;
	if (walk->in_part) {
		if (!node_step(place))
			return 0;
		walk->in_part = 0;
		number = number_of(walk);
		walk->parts[part & (NODE_PARTS - 1)] = number;
		walk->part = part + 1;
		if (number != walk->alone)
			walk->unlike = 1;
		if (walk->found) {
			walk->shared = 1;
			if (number != walk->alone)
				walk->otherwise = 1;
		}
		return 0;
	}
	if (part < NODE_PARTS && part < WORD(array, ARRAY_LENGTH) >> 32) {
		__builtin_memset(&walk->found, 0, __builtin_offsetof(struct node_walk, arrays) - __builtin_offsetof(struct node_walk, found));
		/* Nothing of the stack. */
		walk->frame_at = FRAME_WORDS;
		walk->stack_at = STACK_WORDS;
		restart(walk, WALK);
		walk->in_part = 1;
		node_push(place, WORD(WORD(array, ELEMENTS_OF_OBJECT), ELEMENTS + 8 * (__u64)part), 0);
		return 0;
	}
	if (walk->shared)
		return 1;
	walk->part = walk->unlike = 0;
	return ++walk->array_at >= walk->arrays;
}

/* Tells for whom part `at` of what is written is. */
__noinline int node_tell(__u32 place, __u32 at)
{
	struct node_walk *walk = walk_at(place);

	if (walk)
		tell_task(bpf_get_current_pid_tgid(), FIRST_NODE_SHARED + ((walk->shares * NODE_PARTS + at) & NODE_SHARED_MASK), walk->parts[at & (NODE_PARTS - 1)], false);
	return 0;
}

/* Tells of each part of what is written. Returns the number of the whole. */
static __always_inline __u64 tell_parts(struct node_walk *walk, __u32 place, __u32 parts)
{
	walk->shares++;
	for (__u32 i = 0; i < NODE_PARTS; i++) {
		if (i >= parts)
			break;
		node_tell(place, i);
	}
	return FIRST_NODE_SHARED + (walk->shares * NODE_PARTS & NODE_SHARED_MASK);
}

/* What is written may be of several calls, for arrays of callbacks were met: the number that it has; 0: it is not known whose they are. */
static __always_inline __u64 number_shared(struct node_walk *walk, __u32 place)
{
	__u32 i, parts;

	walk->array_at = walk->part = walk->in_part = walk->shared = walk->otherwise = walk->unlike = 0;
	for (i = 0; i < MAX_SHARED_STEPS; i++) {
		if (node_shared_step(place))
			break;
	}
	parts = walk->part;
	if (i == MAX_SHARED_STEPS)
		return 0;
	if (!walk->shared || !walk->unlike)
		return walk->alone;
	if (!walk->otherwise) {
		/* Of the others nothing is known: it holds for one call. */
		walk->parts[0] = walk->alone;
		return tell_parts(walk, place, 1);
	}
	/* One that is led to twice, by what differs: by who has given the sign to send, and who is sent for. */
	if (parts == 1)
		return walk->parts[0];
	return tell_parts(walk, place, parts);
}

/* The current thread is about to write to `handle`, of libuv's: `pieces`, that were given to be written one by one. */
static __always_inline int writes(__u64 handle, __u32 pieces)
{
	const struct node_program *program = program_now();
	__u64 who = bpf_get_current_pid_tgid(), inside, isolate, object, number;
	struct connection *connection;
	struct file_socket there;
	struct node_walk *walk;
	__u32 place, i;

	if (!program || who >> 32 != (__u32)who || !socket_at(&there, word_at(handle + FD)))
		return 0;
	connection = bpf_map_lookup_elem(&connections, &there.sock);
	if (!connection || connection->role != ROLE_OUTBOUND)
		return 0;
	bpf_map_delete_elem(&node_calls, &there.sock);
	place = program->place;
	walk = walk_at(place);
	if (!walk)
		return 0;
	walk->program = *program;
	__builtin_memset(&walk->found, 0, __builtin_offsetof(struct node_walk, frame) - __builtin_offsetof(struct node_walk, found));
	inside = word_at(handle + DATA);
	walk->handle_in = handle - inside;
	walk->loop = word_at(handle + LOOP);
	object = word_at(word_at(inside + NODE_HANDLE));
	walk->constants = WORD(object, ELEMENTS_OF_OBJECT) >> PAGE_SHIFT; /* it has none: that is one for all */
	isolate = word_at(thread_pointer() + program->isolate);
	walk->top = word_at(isolate + program->entry_frame);
	if (!isolate || !walk->top || !IS_POINTER(object) || !node_file_of(place, object))
		return 0;
	walk->handle = object;
	walk->frame_at = FRAME_WORDS;
	restart(walk, FIND_SOCKET);
	node_load(place, object);
	node_push_body(place, 0);
	for (i = 0; i < MAX_LOOKED_AT; i++) {
		if (node_step(place))
			break;
	}
	walk->alone = number = i < MAX_LOOKED_AT ? number_of(walk) : 0;
	if (walk->arrays)
		number = number_shared(walk, place);
	/* Others' may have waited to be written with it: then it is of one call, or it is not known of which. */
	if (pieces > 1 && number && number < FIRST_NODE_SHARED) {
		walk->parts[0] = number;
		number = tell_parts(walk, place, 1);
	}
	if (number)
		bpf_map_update_elem(&node_calls, &there.sock, &number, BPF_ANY);
	return 0;
}

/* uv_try_write and uv_write2, where they begin. */
SEC("uprobe")
int node_tries(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return writes(PT_REGS_PARM1(regs), PT_REGS_PARM3(regs));
}

SEC("uprobe")
int node_writes(struct pt_regs *regs)
{
	ON_THREADS_STACK(regs);
	return writes(PT_REGS_PARM2(regs), PT_REGS_PARM4(regs));
}

__u64 node_request_of(__u64 who, __u64 sock, __u64 inbound)
{
	__u32 tgid = who >> 32;
	__u64 *known, number;

	if (tgid != (__u32)who || !bpf_map_lookup_elem(&node_programs, &tgid))
		return 0;
	if (inbound)
		return request_of(inbound, false);
	known = bpf_map_lookup_elem(&node_calls, &sock);
	if (!known)
		return 0;
	number = *known;
	/* Told once: what follows may be of others. */
	bpf_map_delete_elem(&node_calls, &sock);
	return number;
}
