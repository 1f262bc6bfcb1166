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

static __always_inline bool is_unix_stream(const struct sock *sk)
{
	return FAMILY(sk) == AF_UNIX && BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
}

static __always_inline struct connection *unix_connection_of(const struct sock *sk)
{
	__u64 key = (__u64)sk;
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	struct connection fresh = {};
	__u64 inode = inode_of(sk);

	if (connection && connection->inode != inode) {
		close_connection(key, connection);
		connection = 0;
	}
	if (connection)
		return connection;
	if (is_unnamed(sk))
		return 0;
	/* An accepted socket carries its listener's address, a connecting one usually none. */
	fresh.role = BPF_CORE_READ((const struct unix_sock *)sk, addr) ? ROLE_INBOUND : ROLE_OUTBOUND;
	fresh.learnt = LEARNT_SEEN;
	fresh.inode = inode;
	fresh.tgid = who >> 32;
	fresh.tid = (__u32)who;
	connection = insert_connection(key, &fresh);
	if (connection)
		emit_open(sk, connection);
	return connection;
}

static __always_inline void enter_unix_send(const struct sock *sk, const struct msghdr *message, __u64 size)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection;

	if (!is_watched(who >> 32) || !is_unix_stream(sk) || !size)
		return;
	connection = unix_connection_of(sk);
	if (connection)
		begin_send(connection, (__u64)sk, message, size, who);
}

static __always_inline void finish_unix_receive(const struct sock *sk, struct call *call, __u64 who, long result)
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
	emit_received(call, connection, who, end, result);
	connection->ingress_position = end;
}

static __always_inline void exit_unix_receive(long result)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&receives, &who);

	if (!call)
		return;
	if (result >= 0)
		finish_unix_receive((const struct sock *)call->sock, call, who, result);
	bpf_map_delete_elem(&receives, &who);
}

#endif
