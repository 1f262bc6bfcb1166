// SPDX-License-Identifier: GPL-2.0-only
/* Objects of V8's: what they are, and what they point to that is worth looking at. */
#include "emit.h"
#include "node-heap.h"

#define MAX_OF_SOCKET 192 /* objects met from one of FIND_STARTS', while there is no promise among them */
#define MAX_VARIABLES 24 /* of a context that is gone on with: past that it is a module's, in a bundle */
#define MAX_LINKS 12 /* of an object's words: where it may point to the next of a list */
#define MAX_PROBES 24 /* places where an object is looked for among those that were met */

/* In objects of V8 (node-heap.h). */
#define BOUND_FROM 24 /* function, this, arguments */
#define FIRST_NO_STRING 128 /* of types */
#define PROMISE_REACTIONS 24
#define PROMISE_FLAGS 32
#define PROMISE_STATUS 3 /* of its flags; 0: pending */
#define ASYNC_REQUEST_PROMISE 32
#define CONTEXT_SCOPE 16
#define CONTEXT_PREVIOUS 24
#define CONTEXT_OF_FUNCTION 5 /* in the order of their names */
#define CONTEXT_OF_MODULE 6
#define CONTEXT_NATIVE 7
#define CONTEXT_OF_SCRIPT 8
#define DICTIONARY_PREFIX 5 /* before the first key */

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
			if (tail >= MAX_OBJECTS || (walk->of_socket && !walk->promise && tail >= MAX_OF_SOCKET))
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

#define LINKS 255 /* more than one */

/*
 * Which of the words of `object`, which were loaded, points to another of the same `map`, counted from 1: it is in a list, as what waits in a queue of all
 * is. 0: none. Forgets those that point to strings.
 */
__noinline int node_link_of(__u32 place, __u64 object, __u64 map, __u32 count)
{
	struct node_walk *walk = walk_at(place);
	__u64 word, of_word;
	int link = 0;

	if (!walk)
		return 0;
	for (__u32 i = 0; i < MAX_LINKS; i++) {
		if (i >= count)
			break;
		word = walk->body[i];
		if (!IS_POINTER(word) || word == object || word >> PAGE_SHIFT == walk->constants)
			continue;
		of_word = map_of(walk, word);
		if (of_word == map)
			link = link ? LINKS : i + 1;
		else if (TYPE_IN(shape_at(walk, of_word)->meta) < FIRST_NO_STRING)
			walk->body[i] = 0;
	}
	return link;
}

/* Does `object` point back to the one `before` it in a list? Then that goes both ways. */
__noinline int node_links_back(__u64 object, __u64 before)
{
	int links = 0;

	for (__u32 at = 0; at < MAX_FIELDS; at++) {
		if (WORD(object, FIRST_FIELD + 8 * at) == before)
			links = 1;
	}
	return links;
}

/* Reads those words of `object` that lead to what goes on when it is done. Returns its type. */
__noinline int node_load(__u32 place, __u64 object)
{
	struct node_walk *walk = walk_at(place);
	const struct node_program *program;
	const struct node_shape *shape;
	const struct node_head *head;
	__u64 meta, properties = 0;
	__u32 from = 0, count = 0, type;

	if (!walk)
		return 0;
	program = &walk->program;
	walk->words = 0;
	walk->of_prototype = 0;
	head = head_at(walk, object);
	shape = shape_at(walk, head->words[0]);
	meta = shape->meta;
	type = TYPE_IN(meta);
	if (type >= program->object && type <= program->last_object) {
		if (type == program->object)
			walk->of_prototype = shape->prototype;
		from = (meta >> 8 & 255) * 8;
		count = (meta & 255) - (meta >> 8 & 255);
		properties = head->words[1];
	} else if (type >= program->first_function && type <= program->last_function) {
		from = program->function_context;
		count = 1;
	} else if (type >= program->first_context && type <= program->last_context) {
		__u32 kind = type - program->first_context, around;

		/* Those are shared by all. */
		if (kind == CONTEXT_OF_MODULE || kind == CONTEXT_NATIVE || kind == CONTEXT_OF_SCRIPT)
			return type;
		from = CONTEXT_PREVIOUS;
		count = (__u32)(head->words[1] >> 32) - 1;
		if (count > MAX_VARIABLES)
			count = 1; /* those around it */
		if (kind == CONTEXT_OF_FUNCTION) {
			around = TYPE_IN(meta_of(walk, head->words[CONTEXT_PREVIOUS / 8])) - program->first_context;
			head = head_at(walk, object); /* the other may have taken its place */
			/* A CommonJS module's own; but what resolves a promise has such a one too, of no scope, where the compiler has made it. */
			if ((around == CONTEXT_NATIVE || around == CONTEXT_OF_SCRIPT) && head->words[CONTEXT_SCOPE / 8] >> PAGE_SHIFT != walk->constants)
				return type;
		}
	} else if (type == program->promise) {
		from = PROMISE_REACTIONS;
		count = (head->words[PROMISE_FLAGS / 8] >> 32 & PROMISE_STATUS) == 0;
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
		count = head->words[1] >> 32;
	} else if (type == program->property_array) {
		from = ELEMENTS;
		count = head->words[1] >> 32 & MAX_PROPERTIES;
	} else if (type == program->name_dictionary) {
		from = ELEMENTS + DICTIONARY_PREFIX * 8;
		count = (__u32)(head->words[1] >> 32) - DICTIONARY_PREFIX;
	} else if (type == program->async_request) {
		from = ASYNC_REQUEST_PROMISE;
		count = 1;
	}
	if (count > MAX_WORDS - 1)
		count = (__s32)count < 0 ? 0 : MAX_WORDS - 1;
	opaque(count);
	count &= MAX_WORDS - 1;
	if (from / 8 + count <= HEAD_WORDS) {
		for (__u32 i = 0; i < HEAD_WORDS; i++) {
			if (i >= count)
				break;
			walk->body[i] = head->words[(from / 8 + i) & (HEAD_WORDS - 1)];
		}
	} else if (count && bpf_probe_read_user(walk->body, count * 8, (void *)(object - TAG + from))) {
		walk->cut = 1;
		return 0;
	}
	if (type == program->object) {
		__u32 link = node_link_of(place, object, head->words[0], count);

		if (link && link != LINKS && !walk->list && !walk->in_part && !node_links_back(walk->body[(link - 1) & (MAX_WORDS - 1)], object)) {
			walk->list = object;
			walk->link = from + 8 * (link - 1);
		}
		if (link)
			return type;
	}
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
		if (IS_POINTER(walk->body[i]) && walk->body[i] >> PAGE_SHIFT != walk->constants)
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
	__u64 inside, handle, words[TYPE / 8 + 1];
	__u32 type;

	if (!walk)
		return 0;
	inside = inside_of(walk, object);
	if (!inside)
		return 0;
	handle = inside + walk->handle_in;
	if (bpf_probe_read_user(words, sizeof(words), (void *)handle))
		return 0;
	type = words[TYPE / 8];
	if (words[DATA / 8] != inside || words[LOOP / 8] != walk->loop || (type != UV_TCP && type != UV_NAMED_PIPE))
		return 0;
	return (__u32)word_at(handle + FD) + 1;
}
