/* SPDX-License-Identifier: GPL-2.0-only */
/* UDP datagrams (names are resolved by them) and the helper's, to 127.127.127.127:127, which reach nobody else. */
#ifndef KOALA_DATAGRAM_H
#define KOALA_DATAGRAM_H

#include "connection.h"

#define DATAGRAM_MAX 4096
#define HELPER_ADDRESS 0x7f7f7f7f
#define HELPER_PORT 127

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
		bpf_probe_read_user(&any, sizeof(any), name);
	else
		bpf_probe_read_kernel(&any, sizeof(any), name);
	peer->family = any.family;
	peer->port = __builtin_bswap16(any.port);
	if (any.family == AF_INET)
		__builtin_memcpy(peer->address, &any.address4, 4);
	else
		__builtin_memcpy(peer->address, any.address6, 16);
}

struct datagram_record {
	struct sample head;
	struct udp_payload udp;
	__u8 payload[DATAGRAM_MAX];
};

/* `address`, `length`: the (first piece of the) datagram in user memory; `total`: its whole size. */
static __always_inline void emit_datagram(const struct sock *sk, __u8 direction, const struct peer *peer,
					  const void *address, __u32 length, __u32 total)
{
	struct datagram_record *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	__u16 family = FAMILY(sk);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, total);
		return;
	}
	fill_sample(&record->head, SAMPLE_UDP, direction, 0);
	__builtin_memset(&record->udp, 0, sizeof(record->udp));
	record->udp.family = family;
	record->udp.netns = netns_of(sk);
	read_addresses(sk, family, record->udp.local, record->udp.remote);
	record->udp.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	record->udp.remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (peer->port) {
		__builtin_memcpy(record->udp.remote, peer->address, 16);
		record->udp.remote_port = peer->port;
		record->udp.family = peer->family;
	}
	record->head.length = total;
	opaque(length);
	if (length > DATAGRAM_MAX)
		length = DATAGRAM_MAX;
	if (bpf_probe_read_user(record->payload, length, address)) {
		record->head.cause = CAUSE_UNREADABLE;
		length = 0;
	}
	record->head.captured = sizeof(record->udp) + length;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline bool is_helper(const struct peer *peer)
{
	__u32 address;

	__builtin_memcpy(&address, peer->address, 4);
	return peer->family == AF_INET && peer->port == HELPER_PORT && address == HELPER_ADDRESS;
}

static __always_inline void emit_helper(__u64 flags, const void *address, __u32 length)
{
	struct {
		struct sample head;
		__u8 payload[16384];
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, length);
		return;
	}
	fill_sample(&record->head, SAMPLE_HELPER, DIRECTION_EGRESS, 0);
	opaque(length);
	if (length > 16384) {
		length = 16384;
		record->head.cause = CAUSE_MAX_MESSAGE;
	}
	if (bpf_probe_read_user(record->payload, length, address)) {
		record->head.cause = CAUSE_UNREADABLE;
		length = 0;
	}
	record->head.length = flags;
	record->head.captured = length;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

#endif
