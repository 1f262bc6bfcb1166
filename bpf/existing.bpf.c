// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections and listeners that are older than the recorder: every open file of every watched process, across
 * namespaces (iter/task_file; iter/tcp sees one). Runs when user space reads the iterator, once the probes are live.
 */
#include "receive.h"
#include <bpf/bpf_tracing.h>

#define S_IFMT 0170000
#define S_IFSOCK 0140000

/* Nobody holds the lock here: take the numbers when two looks agree. */
static __always_inline bool settled(struct standing *standing, const struct sock *sk, __u8 role)
{
	struct standing again;

	for (int i = 0; i < 8; i++) {
		look(standing, sk, role);
		look(&again, sk, role);
		if (standing->egress_sequence == again.egress_sequence &&
		    standing->ingress_sequence == again.ingress_sequence && standing->egress == again.egress &&
		    standing->ingress == again.ingress)
			return true;
	}
	return false;
}

static __always_inline void found_listener(const struct sock *sk, __u32 tgid, __u32 tid)
{
	struct listener_key key = { .netns = netns_of(sk), .port = BPF_CORE_READ(sk, __sk_common.skc_num) };
	struct {
		struct sample head;
		struct listen_payload listen;
	} *record;
	__u8 nobody[16];

	if (bpf_map_update_elem(&listeners, &key, &tgid, BPF_NOEXIST))
		return;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record)
		return;
	fill_sample(&record->head, SAMPLE_LISTEN, DIRECTION_NONE, 0);
	record->head.tgid = tgid;
	record->head.tid = tid;
	__builtin_memset(&record->listen, 0, sizeof(record->listen));
	record->head.captured = sizeof(record->listen);
	record->listen.family = FAMILY(sk);
	record->listen.port = key.port;
	record->listen.netns = key.netns;
	record->listen.open = 1;
	read_addresses(sk, record->listen.family, record->listen.local, nobody);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline void found_connection(const struct sock *sk, struct task_struct *task, __u16 family)
{
	struct connection *connection;
	struct standing standing = {};
	__u64 key = (__u64)sk;
	__u32 filling = 1;
	__u8 role;

	connection = bpf_map_lookup_elem(&connections, &key);
	if (connection && connection->flags & (CONNECTION_OPENED | CONNECTION_CONNECTING))
		return;
	if (family == AF_UNIX) {
		if (is_unnamed(sk))
			return;
		role = BPF_CORE_READ((const struct unix_sock *)sk, addr) ? ROLE_INBOUND : ROLE_OUTBOUND;
	} else {
		role = is_listener(sk) ? ROLE_INBOUND : ROLE_OUTBOUND;
		if (!connection && !settled(&standing, sk, role))
			return; /* in full flow: its next call tells */
	}
	if (!connection) {
		/* Filled before it is seen: probes are live. Should one have been faster, its entry stands. */
		connection = bpf_map_lookup_elem(&blank, &filling);
		if (!connection)
			return;
		__builtin_memset(connection, 0, sizeof(*connection));
		own(connection, sk, role, LEARNT_SEEN);
		stand(connection, &standing);
		connection->id = new_connection_id();
		connection->key = key;
		connection->tgid = BPF_CORE_READ(task, tgid);
		connection->tid = 0;
		if (family == AF_UNIX)
			connection->flags |= CONNECTION_UNIX;
		if (!connection->id || bpf_map_update_elem(&connections, &key, connection, BPF_NOEXIST))
			return;
		connection = bpf_map_lookup_elem(&connections, &key);
		if (!connection)
			return;
	} else {
		connection->tgid = BPF_CORE_READ(task, tgid);
		connection->inode = inode_of(sk);
	}
	emit_open(sk, connection);
}

static __always_inline const struct sock *socket_of(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;

	if (!task || !file)
		return 0;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	if (!is_watched(BPF_CORE_READ(task, tgid)))
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

/* First all listeners (roles depend on them), then the connections: two passes of user space. */
SEC("iter/task_file")
int existing_listeners(struct bpf_iter__task_file *ctx)
{
	const struct sock *sk = socket_of(ctx);
	struct task_struct *task = ctx->task;
	__u16 protocol;

	if (!sk || !task)
		return 0;
	protocol = BPF_CORE_READ(sk, sk_protocol);
	if ((protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP) &&
	    state_of(sk) == TCP_LISTEN)
		found_listener(sk, BPF_CORE_READ(task, tgid), BPF_CORE_READ(task, pid));
	return 0;
}

SEC("iter/task_file")
int existing_connections(struct bpf_iter__task_file *ctx)
{
	const struct sock *sk = socket_of(ctx);
	struct task_struct *task = ctx->task;
	__u8 state;

	if (!task) { /* the iteration's last call */
		__u32 zero = 0;
		struct shared *all = bpf_map_lookup_elem(&shared, &zero);

		if (all)
			all->scanned = 1;
		return 0;
	}
	if (!sk)
		return 0;
	state = state_of(sk);
	if (FAMILY(sk) == AF_UNIX) {
		if (BPF_CORE_READ(sk, sk_type) == SOCK_STREAM && state == TCP_ESTABLISHED)
			found_connection(sk, task, AF_UNIX);
	} else if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP && state != TCP_LISTEN && state != TCP_CLOSE &&
		   state != TCP_SYN_SENT) {
		found_connection(sk, task, FAMILY(sk));
	}
	return 0;
}
