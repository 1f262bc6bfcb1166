// SPDX-License-Identifier: GPL-2.0-only
/*
 * What threads of a JVM have allocated, and which objects stand on their stacks. A task that one thread of an executor takes out of its
 * queue was allocated by whoever put it in, and stands on the stack of who runs it, as the oldest of all that is new there: so it tells
 * whose work that is (src/contexts/allocation.ts).
 *
 *   thread 7   allocates in its piece   | … | … | task |  …
 *   thread 9   its stack, oldest first: Thread.run(thread 9)  Worker.run(worker)  FutureTask.run(task)  …
 *
 * Not all words there are alive: calls leave gaps, in which stands what earlier ones have written. The collector does not set these right, so
 * another object may lie there by now, which is new as well. But such a word has stood there since before objects were moved last.
 */
#include "emit.h"
#include "java.h"
#include "registers.h"

/*
 * The thread's own object stands where its oldest call of Java's is, of Thread.run. Above that is what the JVM itself calls, which is alike in
 * all threads, but for a multiple of SPREAD_BYTES (so that their stacks don't begin at like addresses). Else it is looked for, so far at a time.
 */
#define SPREAD_BYTES 128
#define SPREADS 8
#define STACK_BYTES 16384
#define SEARCHED_BYTES 1024
/* Looked through for what it works with. */
#define RUN_WORDS 16
#define RUNS 8
/* And, from its newest calls on, for a holder. */
#define HOLDER_RUNS 20
#define HELD_UNKNOWN 2
#define SLOTS (RUNS * RUN_WORDS)

/* Of a word that stands on a stack. */
struct java_slot {
	__u16 word;  /* where in the heap that leads, as fold() has it     */
	__u16 since; /* what `collections` was when it was seen to come there; less: it may have been there before */
};

/* key: tid. Deleted: by age. */
struct java_stack {
	__u64 thread;   /* its JavaThread: else this is of another that had the id     */
	__u64 frame;    /* address at which its own object stands; 0: not known so far */
	__u64 searched; /* bytes, for that                                             */
	__u64 top;      /* what was told last */
	__u64 first;
	__u64 context;
	__u64 from; /* the piece in which it allocates now; both 0: not known */
	__u64 to;
	__u64 objects[HEAP_OBJECTS]; /* found this time */
	__u64 words[RUN_WORDS]; /* of its stack: programs have little room for variables */
	__u32 count;
	__u32 held; /* 1: a holder was found this time, and the object is what that holds; HELD_UNKNOWN and more: it is not known what */
	__u32 collections; /* this time */
	__u32 looked; /* the slots are known */
	struct java_slot slots[SLOTS]; /* from `frame` down, run by run */
	__u16 worked[RUNS]; /* bit: there stood something new once, a task for instance */
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct java_stack);
} java_stacks SEC(".maps");

/*
 * ZGC moves objects at any time, but only those of pages that it had made before it began to (ZPage::is_relocatable of OpenJDK). What lies in one
 * that was made since has not been moved, and nothing else has lain there, until it begins again: that is counted in `collections`. Of others
 * nothing is known here.
 */
static __always_inline bool stays(const struct java_heap *heap, __u64 object, __u32 collections)
{
	__u64 offset = object & heap->offset_mask, page;

	if (!heap->pages)
		return true;
	page = word_at(heap->pages + (offset >> PAGE_SHIFT) * 8);
	return page && (__u32)word_at(page + heap->page_time) == collections + 1 && word_at(page + heap->page_start) == offset >> PAGE_SHIFT << PAGE_SHIFT;
}

/*
 * `word` of a stack is where the object is. ZGC sets words right only when the thread comes back to them, or when it begins again; until then it keeps
 * from where it has moved what: a word that leads there may be old, though there be another object by now.
 */
static __always_inline bool is_true(const struct java_heap *heap, __u64 word)
{
	__u64 entry = (word & heap->offset_mask) >> PAGE_SHIFT << 3;

	if (!heap->pages)
		return true;
	if (!heap->left[0])
		return !(word & word_at(heap->stale));
	return !word_at(heap->left[0] + entry) && !word_at(heap->left[1] + entry);
}

/* It has not been moved since it was allocated: unlocked, of age 0 (markWord.hpp of OpenJDK). */
static __always_inline bool is_new(const struct java_heap *heap, __u64 object, __u32 collections)
{
	__u64 mark = word_at(object);

	return (mark & 3) == 1 && !(mark & 15 << 3) && stays(heap, object, collections);
}

/* At `frame` stands what has been at `own`: as far as `mask` goes. */
static __always_inline bool stands_at(__u64 frame, __u64 own, __u64 mask)
{
	return !((word_at(frame) ^ own) & mask);
}

/* Where it stands among the SEARCHED_BYTES below `from`; 0: not there. A function of its own, of numbers: it is verified once, and not for each way there. */
__noinline __u64 java_frame_below(__u64 from, __u64 own, __u64 mask)
{
	for (int i = 1; i <= SEARCHED_BYTES / 8; i++)
		if (stands_at(from - i * 8, own, mask))
			return from - i * 8;
	return 0;
}

