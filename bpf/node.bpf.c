// SPDX-License-Identifier: GPL-2.0-only
/* What Node is about to write: for whom it is, by the walk through V8's heap (node-heap.h), and each part of it, where it is written for several. */
#include "emit.h"
#include "node-heap.h"
#include "registers.h"
#include <bpf/bpf_tracing.h>

#define MAX_LOOKED_AT 2000 /* objects looked at, of all parts: past that nothing is told (what is told takes how many: docs/decisions/node-heap.md) */
#define MAX_SHARED_STEPS 2048 /* of all of their walks */
#define MAX_CREDIT_NS 1000000000 /* so much of what walks may take is saved up at the most */
#define MAX_PAUSE_NS 20000000000 /* what is saved up in more than this is more than that */
#define STEPS_OF_LIST 8 /* for one of these, where it is walked from those of a list */
#define MAX_BEGUN_NS 20000000 /* calls that are begun together are written within this (an address means the same until objects were moved twice) */
#define MAX_LISTED 1024 /* in a list of all who wait */
#define MAX_THIS 48 /* words of the stack: where the object is that JavaScript has called to write */
/* In what Node has for that object. */
#define NODE_HANDLE 8 /* the reference to it */
#define MAX_INSIDE 64 /* words: which points to the handle of libuv's */
#define MAX_HANDLE_IN 1024 /* bytes: and where that is */

/* key: struct sock. value: number of the request for which it is written to next. Inserted: before it is. Deleted: once it is told. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u64);
} node_calls SEC(".maps");

/* For whom a connection was opened. */
struct node_opener {
	__u64 connection; /* number of that connection: else this is of another that had the address */
	__u64 inbound;    /* number of the one that its request came over                            */
	__u64 inbound_at; /* how far that one was read by then                                       */
};

/* key: struct sock. Inserted: when it is written to first. Deleted: by age. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct node_opener);
} node_openers SEC(".maps");

/* Notes for whom `connection` (a number), that of `sock`, was opened, as far as that is known. */
__noinline int node_opener_of(__u32 place, __u64 sock, __u64 connection)
{
	const struct node_opener *opener = bpf_map_lookup_elem(&node_openers, &sock);
	struct node_walk *walk = walk_at(place);

	if (!walk)
		return 0;
	walk->opener = walk->opener_at = 0;
	if (opener && opener->connection == connection) {
		walk->opener = opener->inbound;
		walk->opener_at = opener->inbound_at;
	}
	return 0;
}

/* `connection`, likewise, is opened for what was found. */
__noinline int node_opened(__u32 place, __u64 sock, __u64 connection)
{
	struct node_walk *walk = walk_at(place);
	struct node_opener opener;

	if (!walk || !walk->found || walk->several || walk->cut)
		return 0;
	opener = (struct node_opener){ connection, walk->found, walk->found_at };
	bpf_map_update_elem(&node_openers, &sock, &opener, BPF_ANY);
	return 0;
}

static __always_inline struct node_program *program_now(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&node_programs, &tgid);
}

static __always_inline void begin_part(struct node_walk *walk)
{
	__builtin_memset(&walk->found, 0, __builtin_offsetof(struct node_walk, arrays) - __builtin_offsetof(struct node_walk, found));
	/* Nothing of the stack. */
	walk->frame_at = FRAME_WORDS;
	walk->stack_at = STACK_WORDS;
	restart(walk, WALK);
	walk->in_part = 1;
}

/* Returns the part's number. */
static __always_inline __u64 end_part(struct node_walk *walk)
{
	__u64 number = number_of(walk);

	walk->in_part = 0;
	walk->parts[walk->part & (NODE_PARTS - 1)] = number;
	walk->part++;
	return number;
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
		number = end_part(walk);
		if (walk->found)
			walk->shared = 1;
		if (number != walk->alone) {
			walk->unlike = 1;
			if (walk->found)
				walk->otherwise = 1;
		}
		return 0;
	}
	if (part < NODE_PARTS && part < WORD(array, ARRAY_LENGTH) >> 32) {
		begin_part(walk);
		node_push(place, WORD(WORD(array, ELEMENTS_OF_OBJECT), ELEMENTS + 8 * (__u64)part), 0);
		return 0;
	}
	if (walk->shared)
		return 1;
	walk->part = walk->unlike = 0;
	return ++walk->array_at >= walk->arrays;
}

/* Keeps, of the promises that were met with the request `number` found, those that none waits for so far. */
__noinline int node_keep_begun(__u32 place, __u64 number, __u64 now)
{
	struct node_walk *walk = walk_at(place);

	if (!walk)
		return 0;
	for (__u32 i = 0; i < MAX_UNAWAITED; i++) {
		struct node_begun *begun = &walk->begun[walk->begins & (MAX_BEGUN - 1)];

		if (i >= walk->unawaiteds)
			break;
		begun->promise = walk->unawaited[i];
		begun->number = number;
		begun->at_ns = now;
		walk->begins++;
	}
	return 0;
}

