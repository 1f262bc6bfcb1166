// SPDX-License-Identifier: GPL-2.0-only
/* The `fentry` backend: trampolines at function entry and exit. The cheapest; needs BTF and a kernel that may patch its text. */
#include "append.h"
#include "functions.h"

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(fentry_send, struct sock *sk, struct msghdr *message, unsigned long size)
{
	enter_function_send(sk, message, size);
	return 0;
}

SEC("fexit/tcp_sendmsg_locked")
int BPF_PROG(fentry_sent, struct sock *sk, struct msghdr *message, unsigned long size, int result)
{
	exit_locked_send(sk, result);
	return 0;
}

SEC("fentry/sk_stream_wait_memory")
int BPF_PROG(fentry_send_waits, struct sock *sk)
{
	send_waits(sk);
	return 0;
}

/* 5.10 to 6.4: sendfile and splice come by pages. */
SEC("fentry/tcp_sendpage")
int BPF_PROG(fentry_sendpage, struct sock *sk, void *page, int offset, unsigned long size)
{
	enter_sendpage(sk, size);
	return 0;
}

SEC("fexit/tcp_sendpage")
int BPF_PROG(fentry_sentpage, struct sock *sk, void *page, int offset, unsigned long size, int flags, int result)
{
	exit_function_send((__u64)sk, result);
	return 0;
}

/* The flags stand at another place on other kernels: (sk, msg, len, nonblock, flags, addr_len) until 5.18. */
SEC("fentry/tcp_recvmsg")
int fentry_receive(__u64 *ctx)
{
	__u32 flags;

	/*
	 * Wanted: ctx[knobs.recvmsg_flags_index]. The verifier takes constant offsets only, and clang would fold two plain
	 * loads into one at a chosen offset (refused on 5.10: "dereference of modified ctx ptr"): the comments keep them apart.
	 */
	if (knobs.recvmsg_flags_index == 4) {
		flags = ctx[4];
		asm volatile("# behind nonblock" : "+r"(flags));
	} else {
		flags = ctx[3];
		asm volatile("# no nonblock" : "+r"(flags));
	}
	enter_receive((void *)ctx[0], (void *)ctx[1], ctx[2], flags);
	return 0;
}

SEC("fentry/tcp_cleanup_rbuf")
int BPF_PROG(fentry_received, struct sock *sk, int copied)
{
	cleanup_receive(sk, copied);
	return 0;
}

SEC("fentry/unix_stream_sendmsg")
int BPF_PROG(fentry_unix_send, struct socket *socket, struct msghdr *message, unsigned long size)
{
	enter_unix_send(BPF_CORE_READ(socket, sk), message, size);
	return 0;
}

SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(fentry_unix_sent, struct socket *socket, struct msghdr *message, unsigned long size, int result)
{
	exit_function_send((__u64)BPF_CORE_READ(socket, sk), result);
	return 0;
}

SEC("fentry/unix_stream_recvmsg")
int BPF_PROG(fentry_unix_receive, struct socket *socket, struct msghdr *message, unsigned long size, int flags)
{
	enter_unix_receive(BPF_CORE_READ(socket, sk), message, size, flags);
	return 0;
}

SEC("fexit/unix_stream_recvmsg")
int BPF_PROG(fentry_unix_received, struct socket *socket, struct msghdr *message, unsigned long size, int flags,
	     int result)
{
	exit_unix_receive(result);
	return 0;
}

SEC("fentry/unix_stream_sendpage")
int BPF_PROG(fentry_unix_sendpage, struct socket *socket, void *page, int offset, unsigned long size)
{
	enter_unix_sendpage(BPF_CORE_READ(socket, sk), size);
	return 0;
}

SEC("fexit/unix_stream_sendpage")
int BPF_PROG(fentry_unix_sentpage, struct socket *socket, void *page, int offset, unsigned long size, int flags,
	     int result)
{
	exit_function_send((__u64)BPF_CORE_READ(socket, sk), result);
	return 0;
}

SEC("fentry/unix_shutdown")
int BPF_PROG(fentry_unix_shutdown, struct socket *socket, int mode)
{
	shut_unix(BPF_CORE_READ(socket, sk), mode);
	return 0;
}

SEC("fentry/udp_sendmsg")
int BPF_PROG(fentry_udp_send, struct sock *sk, struct msghdr *message, unsigned long size)
{
	enter_datagram_send(sk, message, size);
	return 0;
}

SEC("fentry/udpv6_sendmsg")
int BPF_PROG(fentry_udp6_send, struct sock *sk, struct msghdr *message, unsigned long size)
{
	if (!is_passed_on(sk, message))
		enter_datagram_send(sk, message, size);
	return 0;
}

SEC("fentry/udp_recvmsg")
int BPF_PROG(fentry_udp_receive, struct sock *sk, struct msghdr *message)
{
	enter_datagram_receive(sk, message);
	return 0;
}

SEC("fentry/udpv6_recvmsg")
int BPF_PROG(fentry_udp6_receive, struct sock *sk, struct msghdr *message)
{
	enter_datagram_receive(sk, message);
	return 0;
}

/* The result stands behind the last argument, whose number varies: bpf_get_func_ret knows (5.17). */
static __always_inline int varying_result(__u64 *ctx)
{
	__u64 result = 0;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_func_ret)) {
		bpf_get_func_ret(ctx, &result);
		return result;
	}
	/* return ctx[6], at a constant offset whatever clang thinks */
	asm volatile("%0 = *(u64 *)(%1 + 48)" : "=r"(result) : "r"(ctx));
	return result;
}

/* Every receive of a datagram ends here, the bytes copied and the sender's address told. A peek's length is negative. */
SEC("fentry/skb_consume_udp")
int BPF_PROG(fentry_udp_received, struct sock *sk, void *skb, int size)
{
	exit_datagram_receive(sk, size);
	return 0;
}

SEC("fexit/unix_stream_splice_read")
int BPF_PROG(fentry_unix_spliced, struct socket *socket, void *position, void *pipe, unsigned long size,
	     unsigned int flags, long result)
{
	spliced_unix(BPF_CORE_READ(socket, sk), result);
	return 0;
}

SEC("fentry/unix_release")
int BPF_PROG(fentry_unix_release, struct socket *socket)
{
	released_unix(BPF_CORE_READ(socket, sk));
	return 0;
}

SEC("fentry/mptcp_sendmsg")
int BPF_PROG(fentry_mptcp_send, struct sock *sk)
{
	enter_mptcp(sk, 0);
	return 0;
}

SEC("fexit/mptcp_sendmsg")
int BPF_PROG(fentry_mptcp_sent, struct sock *sk, struct msghdr *message, unsigned long size, int result)
{
	exit_mptcp(DIRECTION_EGRESS, result);
	return 0;
}

/* mptcp_recvmsg came with 5.11 and lost its nonblock with tcp_recvmsg's. */
SEC("fentry/mptcp_recvmsg")
int BPF_PROG(fentry_mptcp_receive, struct sock *sk, struct msghdr *message, unsigned long size, int flags)
{
	enter_mptcp(sk, flags);
	return 0;
}

SEC("fexit/mptcp_recvmsg")
int fentry_mptcp_received(__u64 *ctx)
{
	exit_mptcp(DIRECTION_INGRESS, varying_result(ctx));
	return 0;
}

/* Every write to a regular file, whichever its file system, comes by here. */
SEC("fentry/generic_write_checks")
int BPF_PROG(fentry_append, struct kiocb *iocb, struct iov_iter *iter)
{
	enter_append(iocb, iter);
	return 0;
}
