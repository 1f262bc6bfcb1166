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
#include "socket.h"
#include "standing.h"

#define ECONNRESET 104
#define EPIPE 32

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
	record->head.context = connection->context;
	record->open.family = family;
	record->open.role = connection->role;
	record->open.learnt = connection->learnt;
	record->open.ingress_from = connection->ingress_from;
	record->open.egress_from = connection->egress_from;
	record->open.netns = netns_of(sk);
	record->open.socket_inode = connection->inode;
	if (connection->connected_ns) {
		record->head.at_ns = connection->connected_ns;
		__builtin_memcpy(record->open.comm, connection->comm, sizeof(connection->comm));
	} else if (bpf_get_current_pid_tgid() >> 32 == connection->tgid)
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
		/* A connect that failed has given its port back; its network-order twin stays. */
		if (!record->open.local_port)
			record->open.local_port = __builtin_bswap16(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
		record->open.remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	connection->flags |= CONNECTION_OPENED;
	return true;
}

/* A new entry for a socket, with its number and nothing else: the caller has the socket's lock. */
static __always_inline struct connection *insert_connection(__u64 key)
{
	__u64 id = new_connection_id();
	struct connection *connection;
	__u32 zero = 0;

	connection = bpf_map_lookup_elem(&blank, &zero);
	if (!connection)
		return 0;
	if (!id || bpf_map_update_elem(&connections, &key, connection, BPF_ANY)) {
		count_loss(CAUSE_MAP_FULL, 1, 0);
		return 0;
	}
	connection = bpf_map_lookup_elem(&connections, &key);
	if (connection) {
		connection->id = id;
		connection->key = key;
	}
	return connection;
}

static __always_inline void own(struct connection *connection, const struct sock *sk, __u8 role, __u8 learnt)
{
	__u64 who = bpf_get_current_pid_tgid();

	connection->role = role;
	connection->learnt = learnt;
	connection->inode = inode_of(sk);
	connection->tgid = who >> 32;
	connection->tid = (__u32)who;
	connection->context = context_of(who, bpf_ktime_get_ns());
}

/*
 * The connection of a TCP socket that the current, watched process uses now. Emits its opening at first sight.
 * `consumed`: bytes this call has read already, so that a connection first met in a read is known from that read's first byte.
 */
static __always_inline struct connection *connection_of(const struct sock *sk, __u64 consumed)
{
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);

	if (connection && connection->flags & CONNECTION_OPENED)
		return connection;
	/* No probe saw that its connect succeeded: it is met here. */
	if (connection && connection->flags & CONNECTION_CONNECTING && state_of(sk) != TCP_SYN_SENT)
		connection = 0;
	if (!connection) {
		struct standing standing;
		__u8 role = is_listener(sk) ? ROLE_INBOUND : ROLE_OUTBOUND;

		look(&standing, sk, role);
		if (standing.ingress >= consumed) {
			standing.ingress -= consumed;
			standing.ingress_sequence -= (__u32)consumed;
		}
		connection = insert_connection(key);
		if (!connection)
			return 0;
		own(connection, sk, role, is_new(&standing) ? role == ROLE_INBOUND ? LEARNT_ACCEPT : LEARNT_CONNECT : LEARNT_SEEN);
		stand(connection, &standing);
	} else if (!connection->tgid) {
		own(connection, sk, connection->role, connection->learnt);
	}
	emit_open(sk, connection);
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
		record->head.context = 0;
	}
	record->close.phase = phase;
	record->close.by_remote = !!(connection->flags & CONNECTION_BY_REMOTE);
	record->close.reset = !!(connection->flags & CONNECTION_RESET);
	record->close.error = connection->error;
	record->close.ingress_final = connection->ingress_position;
	record->close.egress_final = connection->egress_position;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* A receive whose completion never told a buffer. */
static __always_inline void give_up_pending(struct connection *connection)
{
	struct sample head;

	if (!connection->pending_length)
		return;
	fill_sample(&head, SAMPLE_GAP, DIRECTION_INGRESS, connection->id);
	head.tgid = connection->tgid;
	head.context = 0;
	emit_gap(&head, connection->pending_position, connection->pending_length, CAUSE_NO_BUFFER);
	connection->pending_length = 0;
}

/* The socket is gone, or its address serves another one now. */
static __always_inline void close_connection(__u64 key, struct connection *connection)
{
	give_up_pending(connection);
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
