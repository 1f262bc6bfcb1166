/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * AF_UNIX stream sockets, as connections. The kernel counts no positions for them: ours start at 0 at first sight, and a
 * connection seen in flight says so (LEARNT_SEEN). No probe tells of their end everywhere, so a socket's address that comes
 * back with another inode ends the one before; reading end-of-file is the peer's FIN.
 */
#ifndef KOALA_STREAM_H
#define KOALA_STREAM_H

#include "receive.h"
#include "send.h"

#define RCV_SHUTDOWN 1

static __always_inline bool is_unix_stream(const struct sock *sk)
{
	return FAMILY(sk) == AF_UNIX && BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
}

static __always_inline struct connection *unix_connection_of(const struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	__u64 inode = inode_of(sk);
	struct shared *all;
	__u32 zero = 0;
	__u8 learnt;
	bool inbound;

	if (connection && connection->inode != inode) {
		close_connection(key, connection);
		connection = 0;
	}
	if (connection)
		return connection;
	if (is_unnamed(sk))
		return 0;
	connection = insert_connection(key);
	if (!connection)
		return 0;
	/*
	 * An accepted socket carries its listener's address, a connecting one usually none. What the scan for existing
	 * connections did not find is new (but for a descriptor that an unwatched process hands over: rare, and not told).
	 */
	inbound = BPF_CORE_READ((const struct unix_sock *)sk, addr) != 0;
	all = bpf_map_lookup_elem(&shared, &zero);
	learnt = inbound ? LEARNT_ACCEPT : LEARNT_CONNECT;
	if (!all || !all->scanned)
		learnt = LEARNT_SEEN;
	own(connection, sk, inbound ? ROLE_INBOUND : ROLE_OUTBOUND, learnt);
	connection->flags |= CONNECTION_UNIX;
	emit_open(sk, connection);
	if (BPF_CORE_READ(sk, sk_shutdown) & RCV_SHUTDOWN) {
		connection->flags |= CONNECTION_REMOTE_FIN;
		emit_close(connection, CLOSE_REMOTE_FIN);
	}
	return connection;
}

static __always_inline void enter_unix_send(const struct sock *sk, const struct msghdr *message, __u64 size)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection;
	struct call *call;

	if (!is_watched(who >> 32) || !is_unix_stream(sk) || !size)
		return;
	connection = unix_connection_of(sk);
	if (!connection)
		return;
	call = call_of(DIRECTION_EGRESS, who);
	if (call)
		begin_send(connection, call, (__u64)sk, message, size, who, false);
	else
		count_loss(CAUSE_MAP_FULL, 1, size);
}

/* 5.10 to 6.4: sendfile and splice hand over a page a call. Never in a packet, and without an address: declared. */
static __always_inline void enter_unix_sendpage(const struct sock *sk, __u64 size)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection;
	struct call *call;

	if (!is_watched(who >> 32) || !is_unix_stream(sk) || !size)
		return;
	connection = unix_connection_of(sk);
	if (!connection)
		return;
	call = call_of(DIRECTION_EGRESS, who);
	if (!call)
		return;
	announce_send(connection, call, (__u64)sk, size, who);
	call->pieces.kind = PIECES_NONE;
	emit_bare(&call->head);
}

static __always_inline void finish_unix_receive(const struct sock *sk, struct call *call, long result)
{
	struct connection *connection = unix_connection_of(sk);
	__u64 end;

	if (!connection)
		return;
	if (result == 0) {
		if (call->size && !(connection->flags & CONNECTION_REMOTE_FIN)) {
			connection->flags |= CONNECTION_REMOTE_FIN;
			emit_close(connection, CLOSE_REMOTE_FIN);
		}
		return;
	}
	end = connection->ingress_position + result;
	call->head.at_ns = bpf_ktime_get_ns();
	emit_received(call, connection, end, result);
	connection->ingress_position = end;
}

static __always_inline void exit_unix_receive(long result)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call = find_call(DIRECTION_INGRESS, who);

	if (!call || !call->sock)
		return;
	if (result >= 0)
		finish_unix_receive((const struct sock *)call->sock, call, result);
	call->sock = 0;
}

/*
 * MPTCP: one stream over several TCP subflows, none of which says where the application's bytes stand. Not captured, but every
 * byte is declared. Positions are ours, from first sight on.
 */
static __always_inline void declare_mptcp(const struct sock *sk, __u8 direction, long result)
{
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	struct sample head;
	__u64 inode = inode_of(sk);

	if (result <= 0)
		return;
	if (connection && connection->inode != inode) {
		close_connection(key, connection);
		connection = 0;
	}
	if (!connection) {
		connection = insert_connection(key);
		if (!connection)
			return;
		own(connection, sk, is_listener(sk) ? ROLE_INBOUND : ROLE_OUTBOUND, LEARNT_SEEN);
		emit_open(sk, connection);
	}
	fill_sample(&head, SAMPLE_GAP, direction, connection->id);
	if (direction == DIRECTION_INGRESS) {
		emit_gap(&head, connection->ingress_position, result, CAUSE_MPTCP);
		connection->ingress_position += result;
	} else {
		emit_gap(&head, connection->egress_position, result, CAUSE_MPTCP);
		connection->egress_position += result;
	}
}

#endif
