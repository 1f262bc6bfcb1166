/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The life of a connection and its stream positions. A connection's id is our own number: kprobes may not ask for socket
 * cookies or storage, and skc_cookie is 0 until somebody asks. Positions count from the first payload byte (0) and are
 * 64 bits wide: the last known position plus the signed distance of the sequence numbers.
 */
#ifndef KOALA_CONNECTION_H
#define KOALA_CONNECTION_H

#include "emit.h"
#include "filter.h"

#define ECONNRESET 104
#define EPIPE 32

#define SOCK(sk) ((const struct sock *)(sk))
#define TCP(sk) ((const struct tcp_sock *)(sk))
#define FAMILY(sk) BPF_CORE_READ(SOCK(sk), __sk_common.skc_family)

/*
 * Wanted: __sync_fetch_and_add(&all->next_connection, 1). An add that also returns came with 5.12, and 5.10 refuses a program
 * that merely contains one. So whoever inserts a number first owns it, and moves the counter on.
 */
static __always_inline __u64 new_connection_id(void)
{
	__u32 zero = 0, one = 1;
	struct shared *all = bpf_map_lookup_elem(&shared, &zero);
	__u64 id;

	if (!all)
		return 0;
	id = *(volatile __u64 *)&all->next_connection;
	for (int i = 0; i < 64; i++, id++) {
		if (!bpf_map_update_elem(&taken_ids, &id, &one, BPF_NOEXIST)) {
			__sync_fetch_and_add(&all->next_connection, 1);
			return id;
		}
	}
	return 0;
}

