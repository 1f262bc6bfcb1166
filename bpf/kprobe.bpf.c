// SPDX-License-Identifier: GPL-2.0-only
/*
 * The `kprobe` backend, the reference: everywhere kprobes are. Results come from kretprobes, which the kernel skips when
 * more threads are inside a function than it has slots for; so nothing that blocks for input hangs on one for TCP
 * (tcp_cleanup_rbuf tells of every run of bytes), and a send whose exit was skipped shows as a jump of the next position.
 */
#include "append.h"
#include "functions.h"

SEC("kprobe/tcp_sendmsg_locked")
int BPF_KPROBE(kprobe_send, struct sock *sk, struct msghdr *message, unsigned long size)
{
	settle_missed_send();
	enter_function_send(sk, message, size);
	return 0;
}

SEC("kprobe/tcp_push")
int BPF_KPROBE(kprobe_pushed, struct sock *sk)
{
	send_pushed(sk);
	return 0;
}

SEC("kretprobe/tcp_sendmsg_locked")
int BPF_KRETPROBE(kprobe_sent, int result)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct call *call = find_call(DIRECTION_EGRESS, who);

	if (call)
		exit_locked_send((void *)call->sock, result);
	return 0;
}

SEC("kprobe/sk_stream_wait_memory")
int BPF_KPROBE(kprobe_send_waits, struct sock *sk)
{
	send_waits(sk);
	return 0;
}

SEC("kprobe/tcp_sendpage")
int BPF_KPROBE(kprobe_sendpage, struct sock *sk, void *page, int offset, unsigned long size)
{
	settle_missed_send();
	enter_sendpage(sk, size);
	return 0;
}

SEC("kretprobe/tcp_sendpage")
int BPF_KRETPROBE(kprobe_sentpage, int result)
{
	exit_function_send(0, result);
	return 0;
}

SEC("kprobe/tcp_recvmsg")
int kprobe_receive(struct pt_regs *ctx)
{
	__u32 fourth = PT_REGS_PARM4(ctx), fifth = PT_REGS_PARM5(ctx), flags;

	/* Both are read first, or clang would choose an offset into ctx, which the verifier refuses. */
	opaque(fourth);
	opaque(fifth);
	flags = knobs.recvmsg_flags_index == 4 ? fifth : fourth;
	enter_receive((void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), flags);
	return 0;
}

SEC("kprobe/tcp_cleanup_rbuf")
int BPF_KPROBE(kprobe_received, struct sock *sk, int copied)
{
	cleanup_receive(sk, copied);
	return 0;
}

SEC("kprobe/unix_stream_sendmsg")
int BPF_KPROBE(kprobe_unix_send, struct socket *socket, struct msghdr *message, unsigned long size)
{
	settle_missed_send();
	enter_unix_send(BPF_CORE_READ(socket, sk), message, size);
	return 0;
}

SEC("kretprobe/unix_stream_sendmsg")
int BPF_KRETPROBE(kprobe_unix_sent, int result)
{
	exit_function_send(0, result);
	return 0;
}

SEC("kprobe/unix_stream_recvmsg")
int BPF_KPROBE(kprobe_unix_receive, struct socket *socket, struct msghdr *message, unsigned long size, int flags)
{
	enter_unix_receive(BPF_CORE_READ(socket, sk), message, size, flags);
	return 0;
}

SEC("kretprobe/unix_stream_read_actor")
int BPF_KRETPROBE(kprobe_unix_received, int copied)
{
	copied_unix(copied);
	return 0;
}

SEC("kprobe/unix_stream_sendpage")
int BPF_KPROBE(kprobe_unix_sendpage, struct socket *socket, void *page, int offset, unsigned long size)
{
	settle_missed_send();
	enter_unix_sendpage(BPF_CORE_READ(socket, sk), size);
	return 0;
}

