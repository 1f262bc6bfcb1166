/* SPDX-License-Identifier: GPL-2.0-only */
/* From a probe to the ring: reserve what is needed, fill, submit without a wake-up; count what found no room. */
#ifndef KOALA_EMIT_H
#define KOALA_EMIT_H

#include "goroutine.h"
#include "thread.h"

#define CHUNK (64u << 10)  /* the largest payload of one sample                         */
#define GATHER (32u << 10) /* the largest payload gathered from iovecs                   */
#define MAX_STEPS 1024     /* samples or piece runs a call: 64 MiB between two probes    */

/* Keeps clang from proving a bound away that the verifier still needs to see. */
#define opaque(x) asm volatile("" : "+r"(x))

static __always_inline void fill_sample_of(struct sample *sample, __u8 kind, __u8 direction, __u64 connection, __u64 who)
{
	sample->captured = 0;
	sample->kind = kind;
	sample->direction = direction;
	sample->cause = CAUSE_NONE;
	sample->flags = 0;
	sample->at_ns = bpf_ktime_get_ns();
	sample->connection = connection;
	sample->position = 0;
	sample->length = 0;
	sample->context = context_of(who, sample->at_ns);
	sample->tgid = who >> 32;
	sample->tid = (__u32)who;
}

static __always_inline void fill_sample(struct sample *sample, __u8 kind, __u8 direction, __u64 connection)
{
	fill_sample_of(sample, kind, direction, connection, bpf_get_current_pid_tgid());
}

static __always_inline bool emit_bare(struct sample *sample)
{
	if (bpf_ringbuf_output(&ring, sample, sizeof(*sample), BPF_RB_NO_WAKEUP)) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return false;
	}
	return true;
}

/* A hole that is known on the spot. */
static __always_inline void emit_gap(const struct sample *like, __u64 position, __u64 length, __u8 cause)
{
	struct sample gap = *like;

	if (length == 0)
		return;
	gap.kind = SAMPLE_GAP;
	gap.captured = 0;
	gap.cause = cause;
	gap.position = position;
	gap.length = length;
	emit_bare(&gap);
}

/* The head of what is told of `context` itself, while that is being found: fill_sample would ask for it. `size`: of the payload. */
static __always_inline void fill_told(struct sample *sample, __u8 kind, __u32 size, __u64 who, __u64 context, __u64 at_ns)
{
	__builtin_memset(sample, 0, sizeof(*sample));
	sample->captured = size;
	sample->kind = kind;
	sample->at_ns = at_ns;
	sample->context = context;
	sample->tgid = who >> 32;
	sample->tid = (__u32)who;
}

/* Tells of goroutine (or context of Python's) `number`; false: there was no room. */
static __always_inline bool emit_goroutine(__u64 who, __u64 number, const struct goroutine_payload *payload)
{
	struct {
		struct sample head;
		struct goroutine_payload payload;
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return false;
	}
	fill_told(&record->head, SAMPLE_GOROUTINE, sizeof(record->payload), who, number, bpf_ktime_get_ns());
	record->payload = *payload;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return true;
}

/* Tells of context `number`, which was made within `parent` (0: none that is known) and `began` now; false: there was no room. */
static __always_inline bool tell_task(__u64 who, __u64 number, __u64 parent, bool began)
{
	struct goroutine_payload payload = { .parent = parent, .role = GOROUTINE_TASK, .began = began };

	return emit_goroutine(who, number, &payload);
}

enum emitted { EMITTED = 0, EMIT_FULL = 1, EMIT_UNREADABLE = 2 };

/* One contiguous range into one sample of class C. A full ring needs no gap: the next position tells it. */
#define EMIT_CLASS(READ, C)                                                                  \
	if (size <= (C)) {                                                                   \
		struct {                                                                     \
			struct sample head;                                                  \
			__u8 payload[C];                                                     \
		} *record = RESERVE_PAYLOAD(sizeof(*record));                                \
		if (!record)                                                                 \
			return EMIT_FULL;                                                    \
		record->head = *head;                                                        \
		record->head.captured = size;                                                \
		if (READ(record->payload, size, address)) {                                  \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                       \
			return EMIT_UNREADABLE;                                              \
		}                                                                            \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                \
		return EMITTED;                                                              \
	}
#define EMIT_CLASSES(READ)                                                                   \
	{                                                                                    \
		opaque(size);                                                                \
		EMIT_CLASS(READ, 128)                                                        \
		EMIT_CLASS(READ, 256)                                                        \
		EMIT_CLASS(READ, 512)                                                        \
		EMIT_CLASS(READ, 1024)                                                       \
		EMIT_CLASS(READ, 2048)                                                       \
		EMIT_CLASS(READ, 4096)                                                       \
		EMIT_CLASS(READ, 16384)                                                      \
		EMIT_CLASS(READ, CHUNK)                                                      \
		return EMIT_UNREADABLE;                                                      \
	}

