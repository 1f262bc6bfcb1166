// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of TCP sockets and listeners, the same for every backend: two tracepoints that exist since 4.16.
 *
 *   connect    CLOSE → SYN_SENT (caller's context) → ESTABLISHED | CLOSE with sk_err
 *   accept     SYN_RECV → ESTABLISHED (in a packet's context: whoever runs there is not the owner)
 *   our FIN    ESTABLISHED → FIN_WAIT1, CLOSE_WAIT → LAST_ACK
 *   their FIN  ESTABLISHED → CLOSE_WAIT, FIN_WAIT1|2 → CLOSING|TIME_WAIT
 *   the end    tcp_destroy_sock: only now nothing more can be read (data may be read after a reset)
 */
#include "claim.h"
#include "process.h"
#include "receive.h"
#include <bpf/bpf_tracing.h>

/* A listener that the kernel gave a port has handed it back when it closes; its network-order twin stays. */
static __always_inline __u16 listening_port(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_num) ?:
		       __builtin_bswap16(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
}

static __always_inline void emit_listen(const struct sock *sk, __u8 open)
{
	struct {
		struct sample head;
		struct listen_payload listen;
	} *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	__u8 nobody[16];

	if (!record) {
		count_loss(CAUSE_RING_FULL, 1, 0);
		return;
	}
	fill_sample(&record->head, SAMPLE_LISTEN, DIRECTION_NONE, 0);
	__builtin_memset(&record->listen, 0, sizeof(record->listen));
	record->head.captured = sizeof(record->listen);
	record->listen.family = FAMILY(sk);
	record->listen.port = listening_port(sk);
	record->listen.netns = netns_of(sk);
	record->listen.open = open;
	read_addresses(sk, record->listen.family, record->listen.local, nobody);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline void on_listen(const struct sock *sk, bool open)
{
	struct listener_key key = { .netns = netns_of(sk), .port = listening_port(sk) };
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u32 port = key.port;

	if (open && knobs.watch_ports && bpf_map_lookup_elem(&ports, &port))
		choose((void *)bpf_get_current_task());
	if (open && is_watched(tgid)) {
		bpf_map_update_elem(&listeners, &key, &tgid, BPF_ANY);
		emit_listen(sk, 1);
	} else if (!open && bpf_map_lookup_elem(&listeners, &key)) {
		emit_listen(sk, 0);
	}
}

static __always_inline void on_connect(const struct sock *sk, __u64 key)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct connection *connection, *old = bpf_map_lookup_elem(&connections, &key);

	if (old)
		close_connection(key, old);
	if (!is_watched(who >> 32))
		return;
	connection = insert_connection(key);
	if (!connection)
		return;
	own(connection, sk, ROLE_OUTBOUND, LEARNT_CONNECT);
	connection->flags = CONNECTION_CONNECTING;
	connection->connected_ns = bpf_ktime_get_ns();
	bpf_get_current_comm(connection->comm, sizeof(connection->comm));
}

static __always_inline void on_established(const struct sock *sk, __u64 key, int old_state)
{
	struct connection *connection;
	struct standing standing;

	if (old_state == TCP_SYN_SENT) {
		connection = bpf_map_lookup_elem(&connections, &key);
		if (!connection)
			return;
		connection->flags &= ~CONNECTION_CONNECTING;
		look(&standing, sk, ROLE_OUTBOUND);
		stand(connection, &standing);
		connection->egress_from = 0; /* what the SYN took along is missing */
		connection->inode = inode_of(sk);
		emit_open(sk, connection);
		return;
	}
	if (!knobs.watch_all && !is_listener(sk))
		return;
	connection = insert_connection(key);
	if (!connection)
		return;
	connection->role = ROLE_INBOUND;
	connection->learnt = LEARNT_ACCEPT;
	connection->egress_sequence = BPF_CORE_READ(TCP(sk), write_seq);
	connection->ingress_sequence = BPF_CORE_READ(TCP(sk), copied_seq);
	/* No owner yet: opens when its process first touches it. */
}

/* The stream of what we send ends here, at this sequence number without a FIN. */
static __always_inline void end_egress(struct connection *connection, __u32 sequence)
{
	connection->egress_position = extend(connection->egress_position, connection->egress_sequence, sequence);
	connection->egress_sequence = sequence;
}

/*
 * Sequence number after our last payload byte, of a socket that is destroyed though no probe saw it end (Linux >=7.0 skips
 * some). A FIN counts in write_seq and not in bytes_sent, which tells exactly where all was transmitted; elsewhere a single
 * step past the last send that was seen is taken for one.
 */
static __always_inline __u32 sent_sequence(const struct sock *sk, const struct connection *connection)
{
	__u32 write_seq = BPF_CORE_READ(TCP(sk), write_seq);
	__u64 end = extend(connection->egress_position, connection->egress_sequence, write_seq);
	__u64 beyond = end - (BPF_CORE_READ(TCP(sk), bytes_sent) - BPF_CORE_READ(TCP(sk), bytes_retrans));

	if (BPF_CORE_READ(TCP(sk), snd_nxt) != write_seq || beyond > 1)
		beyond = write_seq == connection->egress_sequence + 1;
	return write_seq - (__u32)beyond;
}

/* From this state it is known, also where no probe saw the FIN go. */
static __always_inline bool has_sent_fin(int old_state)
{
	return old_state == TCP_FIN_WAIT1 || old_state == TCP_FIN_WAIT2 || old_state == TCP_LAST_ACK ||
	       old_state == TCP_CLOSING;
}

static __always_inline void fail_connect(const struct sock *sk, struct connection *connection, __u64 key)
{
	if (!(connection->flags & CONNECTION_OPENED))
		emit_open(sk, connection);
	emit_close(connection, CLOSE_FAILED);
	bpf_map_delete_elem(&connections, &key);
}

static __always_inline void on_closed(const struct sock *sk, struct connection *connection, __u64 key, int old_state)
{
	__u32 error = BPF_CORE_READ(sk, sk_err);

	connection->error = error;
	/* Now, for a reset of ours (SO_LINGER 0) moves write_seq past a whole window next (tcp_disconnect). */
	if (!(connection->flags & (CONNECTION_LOCAL_FIN | CONNECTION_CONNECTING)))
		end_egress(connection, BPF_CORE_READ(TCP(sk), write_seq) - has_sent_fin(old_state));
	connection->flags |= CONNECTION_CLOSED;
	if (connection->flags & CONNECTION_CONNECTING && old_state == TCP_SYN_SENT) {
		connection->inode = inode_of(sk);
		fail_connect(sk, connection, key);
		return;
	}
	if (error == ECONNRESET || error == EPIPE) {
		connection->flags |= CONNECTION_RESET | CONNECTION_BY_REMOTE;
	} else if (!error && (old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT)) {
		/* close() with unread bytes or SO_LINGER 0: we reset */
		connection->flags |= CONNECTION_RESET;
	}
}

static __always_inline int tell_state(const struct sock *sk, int old_state, int new_state)
{
	__u64 key = (__u64)sk;
	struct connection *connection;

	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || !CLAIM(HOOK_STATE, sk, new_state))
		return 0;
	if (new_state != TCP_LISTEN && old_state != TCP_LISTEN && is_subflow(sk))
		return 0;
	if (new_state == TCP_LISTEN || old_state == TCP_LISTEN) {
		on_listen(sk, new_state == TCP_LISTEN);
		return 0;
	}
	if (new_state == TCP_SYN_SENT) {
		on_connect(sk, key);
		return 0;
	}
	if (new_state == TCP_ESTABLISHED) {
		on_established(sk, key, old_state);
		return 0;
	}
	connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection)
		return 0;
	if (new_state == TCP_CLOSE)
		on_closed(sk, connection, key, old_state);
	if (!(connection->flags & CONNECTION_OPENED)) {
		/* Accepted, and closed without a byte read or written: known now if its process does it. */
		if (new_state != TCP_FIN_WAIT1 && new_state != TCP_LAST_ACK)
			return 0;
		if (!is_watched(bpf_get_current_pid_tgid() >> 32))
			return 0;
		connection = connection_of(sk, 0);
		if (!connection)
			return 0;
	}
	if (new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK) {
		if (connection->flags & CONNECTION_LOCAL_FIN)
			return 0;
		connection->flags |= CONNECTION_LOCAL_FIN;
		end_egress(connection, BPF_CORE_READ(TCP(sk), write_seq)); /* our FIN is not in it yet */
		emit_close(connection, CLOSE_LOCAL_FIN);
	} else if (new_state == TCP_CLOSE_WAIT || new_state == TCP_CLOSING || new_state == TCP_TIME_WAIT) {
		if (connection->flags & CONNECTION_REMOTE_FIN)
			return 0;
		connection->flags |= CONNECTION_REMOTE_FIN;
		/* It may come before the exit probe of a send that is done (tracepoint: the lock is free by then). */
		if (!(connection->flags & CONNECTION_LOCAL_FIN))
			end_egress(connection, BPF_CORE_READ(TCP(sk), write_seq) - has_sent_fin(old_state));
		emit_close(connection, CLOSE_REMOTE_FIN);
	}
	return 0;
}

