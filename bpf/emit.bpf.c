// SPDX-License-Identifier: GPL-2.0-only
/* The knobs, the licence, and the one function that all data probes share. */
#include "emit.h"

char LICENSE[] SEC("license") = "GPL";

const volatile struct knobs knobs = {};

#define LOOKS 32

/* What is split or put together is 2 MiB and more: the range lies in one such, or in two. */
__noinline int is_readable_soon(__u64 address, __u64 size)
{
	__u8 byte;

	for (int i = 0; i < LOOKS; i++)
		if (!bpf_probe_read_user(&byte, 1, (void *)address) && !bpf_probe_read_user(&byte, 1, (void *)(address + size - 1)))
			return 1;
	return 0;
}

__noinline int turns_readable(__u64 address, __u64 size)
{
	for (int i = 0; i < LOOKS; i++)
		if (is_readable_soon(address, size))
			return 1;
	return 0;
}

/* `kernel`: the bytes may lie in the kernel's memory. Known when compiled, for gathering never meets them. */
static __always_inline bool next_piece(struct call *call, bool kernel)
{
	struct iovec_user vec = {};
	__u64 at = call->pieces.base + (__u64)call->index * sizeof(vec);
	long refused;

	if (call->pieces.kind == PIECES_RANGE || call->index >= call->pieces.count)
		return false;
	if (kernel && call->pieces.kind == PIECES_BVEC) {
		call->address = address_of_pages(at, &call->left); /* a struct bio_vec is as large as an iovec */
		call->index++;
		return call->address != 0;
	}
	if (call->pieces.kind == PIECES_KERNEL_IOVEC || (kernel && call->pieces.kind == PIECES_KVEC))
		refused = bpf_probe_read_kernel(&vec, sizeof(vec), (void *)at);
	else
		refused = read_user(&vec, sizeof(vec), (void *)at);
	if (refused)
		return false;
	call->index++;
	call->address = (__u64)vec.iov_base;
	call->left = vec.iov_len;
	return true;
}

/* Makes the current piece hold the next byte. False: there is none, or it can't be told. */
static __always_inline bool advance(struct call *call, bool kernel)
{
	if (call->left == 0 && !next_piece(call, kernel))
		return false;
	if (call->pieces.skip) {
		__u64 skip = call->pieces.skip < call->left ? call->pieces.skip : call->left;

		call->address += skip;
		call->left -= skip;
		call->pieces.skip -= skip;
	}
	return true;
}

/* Pieces that one sample is gathered from at most. The verifier walks through each round, in each of the dozen programs that tell data: 64 cost it half of all its time. */
#define GATHER_ROUNDS 8
#define SMALL 2048

/*
 * Wanted: a record of exactly `want` bytes, and a counter of what is filled in a register. The verifier knows bounds of
 * `at` and `take` but not of their sum, so the record is twice the class (what isn't written costs address space in the
 * ring, not time); and it follows a register through all rounds along every path (1,000,000 instructions on 6.18), so
 * the counter lives in the map, of whose contents it assumes nothing.
 */
#define GATHER_INTO(MAX)                                                                     \
	{                                                                                    \
		struct {                                                                     \
			struct sample head;                                                  \
			__u8 payload[2 * (MAX)];                                             \
		} *record = RESERVE_PAYLOAD(sizeof(*record));                                \
		if (!record) {                                                               \
			call->failed = CAUSE_RING_FULL;                                      \
			return 1;                                                            \
		}                                                                            \
		for (int i = 0; i < GATHER_ROUNDS; i++) {                                    \
			__u32 at, take;                                                      \
			if (call->filled >= call->want)                                      \
				break;                                                       \
			if (!advance(call, false)) {                                         \
				call->failed = CAUSE_UNREADABLE;                             \
				break;                                                       \
			}                                                                    \
			at = call->filled;                                                   \
			take = call->want - at;                                              \
			if (call->left < take)                                               \
				take = call->left;                                           \
			if (take == 0)                                                       \
				continue;                                                    \
			opaque(at);                                                          \
			at &= (MAX)-1;                                                       \
			opaque(take);                                                        \
			if (take > (MAX))                                                    \
				break;                                                       \
			if (bpf_probe_read_user(record->payload + at, take, (void *)call->address)) { \
				if (!call->early && turns_readable(call->address, take))     \
					continue;                                            \
				call->failed = CAUSE_UNREADABLE;                             \
				break;                                                       \
			}                                                                    \
			call->filled += take;                                                \
			call->address += take;                                               \
			call->left -= take;                                                  \
		}                                                                            \
		filled = call->filled;                                                       \
		if (filled == 0) {                                                           \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                       \
			return call->failed != 0;                                            \
		}                                                                            \
		call->head.length = filled;                                                  \
		call->head.captured = filled;                                                \
		call->head.flags = filled < call->remaining || call->more ? SAMPLE_MORE : 0; \
		record->head = call->head;                                                   \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                \
	}

/*
 * Bytes of one sample that begins with a piece of `left`: about what so many such pieces have. What is reserved and not filled takes room in the ring
 * until it is read: of a thousand small pieces, each eight in a sample of the largest class, that would be megabytes.
 */
static __always_inline __u32 wanted(__u64 left, __u64 remaining)
{
	__u64 want = left * GATHER_ROUNDS;

	if (left < SMALL && want > SMALL)
		want = SMALL;
	if (want > GATHER)
		want = GATHER;
	return want < remaining ? want : remaining;
}

int emit_step(__u32 place, __u32 direction)
{
	struct thread *thread = thread_at(place);
	struct call *call;
	__u32 filled;
	bool kernel;

	if (!thread)
		return 1;
	call = call_in(thread, direction);
	if (call->remaining == 0)
		return 1;
	kernel = call->pieces.kind >= PIECES_KVEC;
	if (!advance(call, true)) {
		call->failed = CAUSE_UNREADABLE;
		return 1;
	}
	if (call->left == 0)
		return 0;
	/* What lies in the kernel's memory lies in pages, large enough for a sample each. */
	if (kernel || call->left >= call->remaining || call->left >= GATHER) {
		__u64 take = call->left < call->remaining ? call->left : call->remaining;
		int got;

		if (take > CHUNK)
			take = CHUNK;
		call->head.length = take;
		call->head.flags = take < call->remaining || call->more ? SAMPLE_MORE : 0;
		got = kernel ? emit_kernel_range(&call->head, (void *)call->address, take) :
			       emit_range_once(&call->head, (void *)call->address, take);
		if (got == EMIT_UNREADABLE && !kernel && !call->early && turns_readable(call->address, take))
			return 0;
		if (got != EMITTED) {
			call->failed = got == EMIT_FULL ? CAUSE_RING_FULL : CAUSE_UNREADABLE;
			return 1;
		}
		filled = take;
		call->address += take;
		call->left -= take;
	} else {
		call->filled = 0;
		call->want = wanted(call->left, call->remaining);
		if (call->want <= 256)
			GATHER_INTO(256)
		else if (call->want <= SMALL)
			GATHER_INTO(SMALL)
		else
			GATHER_INTO(GATHER)
	}
	call->head.position += filled;
	call->remaining -= filled;
	return call->remaining == 0 || call->failed;
}
