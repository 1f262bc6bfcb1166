// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packets road: sendfile, splice, MSG_SPLICE_PAGES and io_uring's fixed buffers hand the kernel pages, no address to
 * read. The send probe marks the socket; here, at egress on the root cgroup, the payload is read from the packets that
 * carry it, at their TCP sequence number. Retransmissions lie below packet_next and are skipped.
 */
#include "connection.h"

#define PACKET_CHUNK 16384

struct ipv4 {
	__u8 version_length;
	__u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 source;
	__be32 destination;
};

struct ipv6 {
	__u8 version;
	__u8 flow[3];
	__be16 length;
	__u8 next;
	__u8 hops;
	__u8 source[16];
	__u8 destination[16];
};

struct tcp {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledged;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
};

/*
 * `size` is 1 to C, in a form from which 5.10's verifier sees that it isn't 0. Not fill_sample: who runs here is not the
 * owner, and 5.10 doesn't tell it in this kind of program.
 */
#define PACKET_CLASS(C)                                                                      \
	{                                                                                    \
		struct {                                                                     \
			struct sample head;                                                  \
			__u8 payload[C];                                                     \
		} *record = RESERVE_PAYLOAD(sizeof(*record));                                \
		if (!record)                                                                 \
			goto full;                                                           \
		record->head.kind = SAMPLE_DATA;                                             \
		record->head.direction = DIRECTION_EGRESS;                                   \
		record->head.cause = CAUSE_NONE;                                             \
		record->head.flags = SAMPLE_FROM_PACKET;                                     \
		record->head.at_ns = bpf_ktime_get_ns();                                     \
		record->head.connection = connection->id;                                    \
		record->head.context = 0;                                                    \
		record->head.tgid = connection->tgid;                                        \
		record->head.tid = 0;                                                        \
		record->head.position = position;                                            \
		record->head.length = size;                                                  \
		record->head.captured = size;                                                \
		size--;                                                                      \
		opaque(size);                                                                \
		size = (size & ((C)-1)) + 1;                                                 \
		if (bpf_skb_load_bytes(skb, offset, record->payload, size)) {                \
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);                       \
			return -1;                                                           \
		}                                                                            \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                \
		return 0;                                                                    \
	}

/*
 * One step: up to a chunk of the packet's payload, which stands at `at` and is the stream's [from, to), from packet_next on.
 * Non-zero: no more. A global function is verified once for itself; in line, 5.10 walks its classes for each of the rounds
 * below and gives up, and what the rounds change lies in the map, or 6.1 does. It may take numbers only, hence the look-up.
 */
int emit_packet_step(struct __sk_buff *skb, __u64 key, __u32 at, __u64 from, __u64 to)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	__u64 position, left;
	__u32 offset, size;

	if (!connection)
		return 1;
	position = connection->packet_next;
	if (position < from || position >= to)
		return 1;
	left = to - position;
	size = left < PACKET_CHUNK ? left : PACKET_CHUNK;
	if (!size || size > PACKET_CHUNK)
		return 1;
	offset = at + (__u32)(position - from);
	connection->packet_next = position + size;
	if (size <= 512)
		PACKET_CLASS(512)
	if (size <= 2048)
		PACKET_CLASS(2048)
	PACKET_CLASS(PACKET_CHUNK)
full:
	count_loss(CAUSE_RING_FULL, 1, size);
	return 1;
}

static __always_inline void read_packet(struct __sk_buff *skb, struct connection *connection)
{
	struct ipv4 ip4;
	struct ipv6 ip6;
	struct tcp tcp;
	__u64 key, from, to;
	__u32 at, total;

	if (bpf_skb_load_bytes(skb, 0, &ip4, sizeof(ip4)))
		return;
	if (ip4.version_length >> 4 == 4) {
		at = (ip4.version_length & 15) * 4;
	} else {
		if (bpf_skb_load_bytes(skb, 0, &ip6, sizeof(ip6)))
			return;
		at = sizeof(ip6);
		/* A packet past 64 KiB has its length in a hop-by-hop option (BIG TCP, 5.19 to 6.19: ip6_xmit). */
		if (ip6.next == 0) {
			if (bpf_skb_load_bytes(skb, at, &ip6.next, 1))
				return;
			at += 8;
		}
		if (ip6.next != IPPROTO_TCP)
			return;
	}
	if (bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp)))
		return;
	at += (tcp.offset >> 4) * 4;
	total = skb->len;
	if (total <= at)
		return;
	from = extend(connection->egress_position, connection->egress_sequence, __builtin_bswap32(tcp.sequence));
	to = from + (total - at);
	if (to > connection->packet_to)
		to = connection->packet_to;
	if (from > connection->packet_next)
		connection->packet_next = from;
	key = connection->key;
	/* A GSO packet holds up to 512 KiB (BIG TCP). */
	for (int i = 0; i < 34; i++)
		if (emit_packet_step(skb, key, at, from, to))
			break;
	connection = bpf_map_lookup_elem(&connections, &key);
	if (connection && connection->packet_next < to)
		connection->packet_next = to;
}

SEC("cgroup_skb/egress")
int packets(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct shared *all = bpf_map_lookup_elem(&shared, &zero);
	struct connection *connection;
	void *sk;
	__u64 key;

	if (!all || !all->packet_connections)
		return 1;
	if (!skb->sk)
		return 1;
	sk = bpf_skc_to_tcp_sock((void *)skb->sk);
	if (!sk)
		return 1;
	key = (__u64)sk;
	connection = bpf_map_lookup_elem(&connections, &key);
	if (connection && connection->flags & CONNECTION_PACKETS && connection->packet_next < connection->packet_to)
		read_packet(skb, connection);
	return 1;
}