/*
 * From 6.2 on the kernel skips a program on a CPU on which that is running already, which a packet or a timer may have interrupted. What
 * tcp_state is skipped for, tcp_state_again tells, which the kernel calls after it for each event: it looks whether tcp_state has left the event here.
 *
 *   tcp_state(connect)           leaves it           connect
 *     packet: tcp_state          skipped             connect
 *             tcp_state_again    not found: tells    connect
 *   tcp_state_again(connect)     takes it away
 *
 * What an interruption leaves above goes with it: then it was tcp_state_again that was interrupted.
 */
#define LEFT_EVENTS 4 /* a power of two */

struct left_event {
	__u64 sock;
	__u64 states;
};

/* key: CPU. value: what tcp_state has left there. Added to: tcp_state_again. Read: user space, at a tick. */
struct state_run {
	__u64 taken_over; /* events that the kernel skipped it for, told otherwise */
	__u64 count;
	struct left_event left[LEFT_EVENTS]; /* the oldest first */
	__u64 pad0[6];                       /* cache lines: each CPU writes its own */
};
struct {
	PER_CPU_ARRAY(struct state_run);
} state_runs SEC(".maps");

static __always_inline volatile struct state_run *state_run(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&state_runs, &cpu);
}

static __always_inline void leave_event(volatile struct state_run *run, const struct sock *sk, __u64 states)
{
	__u64 count = run->count & (LEFT_EVENTS - 1); /* where it is full: from the beginning */

	run->left[count].sock = (__u64)sk;
	run->left[count].states = states;
	run->count = count + 1;
}

