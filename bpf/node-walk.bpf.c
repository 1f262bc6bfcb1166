// SPDX-License-Identifier: GPL-2.0-only
/* From one object of V8's to the next, up to the response that something is for (node-heap.h). */
#include "node-heap.h"

#define MAX_FURTHER 48 /* objects looked at after one was found that it may be */
#define MAX_FURTHER_BY_OPENING 320 /* where that is the one for which the connection was opened */
#define NEAR_WORDS 256 /* of the stack: beyond these it is gone on only with async functions that run, and sockets */

/* Of a frame of JavaScript's, below what it begins at: it is called, with so many, and bytecode is what runs, where it is not optimized. */
#define FRAME_FUNCTION 16
#define FRAME_COUNT 24
#define FRAME_CODE 32
#define MAX_CALLED_WITH 32

#define MAX_KEPT 16 /* properties of a parser: where it may keep what it is at */

/* Does an object that stands for one of Node's own (a parser of HTTP) keep `value`, in properties of its own? */
__noinline int node_keeps(__u64 object, __u64 value)
{
	__u64 properties = WORD(object, 8);
	__u32 count, keeps = 0;

	if (!IS_POINTER(properties))
		return 0;
	count = WORD(properties, 8) >> 32 & MAX_PROPERTIES;
	for (__u32 i = 0; i < MAX_KEPT; i++) {
		if (i < count && WORD(properties, ELEMENTS + 8 * i) == value)
			keeps = 1;
	}
	return keeps;
}

/* Does what the socket that was loaded last points to keep `value`, as its parser keeps the request that it is at? */
__noinline int node_parses(__u32 place, __u64 value)
{
	struct node_walk *walk = walk_at(place);

	if (!walk)
		return 0;
	for (__u32 i = 0; i < MAX_WORDS; i++) {
		__u64 object = walk->body[i];

		if (i < walk->words && IS_POINTER(object) && TYPE_IN(meta_of(walk, object)) == walk->program.api_object && !node_file_of(place, object) && node_keeps(object, value))
			return 1;
	}
	return 0;
}

/* A socket, which was loaded last, is at the end of the walk if somebody else has opened its connection. */
static __always_inline void meet_socket(struct node_walk *walk, __u32 place, __u64 socket, __u64 via)
{
	int file = node_file_of(place, walk->body[walk->handle_at & (MAX_WORDS - 1)]);
	struct connection *connection;
	struct file_socket there;
	bool is_current, by_opening;

	if (!file || !socket_at(&there, file - 1))
		return;
	connection = bpf_map_lookup_elem(&connections, &there.sock);
	if (!connection || connection->role != ROLE_INBOUND)
		return;
	/* On the stack: what runs now was called by what had read of it. */
	is_current = !via || node_place_of(place, via) || node_parses(place, via);
	if (!is_current && walk->words) {
		node_load(place, walk->body[(walk->words - 1) & (MAX_WORDS - 1)]); /* its properties */
		is_current = node_place_of(place, via) || node_parses(place, via);
	}
	/* What is left of opening the connection that is written to leads there, whoever uses it since. */
	by_opening = connection->id == walk->opener && (!is_current || connection->ingress_position == walk->opener_at);
	if (walk->found && by_opening)
		return;
	if (walk->found && !walk->by_opening && walk->found != connection->id)
		walk->several = 1;
	if (walk->by_opening)
		walk->further = 0;
	walk->by_opening = by_opening;
	walk->found = connection->id;
	walk->found_at = connection->ingress_position;
	walk->found_socket = socket;
	walk->found_via = via;
	walk->current = is_current;
}

/* Is what lies at `frame`, an address, one of a function of JavaScript's? */
static __always_inline bool is_function_frame(struct node_walk *walk, __u64 frame)
{
	__u64 function = word_at(frame - FRAME_FUNCTION);
	__u32 type;

	if (!IS_POINTER(function) || function >> ADDRESS_BITS)
		return false;
	type = TYPE_IN(meta_of(walk, function));
	return type >= walk->program.first_function && type <= walk->program.last_function;
}

/*
 * The next frame of the stack begins. What it was called with is what it says; but the rest, up to the frame of its caller, is the caller's own, and where the
 * compiler has optimized that, it keeps there also what is dead, its own or of those that have run there before.
 */
__noinline int node_next_frame(__u32 place)
{
	struct node_walk *walk = walk_at(place);
	__u64 frame, caller, code, count;

	if (!walk)
		return 0;
	frame = walk->top + 8 * (__u64)walk->caller_at;
	walk->called_with = walk->caller_at;
	if (is_function_frame(walk, frame)) {
		count = word_at(frame - FRAME_COUNT);
		walk->called_with += 2 + (count < MAX_CALLED_WITH ? count : 0);
	}
	caller = word_at(frame);
	if (caller <= frame || caller - frame >= 8 * STACK_WORDS) {
		walk->caller_at = STACK_WORDS;
		walk->is_sure = 1;
		return 0;
	}
	walk->caller_at += (caller - frame) / 8;
	code = word_at(caller - FRAME_CODE);
	walk->is_sure = !is_function_frame(walk, caller) || (IS_POINTER(code) && !(code >> ADDRESS_BITS) && TYPE_IN(meta_of(walk, code)) == walk->program.bytecode);
	return 0;
}

/* What the call may be begun with: word `at` of the stack's part that is at hand. 1: it is queued. */
__noinline int node_start(__u32 place, __u32 at)
{
	struct node_walk *walk = walk_at(place);
	const struct node_program *program;
	const struct node_shape *shape;
	__u64 object;
	bool is_live;
	__u32 type;

	if (!walk)
		return 0;
	program = &walk->program;
	object = walk->frame[at & (FRAME_WORDS - 1)];
	at += walk->stack_at - FRAME_WORDS;
	if (at >= walk->caller_at)
		node_next_frame(place);
	if (!IS_POINTER(object) || object >> ADDRESS_BITS)
		return 0;
	shape = shape_at(walk, map_of(walk, object));
	type = TYPE_IN(shape->meta);
	is_live = at < walk->called_with || walk->is_sure;
	if (!type)
		return 0;
	if (walk->far) {
		bool is_socket = is_live && type == program->object && shape->prototype == walk->prototype;

		if (!is_socket && ((type != program->async_function && type != program->async_generator) ||
				   WORD(object, GENERATOR_FROM + 8 * GENERATOR_CONTINUATION) >> 32 != RUNNING))
			return 0;
	} else if (!is_live || type < program->object || type == program->array || type == program->primitive_wrapper ||
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

/* All that is met from one start has been looked at, or nothing else is looked for than what was found. 1: that's it. */
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
	type = walk && IS_POINTER(first) ? TYPE_IN(meta_of(walk, first)) : 0;
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
	if (walk->found && (walk->current || walk->by_opening) && walk->phase == WALK && walk->further++ >= (walk->by_opening ? MAX_FURTHER_BY_OPENING : MAX_FURTHER))
		return node_end_start(place);
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
		if (type == program->promise) {
			walk->promise |= walk->words;
			if (walk->words && !IS_POINTER(walk->body[0]) && walk->unawaiteds < MAX_UNAWAITED) {
				walk->unawaited[walk->unawaiteds & (MAX_UNAWAITED - 1)] = object;
				walk->unawaiteds++;
			}
		} else if (type == program->async_function || type == program->async_generator) {
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
