/* SPDX-License-Identifier: GPL-2.0-only */
/* UDP datagrams (names are resolved by them) and the helper's, to 127.127.127.127, which reach nobody else. */
#ifndef KOALA_DATAGRAM_H
#define KOALA_DATAGRAM_H

#include "connection.h"

#define DATAGRAM_MAX 4096
#define HELPER_ADDRESS 0x7f7f7f7f
#define HELPER_PORT 127
#define ASKED_PORT 128 /* the same from a runtime that was asked: somebody must hold it (src/instrument/keeper.ts) */

struct peer {
	__u8 address[16];
	__u16 family;
	__u16 port; /* host order; 0: not told */
	__u32 pad0;
};

struct sockaddr_any {
	__u16 family;
	__u16 port; /* network order */
	__u32 address4;
	__u8 address6[16];
	__u32 scope;
};

/* A sockaddr, from user or kernel memory. */
static __always_inline void read_peer(struct peer *peer, const void *name, bool user)
{
	struct sockaddr_any any = {};

	if (!name)
		return;
	if (user)
		read_user(&any, sizeof(any), name);
	else
		bpf_probe_read_kernel(&any, sizeof(any), name);
	peer->family = any.family;
	peer->port = __builtin_bswap16(any.port);
	if (any.family == AF_INET)
		__builtin_memcpy(peer->address, &any.address4, 4);
	else
		__builtin_memcpy(peer->address, any.address6, 16);
}

/* One datagram into a record that has room for C bytes of it. */
#define EMIT_DATAGRAM(C)                                                                                      \
	{                                                                                                     \
		struct {                                                                                      \
			struct sample head;                                                                   \
			struct udp_payload udp;                                                               \
			__u8 payload[C];                                                                      \
		} *record = RESERVE_PAYLOAD(sizeof(*record));                                                 \
		if (!record) {                                                                                \
			count_loss(CAUSE_RING_FULL, 1, total);                                                \
			return;                                                                               \
		}                                                                                             \
		fill_sample(&record->head, SAMPLE_UDP, direction, 0);                                         \
		fill_udp(&record->udp, sk, peer);                                                             \
		record->head.length = total;                                                                  \
		opaque(length);                                                                               \
		if (length > C)                                                                               \
			length = C;                                                                           \
		if (read_user(record->payload, length, address)) {                                            \
			record->head.cause = CAUSE_UNREADABLE;                                                \
			length = 0;                                                                           \
		}                                                                                             \
		record->head.captured = sizeof(record->udp) + length;                                         \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                                 \
		return;                                                                                       \
	}

static __always_inline void fill_udp(struct udp_payload *udp, const struct sock *sk, const struct peer *peer)
{
	__u16 family = FAMILY(sk);

	__builtin_memset(udp, 0, sizeof(*udp));
	udp->family = family;
	udp->netns = netns_of(sk);
	read_addresses(sk, family, udp->local, udp->remote);
	udp->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	udp->remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (peer->port) {
		__builtin_memcpy(udp->remote, peer->address, 16);
		udp->remote_port = peer->port;
		udp->family = peer->family;
	}
}

/* `address`, `length`: the (first piece of the) datagram in user memory; `total`: its whole size. */
static __always_inline void emit_datagram(const struct sock *sk, __u8 direction, const struct peer *peer,
					  const void *address, __u32 length, __u32 total)
{
	if (length <= 512)
		EMIT_DATAGRAM(512)
	EMIT_DATAGRAM(DATAGRAM_MAX)
}

static __always_inline bool is_helper_port(__u16 port)
{
	return port == HELPER_PORT || port == ASKED_PORT;
}

/* Also as a socket for both families has it: ::ffff:127.127.127.127. */
static __always_inline bool is_helper(const struct peer *peer)
{
	__u32 address[4];

	if (!is_helper_port(peer->port))
		return false;
	__builtin_memcpy(address, peer->address, 16);
	if (peer->family == AF_INET)
		return address[0] == HELPER_ADDRESS;
	return peer->family == AF_INET6 && address[0] == 0 && address[1] == 0 &&
	       address[2] == __builtin_bswap32(0xffff) && address[3] == HELPER_ADDRESS;
}

/*
 * `flags`: of the call. `address`, `length`: the (first piece of the) body; `total`: its whole size. Carried up to CHUNK, which
 * is more than a datagram can hold; what isn't there is counted, and `position` of the sample tells the whole size.
 */
static __always_inline void emit_helper(__u64 flags, const void *address, __u64 length, __u64 total)
{
	struct sample head;
	__u32 size = length < CHUNK ? length : CHUNK;

	if (total < length)
		total = length;
	fill_sample(&head, SAMPLE_HELPER, DIRECTION_EGRESS, 0);
	head.length = flags;
	head.position = total;
	switch (emit_range(&head, address, size)) {
	case EMIT_FULL:
		count_loss(CAUSE_RING_FULL, 1, total);
		return;
	case EMIT_UNREADABLE:
		head.cause = CAUSE_UNREADABLE;
		emit_bare(&head);
		count_loss(CAUSE_UNREADABLE, 1, total);
		return;
	}
	if (size < total)
		count_loss(CAUSE_TOO_MANY_PIECES, 1, total - size);
}

#endif
