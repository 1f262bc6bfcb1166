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

/* A TCP socket that carries a part of an MPTCP stream: nobody reads or writes it by itself. */
static __always_inline bool is_subflow(const struct sock *sk)
{
	return bpf_core_field_exists(struct tcp_sock, is_mptcp) && BPF_CORE_READ(TCP(sk), is_mptcp);
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
	connection->context = context_of(who);
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

/* Where the streams of a connection stand that began before anybody looked. */
struct standing {
	__u64 ingress;
	__u64 egress;
	__u32 ingress_sequence;
	__u32 egress_sequence;
	__u32 flags; /* which FINs are past */
	__u32 pad0;
};

/* From tcp_info's counters, in which a SYN and a FIN count one each. */
static __always_inline void look(struct standing *standing, const struct sock *sk, __u8 role)
{
	__u32 write_seq = BPF_CORE_READ(TCP(sk), write_seq);
	__u32 snd_una = BPF_CORE_READ(TCP(sk), snd_una);
	__u32 copied_seq = BPF_CORE_READ(TCP(sk), copied_seq);
	__u32 rcv_nxt = BPF_CORE_READ(TCP(sk), rcv_nxt);
	__u64 acked = BPF_CORE_READ(TCP(sk), bytes_acked);
	__u64 received = BPF_CORE_READ(TCP(sk), bytes_received);
	__u64 waiting = rcv_nxt - copied_seq;
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	standing->flags = 0;
	if (consumed_sequence(sk) != copied_seq) { /* their FIN was read */
		copied_seq--;
		received--;
	}
	if (state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_LAST_ACK || state == TCP_CLOSING) {
		if (snd_una == write_seq) { /* our FIN was acknowledged */
			snd_una--;
			acked--;
		}
		write_seq--;
		standing->flags |= CONNECTION_LOCAL_FIN;
	}
	if (state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSING)
		standing->flags |= CONNECTION_REMOTE_FIN;
	/* The connecting side's SYN was acknowledged as a byte; the accepting side's is not counted. */
	if (role != ROLE_INBOUND && acked)
		acked--;
	standing->egress_sequence = write_seq;
	standing->ingress_sequence = copied_seq;
	standing->egress = acked + (__u32)(write_seq - snd_una);
	standing->ingress = received > waiting ? received - waiting : 0;
}

static __always_inline void stand(struct connection *connection, const struct standing *standing)
{
	connection->ingress_from = connection->ingress_position = standing->ingress;
	connection->egress_from = connection->egress_position = standing->egress;
	connection->ingress_sequence = standing->ingress_sequence;
	connection->egress_sequence = standing->egress_sequence;
	connection->flags |= standing->flags;
}

/*
 * First seen now, on which nothing has moved: not older than the recorder, whose scan would have found it. (Its state change
 * was skipped: Linux ≥7.0 may preempt a tracepoint's program and skips it for others meanwhile.)
 */
static __always_inline bool is_new(const struct standing *standing)
{
	__u32 zero = 0;
	struct shared *all = bpf_map_lookup_elem(&shared, &zero);

	return all && all->scanned && !standing->ingress && !standing->egress;
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