/* From the process' memory. Unreadable also where the page is cold: see read_user. */
static __noinline __attribute__((unused)) int emit_range_once(const struct sample *head, const void *address, __u32 size)
EMIT_CLASSES(bpf_probe_read_user)

/*
 * Memory that the kernel has just used can be unreadable for a moment: while the huge page that it lies in is split, or put
 * together (khugepaged). A fault would wait for that. A probe can't: it looks again, 1,024 times, for a millisecond at most.
 * True: it can be read now. Global for the verifier's sake, see emit_step.
 */
extern int turns_readable(__u64 address, __u64 size);

/* Of memory that the kernel has used, or is about to. */
static __always_inline long read_user(void *to, __u32 size, const void *from)
{
	long refused = bpf_probe_read_user(to, size, from);

	return refused && turns_readable((__u64)from, size) ? bpf_probe_read_user(to, size, from) : refused;
}

/* emit_range_once for memory that the kernel has used. */
static __always_inline int emit_range(const struct sample *head, const void *address, __u32 size)
{
	int got = emit_range_once(head, address, size);

	return got == EMIT_UNREADABLE && turns_readable((__u64)address, size) ? emit_range_once(head, address, size) : got;
}

/* From the kernel's: only what the kernel itself named (PIECES_KVEC, PIECES_BVEC), never an address a process gave. */
static __noinline __attribute__((unused)) int emit_kernel_range(const struct sample *head, const void *address, __u32 size)
EMIT_CLASSES(bpf_probe_read_kernel)

/* The `index`th of an array of iovecs in the kernel's memory. */
static __always_inline bool read_iovec(struct iovec_user *vec, __u64 base, __u32 index)
{
	return !bpf_probe_read_kernel(vec, sizeof(*vec), (void *)(base + index * sizeof(*vec)));
}

/* The memory of a run of pages; 0: not known. A struct bio_vec: the page, and where an iovec has its length, length and offset. */
static __always_inline __u64 address_of_pages(__u64 bvec, __u64 *length)
{
	struct iovec_user run = {};
	__u32 zero = 0;
	struct shared *all = bpf_map_lookup_elem(&shared, &zero);

	if (!all || !all->pages_at || !read_iovec(&run, bvec, 0) || !run.iov_base)
		return 0;
	*length = (__u32)run.iov_len;
	return (__u64)run.iov_base * PAGE_FACTOR + all->pages_at + (run.iov_len >> 32);
}

#define FEW 4

/* The record is twice the class: see GATHER_INTO. */
#define EMIT_FEW(C)                                                                          \
	{                                                                                    \
		struct {                                                                     \
			struct sample head;                                                  \
			__u8 payload[2 * (C)];                                               \
		} *record = RESERVE_PAYLOAD(sizeof(*record));                                \
		if (!record)                                                                 \
			return EMIT_FULL;                                                    \
		_Pragma("unroll") for (__u32 i = 0; i < FEW; i++)                            \
		{                                                                            \
			__u32 to = size - left, take = left;                                 \
			if (i >= count || !left)                                             \
				break;                                                       \
			if (vecs[i].iov_len < take)                                          \
				take = vecs[i].iov_len;                                      \
			opaque(to);                                                          \
			to &= (C)-1;                                                         \
			opaque(take);                                                        \
			if (take > (C))                                                      \
				break;                                                       \
			if (bpf_probe_read_user(record->payload + to, take, vecs[i].iov_base)) \
				break;                                                       \
			left -= take;                                                        \
		}                                                                            \
		if (left) {                                                                  \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                       \
			return EMIT_UNREADABLE;                                              \
		}                                                                            \
		record->head = *head;                                                        \
		record->head.captured = size;                                                \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                \
		return EMITTED;                                                              \
	}

/* Up to FEW iovecs of `size` bytes together (a header and a body: most of what is written in pieces) into one sample. */
static __noinline __attribute__((unused)) int emit_few(const struct sample *head, __u64 base, __u32 count, __u32 size)
{
	struct iovec_user vecs[FEW] = {};
	__u32 left = size;

	/* All at once: a call that reads is dearer than what it reads. */
	if (count > FEW || bpf_probe_read_kernel(vecs, count * sizeof(vecs[0]), (void *)base))
		return EMIT_UNREADABLE;
	if (size <= 256)
		EMIT_FEW(256)
	if (size <= 1024)
		EMIT_FEW(1024)
	if (size <= 4096)
		EMIT_FEW(4096)
	if (size <= GATHER)
		EMIT_FEW(GATHER)
	return EMIT_UNREADABLE;
}

/*
 * One step of a message: one sample from the current piece, or one gathered from a few pieces. Non-zero: no more.
 * A global function is verified once for itself, so a loop of a thousand calls costs the verifier nothing; on 5.10
 * (no bpf_loop) that is the only way. Such a function may take numbers only, hence the look-up: by the thread's place, for
 * each way of finding it would be verified by itself. Defined in emit.bpf.c.
 */
