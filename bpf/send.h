/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sending over TCP. Entry and exit run under the socket lock (tcp_sendmsg_locked), so write_seq is exact.
 *
 *   entry      short message: DATA at once, whole. Long: INTENT. Pages: the payload is read from the packets.
 *   progress   (the send buffer is full, or the kernel takes the next skb) long: DATA of what was taken so far
 *   exit       short: nothing, unless the kernel took less: ACCEPTED. Long: the rest as DATA. Pages: SENT.
 */
#ifndef KOALA_SEND_H
#define KOALA_SEND_H

#include "connection.h"
#include "node.h"
#include "uvloop.h"

#define INLINE_MAX (32u << 10)

static __always_inline void start_packets(struct connection *connection)
{
	__u32 zero = 0;
	struct shared *all = bpf_map_lookup_elem(&shared, &zero);

	if (!(connection->flags & CONNECTION_PACKETS)) {
		connection->flags |= CONNECTION_PACKETS;
		if (all)
			__sync_fetch_and_add(&all->packet_connections, 1);
	}
}

/* A send of pages: from here on, up to what exit says, the payload is read from the packets. */
static __always_inline void mark_pages(struct connection *connection, __u64 position, __u64 size)
{
	if (!(connection->flags & CONNECTION_PACKETS) || connection->packet_next >= connection->packet_to)
		connection->packet_next = position;
	connection->packet_to = position + size;
	start_packets(connection);
}

static __always_inline void fill_send(struct sample *head, __u8 kind, const struct connection *connection, __u64 who)
{
	fill_sample_of(head, kind, DIRECTION_EGRESS, connection->id, who);
	head->context = writer_of(connection->key, who, head->context);
	if (!head->context && may_tell_contexts(who >> 32))
		head->context = node_request_of(who, connection->key, connection->role == ROLE_INBOUND ? connection->id : 0);
}

static __always_inline void announce_send(struct connection *connection, struct call *call, __u64 sock, __u64 size,
					  __u64 who)
{
	begin_call(call, sock, connection->egress_position, size);
	fill_send(&call->head, SAMPLE_INTENT, connection, who);
	call->head.position = call->position;
	call->head.length = size;
}

static __always_inline void begin_pages(struct connection *connection, __u64 sock, __u64 size, __u64 who)
{
	struct call *call = call_of(DIRECTION_EGRESS, who);

	if (!call)
		return;
	announce_send(connection, call, sock, size, who);
	call->pieces.kind = PIECES_PAGES;
	mark_pages(connection, call->position, size);
	emit_bare(&call->head);
}

/*
 * Entry of a send on a connection whose egress position is `connection->egress_position` now. `packets`: pages will leave in
 * packets, where they can be read; those of a unix socket don't. Pages whose memory can be found (pages.bpf.c) are read here: should
 * somebody change the file while they wait to leave, the record is of what the process sent.
 */
static __always_inline void begin_send(struct connection *connection, struct call *call, __u64 sock,
				       const struct msghdr *message, __u64 size, __u64 who, bool packets)
{
	bool whole = size <= INLINE_MAX && !(knobs.max_message && size > knobs.max_message);
	__u64 pages, length = 0;
	int got;

	announce_send(connection, call, sock, size, who);
	pieces_of(&call->pieces, &call->address, &call->left, message);
	if (call->pieces.kind == PIECES_NONE || (call->pieces.kind == PIECES_PAGES && !packets)) {
		call->pieces.kind = PIECES_NONE; /* exit declares them */
		emit_bare(&call->head);
	} else if (call->pieces.kind == PIECES_PAGES) {
		mark_pages(connection, call->position, size);
		emit_bare(&call->head);
	} else if (!whole) {
		emit_bare(&call->head);
	} else if ((call->pieces.kind == PIECES_RANGE && call->left - call->pieces.skip >= size) ||
		   (call->pieces.kind == PIECES_KERNEL_IOVEC && call->pieces.count <= FEW && !call->pieces.skip)) {
		/* The common cases, one contiguous range and a few of them, need no walk. */
		call->head.kind = SAMPLE_DATA;
		got = call->pieces.kind == PIECES_RANGE ?
			      emit_range_once(&call->head, (void *)(call->address + call->pieces.skip), size) :
			      emit_few(&call->head, call->pieces.base, call->pieces.count, size);
		if (got == EMIT_FULL)
			count_loss(CAUSE_RING_FULL, 1, size);
		call->inlined = got != EMIT_UNREADABLE;
		if (!call->inlined) {
			/* A cold page: readable once the kernel has copied from it. */
			call->head.kind = SAMPLE_INTENT;
			emit_bare(&call->head);
		}
	} else if (call->pieces.kind == PIECES_BVEC && call->pieces.count == 1 &&
		   (pages = address_of_pages(call->pieces.base, &length)) != 0 && length - call->pieces.skip >= size) {
		/* A small file, by sendfile. */
		call->head.kind = SAMPLE_DATA;
		got = emit_kernel_range(&call->head, (void *)(pages + call->pieces.skip), size);
		if (got == EMIT_FULL)
			count_loss(CAUSE_RING_FULL, 1, size);
		else if (got == EMIT_UNREADABLE)
			emit_gap(&call->head, call->position, size, CAUSE_UNREADABLE);
		call->inlined = 1;
	} else {
		call->inlined = emit_message(call, DIRECTION_EGRESS, call->position, size, true);
	}
}

