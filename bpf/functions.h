/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two backends that hook functions (fentry, kprobe) share, beyond the concerns' own headers. */
#ifndef KOALA_FUNCTIONS_H
#define KOALA_FUNCTIONS_H

#include "datagram.h"
#include "registers.h"
#include "stream.h"
#include <bpf/bpf_tracing.h>

static __always_inline void enter_function_send(const struct sock *sk, const struct msghdr *message, __u64 size)
{
	__u64 who = bpf_get_current_pid_tgid();

	if (is_watched(who >> 32))
		enter_send(sk, message, size, who, call_of(DIRECTION_EGRESS, who));
}

/* A send's exit. `sk`: whose; 0: of the one that this thread is in. */
static __always_inline void exit_function_send(__u64 sk, long result)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call = find_call(DIRECTION_EGRESS, who);

	if (call)
		exit_send(call, sk ?: call->sock, result);
}

/* Exit of tcp_sendmsg_locked, under the lock: should others have written while this call slept, its rest has moved. */
static __always_inline void exit_locked_send(const struct sock *sk, int result)
{
	__u64 who = bpf_get_current_pid_tgid(), key = (__u64)sk;
	struct call *call = find_call(DIRECTION_EGRESS, who);
	struct connection *connection;

	if (!call || call->sock != key)
		return;
	connection = bpf_map_lookup_elem(&connections, &key);
	if (connection && result > 0 && !call->inlined && call->pieces.kind != PIECES_PAGES) {
		__u64 end = extend(connection->egress_position, connection->egress_sequence,
				   BPF_CORE_READ(TCP(sk), write_seq));

		if (end != call->position + result)
			call->position = end - result;
	}
	exit_send(call, key, result);
}

/*
 * Entry of a send while this thread's last one has had no exit: the kernel skipped its kretprobe. Over TCP the stream tells
 * what it moved, and all but a partial send's end is known already (kprobe_pushed); of a unix socket nobody tells, so
 * it is taken as complete, and what was not handed on is declared.
 */
static __always_inline void settle_missed_send(void)
{
	__u64 who = bpf_get_current_pid_tgid(), moved;
	struct call *call = find_call(DIRECTION_EGRESS, who);
	struct connection *connection;
	__u64 sock;

	if (!call || !call->sock)
		return;
	sock = call->sock;
	connection = bpf_map_lookup_elem(&connections, &sock);
	if (!connection || connection->id != call->head.connection) {
		call->sock = 0;
		return;
	}
	moved = call->size;
	if (FAMILY(sock) != AF_UNIX) {
		moved = extend(connection->egress_position, connection->egress_sequence,
			       BPF_CORE_READ(TCP(sock), write_seq)) - call->position;
		if (moved > call->size)
			moved = call->size;
	}
	if (!call->inlined && call->pieces.kind != PIECES_PAGES && call->pieces.kind != PIECES_NONE && moved > call->done) {
		emit_gap(&call->head, call->position + call->done, moved - call->done, CAUSE_PROBE_MISSED);
		call->done = moved;
	}
	exit_send(call, sock, moved);
}

/* The end of a send, or of a part of it, that moved something: all of it is handed on now, should the exit be skipped. */
static __always_inline void send_pushed(const struct sock *sk)
{
	__u64 who = bpf_get_current_pid_tgid(), key = (__u64)sk, end, others, taken;
	struct call *call = find_call(DIRECTION_EGRESS, who);
	struct connection *connection;
	__u32 write_seq;

	if (!call || call->sock != key || call->inlined || call->pieces.kind == PIECES_PAGES)
		return;
	connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection)
		return;
	/* What other threads wrote while this one slept lies between what it has handed on and the rest. */
	others = connection->egress_position - (call->position + call->done);
	if ((__s64)others > 0)
		call->position += others;
	write_seq = BPF_CORE_READ(TCP(sk), write_seq);
	end = extend(connection->egress_position, connection->egress_sequence, write_seq);
	taken = end - call->position;
	if (taken > call->size || taken <= call->done)
		return;
	connection->egress_position = end;
	connection->egress_sequence = write_seq;
	emit_message(call, DIRECTION_EGRESS, call->position + call->done, taken - call->done, false);
}