static __always_inline bool take_event(volatile struct state_run *run, const struct sock *sk, __u64 states)
{
	for (int i = LEFT_EVENTS - 1; i >= 0; i--)
		if (i < run->count && run->left[i].sock == (__u64)sk && run->left[i].states == states) {
			run->count = i;
			return true;
		}
	return false;
}

#define STATES(from, to) ((__u64)(from) << 32 | (__u32)(to))

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, const struct sock *sk, int old_state, int new_state)
{
	volatile struct state_run *run = state_run();

	if (run)
		leave_event(run, sk, STATES(old_state, new_state));
	return tell_state(sk, old_state, new_state);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state_again, const struct sock *sk, int old_state, int new_state)
{
	volatile struct state_run *run = state_run();

	if (!run || take_event(run, sk, STATES(old_state, new_state)))
		return 0;
	run->taken_over += 1;
	return tell_state(sk, old_state, new_state);
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroyed, struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	__u32 sequence;

	if (!connection) /* also where another copy (claim.h) was here first */
		return 0;
	if (connection->flags & CONNECTION_CONNECTING) {
		/* No probe saw that it failed, nor why: that is told the process, and then forgotten. */
		fail_connect(sk, connection, key);
		return 0;
	}
	if (!(connection->flags & (CONNECTION_LOCAL_FIN | CONNECTION_CLOSED)))
		end_egress(connection, sent_sequence(sk, connection));
	sequence = consumed_sequence(sk);
	/* Only forward: a FIN may have been counted before, and close() itself consumes nothing. */
	if ((__s32)(sequence - connection->ingress_sequence) > 0)
		connection->ingress_position += sequence - connection->ingress_sequence;
	close_connection(key, connection);
	return 0;
}
