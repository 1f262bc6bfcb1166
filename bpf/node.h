/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For which request Node writes to a dependency. V8's heap leads from the call that is being written to the response that it is for (docs/decisions/node-heap.md):
 * it is walked where the main thread writes, and what is found is noted by socket. What is written to
 * a connection that somebody else has opened is for the request that this one is at.
 */
#ifndef KOALA_NODE_H
#define KOALA_NODE_H

#include "goroutine.h"

#define NODE_WALKS 64

/*
 * Numbers of requests, by the connection that is at them, and of those that it was at before; and of what is written for several, which the
 * writes of a process are counted by: beyond those of Python's contexts that are counted, before those that are met. Of the latter each part has a number.
 */
#define NODE_REQUEST_MASK ((1ULL << 44) - 1)
#define FIRST_NODE_REQUEST (FIRST_TASK + (1ULL << 46))
#define NODE_NOBODY FIRST_NODE_REQUEST /* no connection has the number 0 */
#define FIRST_NODE_ANSWERED (FIRST_NODE_REQUEST + (1ULL << 44))
#define FIRST_NODE_SHARED (FIRST_NODE_REQUEST + (1ULL << 45))
#define NODE_SHARED_MASK ((1ULL << 45) - 1)
#define NODE_PARTS 64

/* key: tgid. Inserted: user space. Deleted: exec, exit. Numbers of types are V8's instance types. */
struct node_program {
	__s64 isolate;     /* pointer to the thread's isolate, from fsbase                        */
	__u32 entry_frame; /* in that: the last frame of JavaScript before the code that runs now */
	__u32 place;       /* key of node_walks                                                   */
	__u16 map;
	__u16 object;
	__u16 last_object; /* from plain ones on: what has properties within it */
	__u16 api_object;
	__u16 first_function;
	__u16 last_function;
	__u16 bound_function;
	__u16 promise;
	__u16 reaction;
	__u16 capability;
	__u16 generator;
	__u16 async_function;
	__u16 async_generator;
	__u16 async_request;
	__u16 context_cell; /* 0: contexts have none */
	__u16 first_context; /* they are in the order of their names: await, block, catch, debug evaluate, eval, function, module, native, script, with */
	__u16 last_context;
	__u16 fixed_array;
	__u16 property_array;
	__u16 name_dictionary;
	__u16 array;
	__u16 first_collection; /* map, set and weak ones */
	__u16 last_collection;
	__u16 primitive_wrapper;
	__u16 function_context; /* in a function, in bytes: its context                       */
	__u16 embedder_field;   /* in an object that stands for one of Node's: that           */
	__u32 share;            /* of the time that walks may take, in 1024ths; 0: any        */
	__u32 bytecode;         /* a type, as those above                                     */
	__u32 pad0;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NODE_WALKS);
	__type(key, __u32);
	__type(value, struct node_program);
} node_programs __weak SEC(".maps");

/* Writes for which it was walked, and those for which it was not: `share` was used up. Read: user space. */
struct node_counts {
	__u64 walked;
	__u64 left_out;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct node_counts);
} node_counts __weak SEC(".maps");

/* The number of the request (or one before: FIRST_NODE_ANSWERED) for which the current thread, which is `who`, writes to `sock` (a number); 0: not known. `inbound`: number of its connection, where somebody else has opened that. */
extern __u64 node_request_of(__u64 who, __u64 sock, __u64 inbound);

#endif