/* The send buffer is full and the call sleeps: hand on what it has moved so far, or a long message would burst the ring. */
static __always_inline void send_waits(const struct sock *sk)
{
	__u64 who = bpf_get_current_pid_tgid(), key = (__u64)sk, end;
	struct call *call = find_call(DIRECTION_EGRESS, who);
	struct connection *connection;
	__u32 write_seq;

	if (!call || call->sock != key)
		return;
	connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection)
		return;
	write_seq = BPF_CORE_READ(TCP(sk), write_seq);
	end = extend(connection->egress_position, connection->egress_sequence, write_seq);
	if ((__s64)(end - call->position) > 0)
		progress_send(connection, call, end - call->position, write_seq);
}

static __always_inline void enter_sendpage(const struct sock *sk, __u64 size)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection;
	__u32 write_seq;

	if (!is_watched(who >> 32))
		return;
	connection = connection_of(sk, 0);
	if (!connection)
		return;
	write_seq = BPF_CORE_READ(TCP(sk), write_seq);
	connection->egress_position = extend(connection->egress_position, connection->egress_sequence, write_seq);
	connection->egress_sequence = write_seq;
	begin_pages(connection, (__u64)sk, size, who);
}

/*
 * One buffer of a unix receive was copied. The read itself blocks, and its kretprobe has few slots for the whole host (every
 * idle reader of every process holds one); this copying doesn't.
 */
static __always_inline void copied_unix(int copied)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call = find_call(DIRECTION_INGRESS, who);

	if (call && call->sock && copied > 0)
		finish_unix_receive((const struct sock *)call->sock, call, copied);
}

static __always_inline void enter_unix_receive(const struct sock *sk, const struct msghdr *message, __u64 size,
					       __u32 flags)
{
	if (is_unix_stream(sk))
		enter_receive(sk, message, size, flags);
}

/* What was read by splice has no buffer of the process: declared. */
static __always_inline void spliced_unix(const struct sock *sk, long result)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection;
	struct sample head;

	if (result <= 0 || !is_watched(who >> 32) || !is_unix_stream(sk))
		return;
	connection = unix_connection_of(sk);
	if (!connection)
		return;
	fill_sample(&head, SAMPLE_GAP, DIRECTION_INGRESS, connection->id);
	emit_gap(&head, connection->ingress_position, result, CAUSE_SPLICE);
	connection->ingress_position += result;
}

#define SHUT_WR 1
#define SHUT_RDWR 2

/* A unix socket sends no more: its peer's streams end. (Reads that return 0 tell it too, where they are hooked.) */
static __always_inline void shut_unix_peer(const struct sock *sk)
{
	__u64 key = (__u64)BPF_CORE_READ((const struct unix_sock *)sk, peer);
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);

	if (!connection || connection->flags & CONNECTION_REMOTE_FIN)
		return;
	connection->flags |= CONNECTION_REMOTE_FIN;
	emit_close(connection, CLOSE_REMOTE_FIN);
}

static __always_inline void released_unix(const struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);

	shut_unix_peer(sk);
	if (connection)
		close_connection(key, connection);
}

/* shutdown of a unix socket. Modes as in include/linux/net.h. */
static __always_inline void shut_unix(const struct sock *sk, int mode)
{
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);

	if (mode != SHUT_WR && mode != SHUT_RDWR)
		return;
	shut_unix_peer(sk);
	if (connection && !(connection->flags & CONNECTION_LOCAL_FIN)) {
		connection->flags |= CONNECTION_LOCAL_FIN;
		emit_close(connection, CLOSE_LOCAL_FIN);
	}
}

static __always_inline void enter_mptcp(const struct sock *sk, __u32 flags)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call;

	if (!is_watched(who >> 32))
		return;
	call = call_of(DIRECTION_INGRESS, who);
	if (call)
		call->sock = flags & (MSG_PEEK | MSG_ERRQUEUE) ? 0 : (__u64)sk;
}