/* The request for which a promise was begun that was met and that none waits for so far; 0: it is not known, or there are several. */
__noinline __u64 node_begun_for(__u32 place, __u64 now)
{
	struct node_walk *walk = walk_at(place);
	__u64 number = 0;

	if (!walk)
		return 0;
	for (__u32 i = 0; i < MAX_BEGUN; i++) {
		const struct node_begun *begun = &walk->begun[i];

		for (__u32 at = 0; at < MAX_UNAWAITED; at++) {
			if (at >= walk->unawaiteds || walk->unawaited[at] != begun->promise || now - begun->at_ns > MAX_BEGUN_NS)
				continue;
			if (number && number != begun->number)
				return 0;
			number = begun->number;
		}
	}
	return number;
}

/* How many are in the list from the one that was met on; 0: it is too long. */
__noinline int node_listed(__u32 place)
{
	struct node_walk *walk = walk_at(place);
	__u64 object, map;
	__u32 count = 0;

	if (!walk || !walk->list)
		return 0;
	object = walk->list;
	map = WORD(object, 0);
	for (__u32 i = 0; i <= MAX_LISTED; i++) {
		if (!IS_POINTER(object) || WORD(object, 0) != map)
			return count;
		object = WORD(object, walk->link);
		count++;
	}
	return 0;
}

/* One step of the walks from what is in the list. 1: that's it: parts[0..part) are told. */
__noinline int node_listed_step(__u32 place)
{
	struct node_walk *walk = walk_at(place);
	__u64 object, map, meta;

	if (!walk)
		return 1;
	if (walk->in_part) {
		for (__u32 i = 0; i < STEPS_OF_LIST; i++) {
			if (node_step(place)) {
				end_part(walk);
				break;
			}
		}
		return 0;
	}
	object = walk->list;
	map = WORD(object, 0);
	if (walk->part >= NODE_PARTS || !walk->link)
		return 1;
	begin_part(walk);
	meta = meta_of(walk, object);
	for (__u32 at = 0; at < MAX_FIELDS; at++) {
		if (at < (meta & 255) - FIRST_FIELD / 8 && FIRST_FIELD + 8 * at != walk->link)
			node_push(place, WORD(object, FIRST_FIELD + 8 * at), object);
	}
	object = WORD(object, walk->link);
	if (IS_POINTER(object) && WORD(object, 0) == map)
		walk->list = object;
	else
		walk->link = 0; /* that was the last */
	return 0;
}