static __always_inline __u64 extend(__u64 position, __u32 from, __u32 to)
{
	return position + (__s64)(__s32)(to - from);
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

static __always_inline bool emit_open(const struct sock *sk, struct connection *connection)
{
	struct {
		struct sample head;
		struct open_payload open;
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	__u16 family = FAMILY(sk);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return false;
	}
	__builtin_memset(&record->open, 0, sizeof(record->open));
	fill_sample(&record->head, SAMPLE_OPEN, DIRECTION_NONE, connection->id);
	record->head.captured = sizeof(record->open);
	record->head.tgid = connection->tgid;
	record->head.tid = connection->tid;
	record->open.family = family;
	record->open.role = connection->role;
	record->open.learnt = connection->learnt;
	record->open.ingress_from = connection->ingress_from;
	record->open.egress_from = connection->egress_from;
	record->open.netns = netns_of(sk);
	record->open.socket_inode = connection->inode;
	if (bpf_get_current_pid_tgid() >> 32 == connection->tgid)
		bpf_get_current_comm(record->open.comm, sizeof(record->open.comm));
	if (family == AF_UNIX) {
		const struct unix_sock *mine = (const void *)sk;
		const struct unix_sock *peer = (const void *)BPF_CORE_READ(mine, peer);
		const struct unix_address *address = BPF_CORE_READ(mine, addr);

		if (!address)
			address = BPF_CORE_READ(peer, addr);
		if (address)
			read_unix_path(record->open.path, address);
		record->open.peer = (__u64)peer;
	} else {
		read_addresses(sk, family, record->open.local, record->open.remote);
		record->open.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
		record->open.remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	connection->flags |= CONNECTION_OPENED;
	return true;
}

static __always_inline struct connection *insert_connection(__u64 key, struct connection *fresh)
{
	fresh->id = new_connection_id();
	if (!fresh->id) {
		count_loss(CAUSE_MAP_FULL, 1, 0);
		return 0;
	}
	if (bpf_map_update_elem(&connections, &key, fresh, BPF_ANY)) {
		count_loss(CAUSE_MAP_FULL, 1, 0);
		return 0;
	}
	return bpf_map_lookup_elem(&connections, &key);
}

/* Positions of a connection that began before anybody looked (tcp_info's counters; SYN and FIN count one each). */
static __always_inline void positions_in_flight(const struct sock *sk, struct connection *fresh)
{
	__u32 write_seq = BPF_CORE_READ(TCP(sk), write_seq);
	__u32 snd_una = BPF_CORE_READ(TCP(sk), snd_una);
	__u32 copied_seq = BPF_CORE_READ(TCP(sk), copied_seq);
	__u32 rcv_nxt = BPF_CORE_READ(TCP(sk), rcv_nxt);
	__u64 acked = BPF_CORE_READ(TCP(sk), bytes_acked);
	__u64 received = BPF_CORE_READ(TCP(sk), bytes_received);
	__u64 waiting = rcv_nxt - copied_seq;

	fresh->egress_sequence = write_seq;
	fresh->ingress_sequence = copied_seq;
	/* The connecting side's SYN was acknowledged as a byte; the accepting side's is not counted. */
	if (fresh->role != ROLE_INBOUND && acked)
		acked--;
	fresh->egress_from = acked + (__u32)(write_seq - snd_una);
	fresh->ingress_from = received > waiting ? received - waiting : 0;
	fresh->egress_position = fresh->egress_from;
	fresh->ingress_position = fresh->ingress_from;
}

/*
 * The connection of a TCP socket that the current, watched process uses now. Emits its opening at first sight.
 * `consumed`: bytes this call has read already, so that a connection first met in a read is known from that read's first byte.
 */
static __always_inline struct connection *connection_of(const struct sock *sk, __u64 consumed)
{
	__u64 key = (__u64)sk;
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	struct connection fresh = {};

	if (!connection) {
		fresh.learnt = LEARNT_SEEN;
		fresh.role = is_listener(sk) ? ROLE_INBOUND : ROLE_OUTBOUND;
		fresh.inode = inode_of(sk);
		fresh.tgid = who >> 32;
		fresh.tid = (__u32)who;
		positions_in_flight(sk, &fresh);
		if (fresh.ingress_from >= consumed) {
			fresh.ingress_from -= consumed;
			fresh.ingress_position -= consumed;
			fresh.ingress_sequence -= (__u32)consumed;
		}
		connection = insert_connection(key, &fresh);
		if (!connection)
			return 0;
	}
	if (!(connection->flags & CONNECTION_OPENED)) {
		if (!connection->tgid) {
			connection->tgid = who >> 32;
			connection->tid = (__u32)who;
		}
		if (!connection->inode)
			connection->inode = inode_of(sk);
		emit_open(sk, connection);
	}
	return connection;
}

static __always_inline void emit_close(struct connection *connection, __u8 phase)
{
	struct {
		struct sample head;
		struct close_payload close;
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		if (phase >= CLOSE_DONE)
			connection->flags |= CONNECTION_UNREPORTED;
		return;
	}
	fill_sample(&record->head, SAMPLE_CLOSE, DIRECTION_NONE, connection->id);
	__builtin_memset(&record->close, 0, sizeof(record->close));
	record->head.captured = sizeof(record->close);
	/* A close may run in anybody's context (a packet's): the owner is the connection's. */
	if (record->head.tgid != connection->tgid) {
		record->head.tgid = connection->tgid;
		record->head.tid = 0;
	}
	record->close.phase = phase;
	record->close.by_remote = !!(connection->flags & CONNECTION_BY_REMOTE);
	record->close.reset = !!(connection->flags & CONNECTION_RESET);
	record->close.error = connection->error;
	record->close.ingress_final = connection->ingress_position;
	record->close.egress_final = connection->egress_position;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* The socket is gone, or its address serves another one now. */
static __always_inline void close_connection(__u64 key, struct connection *connection)
{
	if (connection->flags & CONNECTION_OPENED) {
		emit_close(connection, CLOSE_DONE);
		if (connection->flags & CONNECTION_UNREPORTED) {
			__u64 id = connection->id;

			if (bpf_map_update_elem(&unreported, &id, connection, BPF_ANY))
				count_loss(CAUSE_MAP_FULL, 1, 0);
		}
		if (connection->flags & CONNECTION_PACKETS) {
			__u32 zero = 0;
			struct shared *all = bpf_map_lookup_elem(&shared, &zero);

			if (all)
				__sync_fetch_and_add(&all->packet_connections, -1);
		}
	}
	bpf_map_delete_elem(&connections, &key);
}

#endif
