/* SPDX-License-Identifier: GPL-2.0-only */
/* Receiving over TCP: what was copied to the process, at the position copied_seq says; what was not copied is a gap. */
#ifndef KOALA_RECEIVE_H
#define KOALA_RECEIVE_H

#include "connection.h"

/* `length` bytes that end at stream position `end` were copied into the call's pieces. */
static __always_inline void emit_received(struct call *call, struct connection *connection, __u64 end,
					  __u64 length)
{
	call->head.connection = connection->id;
	if (call->flags & MSG_TRUNC) {
		emit_gap(&call->head, end - length, length, CAUSE_DISCARDED);
		return;
	}
	if (call->pieces.kind == PIECES_PAGES || call->pieces.kind == PIECES_NONE) {
		emit_gap(&call->head, end - length, length, CAUSE_NO_BUFFER);
		return;
	}
	/* The common case: one range, nothing emitted of this call yet. */
	if (call->pieces.kind == PIECES_RANGE && !call->done && length <= CHUNK && !knobs.max_message) {
		int got;

		call->head.kind = SAMPLE_DATA;
		call->head.position = end - length;
		call->head.length = length;
		call->head.flags = 0;
		got = emit_range(&call->head, (void *)(call->address + call->pieces.skip), length);
		if (got == EMIT_FULL)
			count_loss(CAUSE_RING_FULL, 1, length);
		else if (got == EMIT_UNREADABLE)
			emit_gap(&call->head, end - length, length, CAUSE_UNREADABLE);
		call->done = length;
		call->pieces.skip += length;
		return;
	}
	emit_message(call, DIRECTION_INGRESS, end - length, length, false);
}

/* ---- kprobe and fentry: entry of tcp_recvmsg, then tcp_cleanup_rbuf for every run of copied bytes ---- */

static __always_inline void enter_receive(const struct sock *sk, const struct msghdr *message, __u64 size, __u32 flags)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call;

	if (!is_watched(who >> 32))
		return;
	call = call_of(DIRECTION_INGRESS, who);
	if (!call)
		return;
	if (flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB)) {
		call->sock = 0;
		return;
	}
	begin_call(call, (__u64)sk, 0, size);
	fill_sample(&call->head, SAMPLE_DATA, DIRECTION_INGRESS, 0);
	call->flags = flags;
	pieces_of(&call->pieces, &call->address, &call->left, message);
}

/*
 * `length` bytes that end at `end` need not lie side by side. The kernel leaves an urgent byte out of what is read. It stops before
 * it, so that this is seen as a jump before a read; but where the next urgent byte arrives in the midst of a read (tcp_check_urg),
 * it steps over the one before and reads on. That next one is still to come then.
 */
static __always_inline bool is_torn(const struct sock *sk, const struct connection *connection, __u64 end, __u64 length)
{
	return (__s64)(end - connection->ingress_position) > (__s64)length && BPF_CORE_READ(TCP(sk), urg_data);
}

/* Under the socket lock. `copied`: bytes of this call so far. Also reached by splice and zero copy, without an entry. */
static __always_inline void cleanup_receive(const struct sock *sk, __s32 copied)
{
	__u64 who = bpf_get_current_pid_tgid(), end, fresh;
	struct connection *connection;
	struct call *call;
	__u32 sequence;

	if (copied <= 0 || !is_watched(who >> 32))
		return;
	call = find_call(DIRECTION_INGRESS, who);
	if (call && call->sock != (__u64)sk)
		call = 0;
	fresh = call ? copied - call->done : copied;
	if (call && (__s64)fresh <= 0)
		return;
	if (!call && is_subflow(sk))
		return; /* MPTCP reads its parts itself */
	connection = connection_of(sk, fresh);
	if (!connection) {
		count_loss(CAUSE_MAP_FULL, 0, fresh);
		if (call)
			call->done = copied;
		return;
	}
	sequence = consumed_sequence(sk);
	end = extend(connection->ingress_position, connection->ingress_sequence, sequence);
	if (end == connection->ingress_position)
		return; /* a peek */
	if (call) {
		call->head.at_ns = bpf_ktime_get_ns();
		if (is_torn(sk, connection, end, fresh)) {
			call->head.connection = connection->id;
			emit_gap(&call->head, end - fresh, fresh, CAUSE_UNKNOWN);
			call->pieces.kind = PIECES_NONE; /* nor is it known where in them the rest goes on */
		} else
			emit_received(call, connection, end, fresh);
		call->done = copied;
	} else {
		struct sample head;

		fill_sample(&head, SAMPLE_GAP, DIRECTION_INGRESS, connection->id);
		/* A connection older than the probes: a call was under way when they came. */
		emit_gap(&head, connection->ingress_position, end - connection->ingress_position,
			 connection->learnt == LEARNT_SEEN && connection->ingress_position == connection->ingress_from ?
				 CAUSE_SEEN_LATE : CAUSE_SPLICE);
	}
	connection->ingress_position = end;
	connection->ingress_sequence = sequence;
}

#endif