/* Tells for whom part `at` of what is written is. */
__noinline int node_tell(__u32 place, __u32 at)
{
	struct node_walk *walk = walk_at(place);

	if (walk)
		tell_task(bpf_get_current_pid_tgid(), FIRST_NODE_SHARED + ((walk->shares * NODE_PARTS + at) & NODE_SHARED_MASK), walk->parts[at & (NODE_PARTS - 1)], walk->of_list);
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

/*
 * What is written in `pieces`, the last of which is for `alone`, may be of several who wait in a list (node-redis' commands): the number that it
 * has; 0: it is not known whose they are. Of the list as many are told at the most as there are pieces, the last ones.
 */
static __always_inline __u64 number_listed(struct node_walk *walk, __u32 place, __u32 pieces)
{
	__u32 count = node_listed(place), i;

	if (pieces > NODE_PARTS)
		pieces = NODE_PARTS;
	for (i = 0; i < MAX_LISTED; i++) {
		if (i + pieces >= count)
			break;
		walk->list = WORD(walk->list, walk->link);
	}
	walk->part = walk->in_part = 0;
	for (i = 0; count && i < MAX_SHARED_STEPS; i++) {
		if (node_listed_step(place))
			break;
	}
	count = walk->part;
	if (!count || i == MAX_SHARED_STEPS || walk->parts[(count - 1) & (NODE_PARTS - 1)] != walk->alone)
		return 0;
	walk->of_list = 1;
	return tell_parts(walk, place, count);
}

/* At `now` there is time for a walk. Counted either way. */
static __always_inline bool may_walk(struct node_walk *walk, __u32 share, __u64 now)
{
	struct node_counts *counts;
	__u64 since = now - walk->counted_at;
	__u32 zero = 0;
	bool may = true;

	if (share) {
		walk->credit += (since < MAX_PAUSE_NS ? since : MAX_PAUSE_NS) * share / 1024;
		if (walk->credit > MAX_CREDIT_NS)
			walk->credit = MAX_CREDIT_NS;
		walk->counted_at = now;
		may = walk->credit > 0;
	}
	counts = bpf_map_lookup_elem(&node_counts, &zero);
	if (counts)
		__sync_fetch_and_add(may ? &counts->walked : &counts->left_out, 1);
	return may;
}

/*
 * Notes the handle of libuv's for file `fd`, if the word at `at` of the stack's part that is at hand is the object that stands for it: what is called by
 * JavaScript has it there, as `this`. 1: it is.
 */
__noinline int node_handle_at(__u32 place, __u32 at, __u32 fd)
{
	struct node_walk *walk = walk_at(place);
	__u64 object, inside, handle;

	if (!walk)
		return 0;
	object = walk->frame[at & (FRAME_WORDS - 1)];
	if (!IS_POINTER(object) || object >> ADDRESS_BITS || TYPE_IN(meta_of(walk, object)) != walk->program.api_object)
		return 0;
	inside = inside_of(walk, object);
	if (!inside || word_at(word_at(inside + NODE_HANDLE)) != object)
		return 0;
	for (__u32 word = 0; word < MAX_INSIDE; word++) {
		handle = word_at(inside + 8 * word);
		if (handle - inside < MAX_HANDLE_IN && word_at(handle + DATA) == inside && (__u32)word_at(handle + FD) == fd) {
			walk->handle = object;
			walk->handle_in = handle - inside;
			walk->loop = word_at(handle + LOOP);
			return 1;
		}
	}
	return 0;
}

/* The current thread is about to write to `sock`, its file `fd`, which is `connection`'s: `pieces`, that were given to be written one by one. */
static __always_inline void walk_for(struct node_walk *walk, __u32 place, __u32 fd, __u64 sock, const struct connection *connection, __u32 pieces)
{
	__u64 isolate, number;
	__u32 i;

	walk->walks++;
	walk->of_maps = 0;
	__builtin_memset(&walk->found, 0, __builtin_offsetof(struct node_walk, frame) - __builtin_offsetof(struct node_walk, found));
	isolate = word_at(thread_pointer() + walk->program.isolate);
	walk->top = word_at(isolate + walk->program.entry_frame);
	if (!isolate || !walk->top || bpf_probe_read_user(walk->frame, sizeof(walk->frame), (void *)walk->top))
		return;
	for (i = 0; i < MAX_THIS; i++) {
		if (node_handle_at(place, i, fd))
			break;
	}
	if (i == MAX_THIS || !node_file_of(place, walk->handle))
		return;
	walk->constants = WORD(walk->handle, ELEMENTS_OF_OBJECT) >> PAGE_SHIFT; /* it has none: that is one for all */
	walk->stack_at = FRAME_WORDS; /* these were read */
	node_opener_of(place, sock, connection->id);
	restart(walk, FIND_SOCKET);
	node_load(place, walk->handle);
	node_push_body(place, 0);
	for (i = 0; i < MAX_LOOKED_AT; i++) {
		if (node_step(place))
			break;
	}
	number = i < MAX_LOOKED_AT ? number_of(walk) : 0;
	if (number && number != NODE_NOBODY)
		node_keep_begun(place, number, bpf_ktime_get_ns());
	else if (!number && i < MAX_LOOKED_AT && !walk->cut && !walk->several)
		number = node_begun_for(place, bpf_ktime_get_ns());
	walk->alone = number;
	if (connection->connected_ns && !connection->egress_position)
		node_opened(place, sock, connection->id);
	if (walk->arrays)
		number = number_shared(walk, place);
	/* Others' may have waited to be written with it: then it is of one call, or it is not known of which. */
	if (pieces > 1 && number && number < FIRST_NODE_SHARED) {
		__u64 shared = walk->alone && walk->alone != NODE_NOBODY ? number_listed(walk, place, pieces) : 0;

		walk->parts[0] = number;
		number = shared ? shared : tell_parts(walk, place, 1);
	}
	if (number)
		bpf_map_update_elem(&node_calls, &sock, &number, BPF_ANY);
}

/* Before whatever a backend hooks. Every system call comes here. */
SEC("tp_btf/sys_enter")
int BPF_PROG(node_writes, const struct pt_regs *regs, long call)
{
	const struct node_program *program;
	__u64 who, now;
	struct connection *connection;
	struct file_socket there;
	struct node_walk *walk;
	__u32 place;

	if (call != NR_WRITE && call != NR_WRITEV)
		return 0;
	program = program_now();
	if (!program || !is_64_bit(regs->CALL_MODE))
		return 0;
	who = bpf_get_current_pid_tgid();
	if (who >> 32 != (__u32)who || !socket_at(&there, regs->CALL_FIRST))
		return 0;
	connection = bpf_map_lookup_elem(&connections, &there.sock);
	if (!connection || connection->role != ROLE_OUTBOUND)
		return 0;
	bpf_map_delete_elem(&node_calls, &there.sock);
	place = program->place;
	walk = walk_at(place);
	now = bpf_ktime_get_ns();
	if (!walk || !may_walk(walk, program->share, now))
		return 0;
	walk->program = *program;
	walk_for(walk, place, regs->CALL_FIRST, there.sock, connection, call == NR_WRITEV ? regs->CALL_THIRD : 1);
	walk->credit -= bpf_ktime_get_ns() - now;
	return 0;
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