SEC("kretprobe/unix_stream_sendpage")
int BPF_KRETPROBE(kprobe_unix_sentpage, int result)
{
	exit_function_send(0, result);
	return 0;
}

SEC("kprobe/unix_shutdown")
int BPF_KPROBE(kprobe_unix_shutdown, struct socket *socket, int mode)
{
	shut_unix(BPF_CORE_READ(socket, sk), mode);
	return 0;
}

SEC("kprobe/udp_sendmsg")
int BPF_KPROBE(kprobe_udp_send, struct sock *sk, struct msghdr *message, unsigned long size)
{
	enter_datagram_send(sk, message, size);
	return 0;
}

SEC("kprobe/udpv6_sendmsg")
int BPF_KPROBE(kprobe_udp6_send, struct sock *sk, struct msghdr *message, unsigned long size)
{
	if (!is_passed_on(sk, message))
		enter_datagram_send(sk, message, size);
	return 0;
}

SEC("kprobe/udp_recvmsg")
int BPF_KPROBE(kprobe_udp_receive, struct sock *sk, struct msghdr *message)
{
	enter_datagram_receive(sk, message);
	return 0;
}

SEC("kprobe/udpv6_recvmsg")
int BPF_KPROBE(kprobe_udp6_receive, struct sock *sk, struct msghdr *message)
{
	enter_datagram_receive(sk, message);
	return 0;
}

/* Every receive of a datagram ends here, the bytes copied and the sender's address told. A peek's length is negative. */
SEC("kprobe/skb_consume_udp")
int BPF_KPROBE(kprobe_udp_received, struct sock *sk, void *skb, int size)
{
	exit_datagram_receive(sk, size);
	return 0;
}

/* key: pid_tgid. value: the socket of a splice under way. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} splices SEC(".maps");

SEC("kprobe/unix_stream_splice_read")
int BPF_KPROBE(kprobe_unix_splice, struct socket *socket)
{
	__u64 who = bpf_get_current_pid_tgid(), sk = (__u64)BPF_CORE_READ(socket, sk);

	if (is_watched(who >> 32))
		bpf_map_update_elem(&splices, &who, &sk, BPF_ANY);
	return 0;
}

SEC("kretprobe/unix_stream_splice_read")
int BPF_KRETPROBE(kprobe_unix_spliced, int result)
{
	__u64 who = bpf_get_current_pid_tgid(), *sk = bpf_map_lookup_elem(&splices, &who);

	if (!sk)
		return 0;
	spliced_unix((const struct sock *)*sk, result);
	bpf_map_delete_elem(&splices, &who);
	return 0;
}

SEC("kprobe/unix_release")
int BPF_KPROBE(kprobe_unix_release, struct socket *socket)
{
	released_unix(BPF_CORE_READ(socket, sk));
	return 0;
}

SEC("kprobe/mptcp_sendmsg")
int BPF_KPROBE(kprobe_mptcp_send, struct sock *sk)
{
	enter_mptcp(sk, 0);
	return 0;
}

SEC("kretprobe/mptcp_sendmsg")
int BPF_KRETPROBE(kprobe_mptcp_sent, int result)
{
	exit_mptcp(DIRECTION_EGRESS, result);
	return 0;
}

SEC("kprobe/mptcp_recvmsg")
int BPF_KPROBE(kprobe_mptcp_receive, struct sock *sk, struct msghdr *message, unsigned long size, int flags)
{
	enter_mptcp(sk, flags);
	return 0;
}

SEC("kretprobe/mptcp_recvmsg")
int BPF_KRETPROBE(kprobe_mptcp_received, int result)
{
	exit_mptcp(DIRECTION_INGRESS, result);
	return 0;
}

/* Every write to a regular file, whichever its file system, comes by here. */
SEC("kprobe/generic_write_checks")
int BPF_KPROBE(kprobe_append, struct kiocb *iocb, struct iov_iter *iter)
{
	enter_append(iocb, iter);
	return 0;
}