/* Where the thread's object, which `slot` points to, stands on its stack, which begins at `base`; 0: not found so far. */
static __always_inline __u64 frame_of(struct java_heap *heap, struct java_stack *stack, __u64 base, __u64 slot)
{
	__u64 own = word_at(slot), mask = heap->offset_mask, from;
	/* Of ZGC's either may be of before it was moved. But the oldest of its calls stays where it is. */
	bool moved = heap->stale && own & word_at(heap->stale);

	if (heap->stale)
		own >>= word_at(heap->coloured) & 63;
	if (stack->frame && (moved || stands_at(stack->frame, own, mask)))
		return stack->frame;
	stack->frame = stack->looked = 0;
	__builtin_memset(stack->worked, 0, sizeof(stack->worked));
	from = base - heap->depth;
	for (int i = 1 - SPREADS; heap->depth && i < SPREADS; i++)
		if (stands_at(from + i * SPREAD_BYTES, own, mask))
			return stack->frame = from + i * SPREAD_BYTES;
	stack->frame = java_frame_below(base - stack->searched, own, mask);
	if (stack->frame) {
		stack->searched = 0;
		heap->depth = base - stack->frame;
		return stack->frame;
	}
	stack->searched = stack->searched < STACK_BYTES ? stack->searched + SEARCHED_BYTES : 0;
	return 0;
}

/* `object` stands on the stack of thread `tid`. 0: it is not new. A function of its own, likewise. */
int java_object(__u32 tid, __u64 object)
{
	struct java_stack *stack = bpf_map_lookup_elem(&java_stacks, &tid);
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	const struct java_heap *heap = bpf_map_lookup_elem(&java_heaps, &tgid);

	if (!stack || !heap || !is_new(heap, object, stack->collections) || !is_true(heap, object))
		return 0;
	object &= heap->offset_mask;
	for (__u32 i = 0; i < HEAP_OBJECTS; i++)
		if (stack->objects[i] == object)
			return 1;
	if (stack->count < HEAP_OBJECTS)
		stack->objects[stack->count++] = object;
	return 1;
}

/* Reads so many words of its stack, from `at` on; false: they can't be read. */
static __always_inline bool read_run(struct java_stack *stack, __u64 at)
{
	return !bpf_probe_read_user(stack->words, sizeof(stack->words), (void *)at);
}

static __always_inline __u16 fold(__u64 word)
{
	return (__u32)(word >> 3) * 0x9e3779b1u >> 16;
}

/* `word` was not there yet when objects were moved last, as far as is known. */
static __always_inline bool has_come(const struct java_stack *stack, struct java_slot *slot, __u64 word)
{
	if (slot->word != fold(word)) {
		slot->word = fold(word);
		slot->since = stack->collections - !stack->looked;
	}
	return slot->since == (__u16)stack->collections;
}

/* Finds what stands in that run of words below `frame` and was not allocated in its own piece, the oldest first. A function of its own, likewise. */
__noinline int java_objects_in(__u32 tid, __u32 run)
{
	struct java_stack *stack = bpf_map_lookup_elem(&java_stacks, &tid);
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	const struct java_heap *heap = bpf_map_lookup_elem(&java_heaps, &tgid);
	__u64 size;

	if (!stack || !heap || run >= RUNS || !read_run(stack, stack->frame - (run + 1) * sizeof(stack->words)))
		return 0;
	size = heap->to - heap->from;
	for (int i = RUN_WORDS - 1; i >= 0; i--) {
		__u64 word = stack->words[i];

		if (!has_come(stack, &stack->slots[run * RUN_WORDS + i], word & heap->offset_mask) || word & 7 || word - heap->from >= size ||
		    (word & heap->offset_mask) - stack->from < stack->to - stack->from)
			continue;
		if (java_object(tid, word))
			stack->worked[run] |= 1 << i;
		else if (!heap->pages && stack->worked[run] & 1 << i)
			/* A task that was moved: what is new behind it is none. (ZGC's moved objects lie where new ones do.) */
			stack->count = HEAP_OBJECTS;
	}
	return 0;
}

/* Finds what stands on its stack below `frame`. */
static __always_inline void find_objects(struct java_stack *stack, __u32 tid)
{
	for (__u32 run = 0; run < RUNS; run++)
		java_objects_in(tid, run);
	stack->looked = 1;
}

static __always_inline bool is_holder(const struct java_heap *heap, __u64 object)
{
	return (word_at(object + heap->holder_at) >> (heap->holder_shift & 63) & heap->holder_mask) == heap->holder;
}

/* `object` stands on the stack of thread `tid`: if it is a holder, what it holds is what the thread is at. A function of its own, likewise. */
int java_holder(__u32 tid, __u64 object)
{
	struct java_stack *stack = bpf_map_lookup_elem(&java_stacks, &tid);
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	const struct java_heap *heap = bpf_map_lookup_elem(&java_heaps, &tgid);

	if (!stack || !heap || !is_holder(heap, object) || !stays(heap, object, stack->collections) || !is_true(heap, object))
		return 0;
	for (int i = 0; i < HELD_STEPS; i++) {
		object = pointer_at(object + heap->steps[i], heap->stale ? word_at(heap->stale) : 0, heap->coloured);
		if (heap->narrow)
			object = heap->pointers + ((object & 0xffffffff) << (heap->pointer_shift & 63));
	}
	/* What stands where nothing was written since may be one of before: then it is not known which it is. */
	if (stack->held && stack->objects[0] != object)
		object = 0;
	stack->objects[0] = object;
	stack->held = object ? 1 : HELD_UNKNOWN;
	return 0;
}

