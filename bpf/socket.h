/* SPDX-License-Identifier: GPL-2.0-only */
/* What a socket says of itself: its sequence numbers, where it is, between whom. */
#ifndef KOALA_SOCKET_H
#define KOALA_SOCKET_H

#include "maps.h"

enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	TCP_CLOSING = 11,
};

#define SOCK(sk) ((const struct sock *)(sk))
#define TCP(sk) ((const struct tcp_sock *)(sk))
#define FAMILY(sk) LOAD(SOCK(sk), __sk_common.skc_family)

static __always_inline __u8 state_of(const struct sock *sk)
{
	return LOAD(SOCK(sk), __sk_common.skc_state);
}

static __always_inline __u32 write_sequence(const struct sock *sk)
{
#ifdef KOALA_DIRECT
	const struct tcp_sock *tcp = bpf_skc_to_tcp_sock((void *)sk);

	return tcp ? tcp->write_seq : 0;
#else
	return BPF_CORE_READ(TCP(sk), write_seq);
#endif
}

static __always_inline __u32 copied_sequence(const struct sock *sk)
{
#ifdef KOALA_DIRECT
	const struct tcp_sock *tcp = bpf_skc_to_tcp_sock((void *)sk);

	return tcp ? tcp->copied_seq : 0;
#else
	return BPF_CORE_READ(TCP(sk), copied_seq);
#endif
}

/*
 * Sequence number after the last payload byte that was consumed: a FIN that was consumed counts one, and is no payload.
 * Only a FIN sets SOCK_DONE (tcp_fin); a reset and our own shutdown set RCV_SHUTDOWN as well.
 */
static __always_inline __u32 consumed_sequence(const struct sock *sk)
{
	__u32 copied = BPF_CORE_READ(TCP(sk), copied_seq);

	if (BPF_CORE_READ(sk, __sk_common.skc_flags) & 1UL << SOCK_DONE && copied == BPF_CORE_READ(TCP(sk), rcv_nxt))
		copied--;
	return copied;
}

/* A TCP socket that carries a part of an MPTCP stream: nobody reads or writes it by itself. */
static __always_inline bool is_subflow(const struct sock *sk)
{
	return bpf_core_field_exists(struct tcp_sock, is_mptcp) && BPF_CORE_READ(TCP(sk), is_mptcp);
}

static __always_inline __u32 netns_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

static __always_inline __u64 inode_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

static __always_inline bool is_listener(const struct sock *sk)
{
	struct listener_key key = { .netns = netns_of(sk), .port = BPF_CORE_READ(sk, __sk_common.skc_num) };

	return bpf_map_lookup_elem(&listeners, &key) != 0;
}

static __always_inline void read_addresses(const struct sock *sk, __u16 family, __u8 *local, __u8 *remote)
{
	if (family == AF_INET) {
		BPF_CORE_READ_INTO((__u32 *)local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__u32 *)remote, sk, __sk_common.skc_daddr);
	} else if (family == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)remote, sk, __sk_common.skc_v6_daddr);
	}
}

static __always_inline void read_unix_path(__u8 *path, const struct unix_address *address)
{
	int length = BPF_CORE_READ(address, len) - 2;

	if (length <= 0)
		return;
	if (length > 108)
		length = 108;
	bpf_probe_read_kernel(path, length & 127, (const void *)&address->name[0].sun_path);
	if (path[0] == 0)
		path[0] = '@';
}

/* A socketpair, or a unix socket nobody named: a pipe inside a program, not a dependency. */
static __always_inline bool is_unnamed(const struct sock *sk)
{
	const struct unix_sock *mine = (const void *)sk;
	const struct unix_sock *peer = (const void *)BPF_CORE_READ(mine, peer);

	return BPF_CORE_READ(mine, addr) == 0 && BPF_CORE_READ(peer, addr) == 0;
}

#endif