static __always_inline void exit_mptcp(__u8 direction, long result)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call = find_call(DIRECTION_INGRESS, who);

	if (!call || !call->sock)
		return;
	declare_mptcp((const struct sock *)call->sock, direction, result);
	call->sock = 0;
}

static __always_inline void first_range(struct call *call, const struct msghdr *message)
{
	struct iovec_user vec = {};

	pieces_of(&call->pieces, &call->address, &call->left, message);
	if (call->pieces.kind == PIECES_KERNEL_IOVEC &&
	    !bpf_probe_read_kernel(&vec, sizeof(vec), (void *)call->pieces.base)) {
		call->address = (__u64)vec.iov_base;
		call->left = vec.iov_len;
	}
}

/*
 * The flags of this helper datagram as the process gave them. sendto takes bits away from the message's that are its own, and adds
 * MSG_DONTWAIT where the socket doesn't block; koala's ids have any bit. From the system call's arguments, if it is this one's.
 */
static __always_inline __u32 flags_given(const struct msghdr *message, __u64 address, __u64 size)
{
	const struct pt_regs *regs = CALL_REGISTERS(bpf_get_current_task_btf(), bpf_get_current_task());

	if (!is_64_bit(BPF_CORE_READ(regs, CALL_MODE)) || BPF_CORE_READ(regs, CALL_NUMBER) != NR_SENDTO ||
	    BPF_CORE_READ(regs, CALL_SECOND) != address || BPF_CORE_READ(regs, CALL_THIRD) != size)
		return BPF_CORE_READ(message, msg_flags);
	return BPF_CORE_READ(regs, CALL_FOURTH);
}

/* An IPv6 socket sends to an IPv4 address (::ffff:…): the kernel passes it on to udp_sendmsg, which tells it. */
static __always_inline bool is_passed_on(const struct sock *sk, const struct msghdr *message)
{
	struct peer peer = {};
	__u32 address[4];

	read_peer(&peer, BPF_CORE_READ(message, msg_name), false);
	if (peer.family == AF_INET)
		return true;
	if (peer.family == AF_INET6)
		__builtin_memcpy(address, peer.address, 16);
	else
		BPF_CORE_READ_INTO(&address, sk, __sk_common.skc_v6_daddr);
	return address[0] == 0 && address[1] == 0 && address[2] == __builtin_bswap32(0xffff);
}

static __always_inline void enter_datagram_send(const struct sock *sk, const struct msghdr *message, __u64 size)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct peer peer = {};
	struct call *call;

	if (!is_watched(who >> 32))
		return;
	call = call_of(DIRECTION_EGRESS, who);
	if (!call)
		return;
	first_range(call, message);
	if (call->pieces.kind == PIECES_PAGES)
		return;
	read_peer(&peer, BPF_CORE_READ(message, msg_name), false);
	if (is_helper(&peer) ||
	    (!peer.port && BPF_CORE_READ(sk, __sk_common.skc_daddr) == HELPER_ADDRESS &&
	     is_helper_port(__builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport)))))
		emit_helper(flags_given(message, call->address, size), (void *)call->address,
			    call->left < size ? call->left : size, size);
	else
		emit_datagram(sk, DIRECTION_EGRESS, &peer, (void *)call->address,
			      call->left < size ? call->left : size, size);
}

static __always_inline void enter_datagram_receive(const struct sock *sk, const struct msghdr *message)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call;

	if (!is_watched(who >> 32))
		return;
	call = call_of(DIRECTION_INGRESS, who);
	if (!call)
		return;
	first_range(call, message);
	call->sock = (__u64)sk;
	call->message_name = (__u64)BPF_CORE_READ(message, msg_name); /* the kernel's copy, filled by the call */
}

static __always_inline void exit_datagram_receive(const struct sock *sk, int result)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call = find_call(DIRECTION_INGRESS, who);
	struct peer peer = {};

	if (!call || call->sock != (__u64)sk)
		return;
	if (result > 0 && call->pieces.kind != PIECES_PAGES) {
		read_peer(&peer, (void *)call->message_name, false);
		emit_datagram(sk, DIRECTION_INGRESS, &peer, (void *)call->address,
			      call->left < result ? call->left : result, result);
	}
	call->sock = 0;
}

#endif