/* Likewise, of holders. */
__noinline int java_holders_from(__u32 tid, __u64 at)
{
	struct java_stack *stack = bpf_map_lookup_elem(&java_stacks, &tid);
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	const struct java_heap *heap = bpf_map_lookup_elem(&java_heaps, &tgid);
	__u64 size;

	if (!stack || !heap || !read_run(stack, at))
		return 0;
	size = heap->to - heap->from;
	for (int i = 0; i < RUN_WORDS; i++) {
		__u64 word = stack->words[i];

		if (!(word & 7) && word - heap->from < size && stack->held < HELD_UNKNOWN)
			java_holder(tid, word);
	}
	return stack->held < HELD_UNKNOWN;
}

/* Finds what is held by who stands on its stack, which begins at `base`. */
static __always_inline void find_held(struct java_stack *stack, __u32 tid, __u64 base, const struct java_heap *heap)
{
	const struct pt_regs *registers = CALL_REGISTERS(bpf_get_current_task_btf(), bpf_get_current_task());
	__u64 at = BPF_CORE_READ(registers, sp) & ~7ull;

	for (__u32 run = 0; run < HOLDER_RUNS && at < base && java_holders_from(tid, at); run++)
		at += sizeof(stack->words);
	if (!stack->held)
		return;
	if (!is_new(heap, stack->objects[0], stack->collections))
		stack->objects[0] = 0;
	stack->objects[0] &= heap->offset_mask;
}

/* One, of which nothing is known. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct java_stack);
} unknown_stack SEC(".maps");

static __always_inline struct java_stack *stack_of(__u32 tid, __u64 thread)
{
	struct java_stack *stack = bpf_map_lookup_elem(&java_stacks, &tid);
	__u32 zero = 0;

	if (stack && stack->thread == thread)
		return stack;
	stack = bpf_map_lookup_elem(&unknown_stack, &zero);
	if (!stack)
		return 0;
	bpf_map_update_elem(&java_stacks, &tid, stack, BPF_ANY);
	stack = bpf_map_lookup_elem(&java_stacks, &tid);
	if (stack)
		stack->thread = thread;
	return stack;
}

static __always_inline void tell(__u64 who, __u64 at_ns, const struct java_stack *stack)
{
	struct {
		struct sample head;
		struct heap_payload payload;
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return;
	}
	fill_told(&record->head, SAMPLE_HEAP, sizeof(record->payload), who, stack->context, at_ns);
	record->payload.start = stack->from;
	record->payload.top = stack->top;
	record->payload.end = stack->to;
	record->payload.collections = stack->collections;
	record->payload.held = stack->held != 0;
	__builtin_memcpy(record->payload.objects, stack->objects, sizeof(stack->objects));
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline void forget(struct java_stack *stack)
{
	stack->from = stack->to = 0;
	stack->held = 0;
	stack->count = 0;
	__builtin_memset(stack->objects, 0, sizeof(stack->objects));
}

int tell_heap(__u64 who, __u64 context, __u64 at_ns)
{
	__u32 tgid = who >> 32;
	struct java_heap *heap = bpf_map_lookup_elem(&java_heaps, &tgid);
	struct java_stack *stack;
	__u64 thread, base, frame, top = 0;

	if (!heap)
		return 0;
	thread = java_thread(heap->thread, heap->os_thread, heap->self);
	stack = thread ? stack_of((__u32)who, thread) : 0;
	if (!stack)
		return 0;
	forget(stack);
	stack->collections = (__u32)word_at(heap->collections);
	if (!are_moved(heap->collecting)) {
		stack->from = word_at(thread + heap->start) & heap->offset_mask;
		top = word_at(thread + heap->top) & heap->offset_mask;
		stack->to = word_at(thread + heap->end) & heap->offset_mask;
		/* ZGC takes a piece away from a thread that is in the kernel when it comes to it. */
		if (!stays(heap, stack->from, stack->collections))
			stack->from = stack->to = top = 0;
		base = word_at(thread + heap->stack_base);
		if (heap->holder)
			find_held(stack, (__u32)who, base, heap);
		frame = stack->held ? 0 : frame_of(heap, stack, base, word_at(thread + heap->own));
		if (frame)
			find_objects(stack, (__u32)who);
		if (were_moved(heap->collecting, heap->collections, stack->collections)) {
			/* Better nothing than what was so before. */
			forget(stack);
			top = 0;
		}
	}
	if (top == stack->top && stack->objects[0] == stack->first && context == stack->context)
		return 0;
	stack->top = top;
	stack->first = stack->objects[0];
	stack->context = context;
	tell(who, at_ns, stack);
	return 0;
}