extern int emit_step(__u32 place, __u32 direction);

#ifdef KOALA_DIRECT
struct stepping {
	__u32 place;
	__u32 direction;
};

static long one_step(__u32 index, struct stepping *stepping)
{
	return emit_step(stepping->place, stepping->direction) != 0;
}

/* The tracepoint backend's kernels have bpf_loop (5.17), which costs the verifier one round instead of a thousand. */
static __always_inline void emit_steps(__u32 place, __u32 direction)
{
	struct stepping stepping = { .place = place, .direction = direction };

	bpf_loop(MAX_STEPS, one_step, &stepping, 0);
}
#else
static __always_inline void emit_steps(__u32 place, __u32 direction)
{
	for (int i = 0; i < MAX_STEPS; i++)
		if (emit_step(place, direction))
			break;
}
#endif

/*
 * `length` more bytes of the call's message, as stream bytes from `position` on. What found no room is counted. Unreadable
 * bytes are a gap, or, where the kernel has yet to touch them (`early`), left for later: false, and call->done says how far.
 */
static __always_inline bool emit_message(struct call *call, __u32 direction, __u64 position, __u64 length, bool early)
{
	__u64 beyond = 0;

	call->head.kind = SAMPLE_DATA;
	call->head.position = position;
	call->failed = 0;
	call->early = early;
	call->remaining = length;
	if (knobs.max_message && call->done + length > knobs.max_message) {
		__u64 may = call->done < knobs.max_message ? knobs.max_message - call->done : 0;

		beyond = length - may;
		call->remaining = may;
	}
	call->done += length;
	emit_steps(call->place, direction);
	if (call->remaining) {
		if (call->failed == CAUSE_UNREADABLE && early) {
			call->done -= call->remaining + beyond;
			call->remaining = 0;
			return false;
		}
		if (call->failed == CAUSE_UNREADABLE)
			emit_gap(&call->head, call->head.position, call->remaining, CAUSE_UNREADABLE);
		else
			count_loss(call->failed ?: CAUSE_TOO_MANY_PIECES, 1, call->remaining);
		call->pieces.skip += call->remaining;
		call->remaining = 0;
	}
	if (beyond) {
		emit_gap(&call->head, position + length - beyond, beyond, CAUSE_MAX_MESSAGE);
		call->pieces.skip += beyond;
	}
	return true;
}

/* Where the bytes that are moved lie. Positions inside an iterator that was used before count (iov_offset). */
static __always_inline void pieces_of_iter(struct pieces *pieces, __u64 *address, __u64 *left, const struct iov_iter *iter)
{
	__u64 offset = LOAD(iter, iov_offset);
	__u32 type;

	pieces->skip = offset;
	pieces->kind = PIECES_PAGES;
	*left = 0;
	if (bpf_core_field_exists(struct iov_iter, __iov)) {
		__u32 zero = 0;
		struct shared *all = bpf_map_lookup_elem(&shared, &zero);

		type = LOAD(iter, iter_type);
		if (all && all->pages_at && type != bpf_core_enum_value(enum iter_type, ITER_UBUF) &&
		    type != bpf_core_enum_value(enum iter_type, ITER_IOVEC)) {
			/* Without packets to read from: what is neither of these is declared. */
			pieces->kind = type == bpf_core_enum_value(enum iter_type, ITER_BVEC) ? PIECES_BVEC :
				       type == bpf_core_enum_value(enum iter_type, ITER_KVEC) ? PIECES_KVEC :
												PIECES_NONE;
			pieces->base = (__u64)LOAD(iter, __iov);
			pieces->count = LOAD(iter, nr_segs);
			return;
		}
	}
	if (bpf_core_field_exists(struct iov_iter, iter_type)) {
		type = LOAD(iter, iter_type);
		if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
		    type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
			pieces->kind = PIECES_RANGE;
			pieces->base = (__u64)LOAD(iter, ubuf);
			*address = pieces->base;
			*left = LOAD(iter, count) + offset;
			return;
		}
		if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC))
			return;
	} else {
		const struct iov_iter___old *old = (const void *)iter;

		type = LOAD(old, type) & ~1u; /* bit 0: the direction */
		if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC))
			return;
	}
	pieces->kind = PIECES_KERNEL_IOVEC;
	pieces->count = LOAD(iter, nr_segs);
	if (bpf_core_field_exists(struct iov_iter, __iov)) {
		pieces->base = (__u64)LOAD(iter, __iov);
	} else {
		const struct iov_iter___iov *old = (const void *)iter;

		pieces->base = (__u64)LOAD(old, iov);
	}
}

static __always_inline void pieces_of(struct pieces *pieces, __u64 *address, __u64 *left, const struct msghdr *message)
{
	pieces_of_iter(pieces, address, left, &message->msg_iter);
}

#endif