/* The table of connections is full: what this call moves is counted when it ends. */
static __always_inline void begin_untracked(struct call *call, __u64 sock, __u64 size)
{
	begin_call(call, sock, 0, size);
	call->head.connection = 0;
}

/* `call`: of the current, watched thread; none when the table of calls is full. */
static __always_inline void enter_send(const struct sock *sk, const struct msghdr *message, __u64 size, __u64 who,
				       struct call *call)
{
	struct connection *connection;
	__u8 state = state_of(sk);
	__u32 write_seq;
	__u64 end;

	if (!call) {
		count_loss(CAUSE_MAP_FULL, 1, size);
		return;
	}
	/* It connects by sending (TCP Fast Open): what the SYN takes along is missing from the stream's beginning, and shows as a gap. */
	if (state == TCP_CLOSE || state == TCP_SYN_SENT)
		return;
	connection = connection_of(sk, 0);
	if (!connection) {
		begin_untracked(call, (__u64)sk, size);
		return;
	}
	write_seq = write_sequence(sk);
	end = extend(connection->egress_position, connection->egress_sequence, write_seq);
	if (connection->learnt == LEARNT_SEEN && connection->egress_position == connection->egress_from &&
	    (__s64)(end - connection->egress_position) > 0) {
		/* The rest of a call that was under way when the probes came. */
		struct sample head;

		fill_sample(&head, SAMPLE_GAP, DIRECTION_EGRESS, connection->id);
		emit_gap(&head, connection->egress_position, end - connection->egress_position, CAUSE_SEEN_LATE);
	}
	connection->egress_position = end;
	connection->egress_sequence = write_seq;
	begin_send(connection, call, (__u64)sk, message, size, who, true);
}

/*
 * `taken` bytes of the message are in the socket, and the stream ends at write_seq now. Long messages hand on what is new.
 * Should another thread have written while this one slept (the lock is free then), the rest of the message has moved.
 */
static __always_inline void progress_send(struct connection *connection, struct call *call, __u64 taken, __u32 write_seq)
{
	__u64 end = extend(connection->egress_position, connection->egress_sequence, write_seq);

	connection->egress_position = end;
	connection->egress_sequence = write_seq;
	if (call->inlined || call->pieces.kind == PIECES_PAGES || taken > call->size)
		return;
	if (taken > call->done && (taken - call->done >= INLINE_MAX || end != call->position + taken))
		emit_message(call, DIRECTION_EGRESS, call->position + call->done, taken - call->done, false);
	if (end != call->position + taken)
		call->position = end - taken;
}

/* result: what the call returns. */
static __always_inline void exit_send(struct call *call, __u64 sock, long result)
{
	struct connection *connection;
	__u64 moved = result > 0 ? result : 0;

	if (!call || !sock || call->sock != sock)
		return;
	/* A call that was under way when the probes came returns more than they saw it begin with. */
	if (moved > call->size)
		moved = call->size;
	if (!call->head.connection) {
		count_loss(CAUSE_MAP_FULL, 0, moved);
		call->sock = 0;
		return;
	}
	connection = bpf_map_lookup_elem(&connections, &sock);
	if (connection && connection->id == call->head.connection) {
		__u64 end = call->position + moved;

		if ((__s64)(end - connection->egress_position) > 0) {
			connection->egress_sequence += (__u32)(end - connection->egress_position);
			connection->egress_position = end;
		}
		if (call->pieces.kind == PIECES_PAGES && connection->packet_to == call->position + call->size)
			connection->packet_to = end;
	}
	if (call->pieces.kind == PIECES_PAGES) {
		call->head.kind = SAMPLE_SENT;
		call->head.length = moved;
		emit_bare(&call->head);
	} else if (call->pieces.kind == PIECES_NONE) {
		emit_gap(&call->head, call->position, moved, CAUSE_NO_BUFFER);
	} else {
		if (!call->inlined && moved > call->done)
			emit_message(call, DIRECTION_EGRESS, call->position + call->done, moved - call->done, false);
		if (moved != call->size) {
			call->head.kind = SAMPLE_ACCEPTED;
			call->head.flags = 0;
			call->head.captured = 0;
			call->head.position = call->position;
			call->head.length = moved;
			emit_bare(&call->head);
		}
	}
	call->sock = 0;
}

#endif
