/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the streams of a connection stand that nobody has looked at before. */
#ifndef KOALA_STANDING_H
#define KOALA_STANDING_H

#include "socket.h"

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
	__u8 state = state_of(sk);

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

#endif
