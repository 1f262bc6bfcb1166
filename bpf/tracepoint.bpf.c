// SPDX-License-Identifier: GPL-2.0-only
/*
 * The `tracepoint` backend, for kernels without kprobes or with text patching refused. BTF tracepoints only:
 *
 *   tcp_sendmsg_locked        ≥6.16, under the socket lock, once for every skb a send fills
 *   tcp_rcv_space_adjust      after every run of bytes copied, under the lock: copied_seq is exact, a FIN not yet counted
 *   sock_send_length,
 *   sock_recv_length          ≥6.3, the call's result; the buffer from the system call's own arguments
 *   io_uring_complete         the buffer of a receive that no system call names
 */
/* Every kernel pointer that these headers get here is a tracepoint's argument. */
#define KOALA_DIRECT
#include "claim.h"
#include "datagram.h"
#include "stream.h"
#include "syscall.h"
#include <bpf/bpf_tracing.h>

/* key: pid_tgid. value: which message of a recvmmsg or sendmmsg comes next. The call ends with an error or its last message. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} message_index SEC(".maps");

/* Does file descriptor `fd` of the current process stand for this socket? */
static __always_inline bool is_socket_of(const struct task_struct *task, unsigned long fd, const struct sock *sk)
{
	__u64 file = (__u64)sk->sk_socket->file;

	return file && file_at(task, fd) == file;
}

static __always_inline void pieces_of_user_message(struct call *call, const void *message)
{
	struct user_msghdr header = {};

	read_user(&header, sizeof(header), message);
	call->pieces.kind = PIECES_USER_IOVEC;
	call->pieces.base = (__u64)header.msg_iov;
	call->pieces.count = header.msg_iovlen;
	call->message_name = (__u64)header.msg_name;
}

static __always_inline void pieces_of_range(struct call *call, __u64 address, __u64 length)
{
	call->pieces.kind = PIECES_RANGE;
	call->pieces.base = call->address = address;
	call->left = length;
}

/*
 * The buffers of the system call the current thread is in, if it is one that receives (or sends) on this socket. An
 * io_uring request completed by task work runs in whatever system call the thread happens to be in: then the socket isn't
 * this call's, and the registers say nothing.
 */
static __always_inline bool pieces_of_system_call(struct call *call, const struct sock *sk, bool receiving,
						  const struct task_struct *task, const struct pt_regs *regs)
{
	unsigned long number, second, third;

	if (!is_64_bit(regs->CALL_MODE))
		return false;
	number = regs->CALL_NUMBER;
	second = regs->CALL_SECOND;
	third = regs->CALL_THIRD;
	if (number > NR_IO_URING_ENTER || !is_socket_of(task, regs->CALL_FIRST, sk))
		return false;
	if (receiving ? number == NR_RECVFROM || number == NR_READ : number == NR_SENDTO || number == NR_WRITE) {
		pieces_of_range(call, second, third);
		if (number == NR_SENDTO || number == NR_RECVFROM)
			call->message_name = regs->CALL_FIFTH;
		if (number == NR_SENDTO)
			call->flags = regs->CALL_FOURTH;
		return true;
	}
	if (receiving ? number == NR_READV || number == NR_PREADV2 : number == NR_WRITEV || number == NR_PWRITEV2) {
		call->pieces.kind = PIECES_USER_IOVEC;
		call->pieces.base = second;
		call->pieces.count = third;
		return true;
	}
	if (number == (receiving ? NR_RECVMSG : NR_SENDMSG)) {
		pieces_of_user_message(call, (void *)second);
		call->flags = third;
		return true;
	}
	if (number == (receiving ? NR_RECVMMSG : NR_SENDMMSG)) {
		__u64 who = who_is(task);
		__u32 *index = bpf_map_lookup_elem(&message_index, &who);

		/* Counted already: this message is the one before. */
		call->flags = regs->CALL_FOURTH;
		pieces_of_user_message(call, (void *)(second + (index && *index ? *index - 1 : third - 1) * sizeof(struct mmsghdr)));
		return true;
	}
	return false;
}

/*
 * Counts the messages of a recvmmsg or sendmmsg, at every result. The call ends with an error or its last message, after
 * which the entry is 0: the message just done was number vlen - 1.
 */
static __always_inline void count_message(const struct pt_regs *regs, __u64 who, long result)
{
	unsigned long number = regs->CALL_NUMBER;
	__u32 *known, next;

	if (number != NR_RECVMMSG && number != NR_SENDMMSG)
		return;
	known = bpf_map_lookup_elem(&message_index, &who);
	next = (known ? *known : 0) + 1;
	if (result < 0 || next >= regs->CALL_THIRD)
		next = 0;
	bpf_map_update_elem(&message_index, &who, &next, BPF_ANY);
}

/*
 * For CLAIM, at a call's end: where this thread's call began (or its read ended). The socket itself may have moved on, for its
 * lock is free then. Calls on other sockets than TCP's leave nothing that moves.
 */
static __always_inline __u32 stamp_of(__u32 direction, const struct sock *sk, __u64 who)
{
	const struct call *call = sk->sk_protocol == IPPROTO_TCP ? find_call(direction, who) : 0;

	return !call ? 0 : direction == DIRECTION_EGRESS ? (__u32)call->position : call->sequence;
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tp_send, const struct sock *sk, const struct msghdr *message)
{
	__u64 who = who_is(bpf_get_current_task_btf()), key = (__u64)sk;
	__u64 left = message->msg_iter.count;
	struct connection *connection;
	struct call *call;

	if (!is_watched(who >> 32) || !CLAIM(HOOK_SEND, sk, write_sequence(sk)))
		return 0;
	call = call_of(DIRECTION_EGRESS, who);
	if (call && call->sock == key) {
		__u32 write_seq = write_sequence(sk);

		connection = bpf_map_lookup_elem(&connections, &key);
		if (!connection)
			return 0;
		if (extend(connection->egress_position, connection->egress_sequence, write_seq) - call->position < call->size) {
			progress_send(connection, call, call->size - left, write_seq);
			return 0;
		}
		/* That call has moved all it had: this is another one, and the exit of the first was skipped. */
		if (!call->inlined && call->pieces.kind != PIECES_PAGES)
			emit_gap(&call->head, call->position + call->done, call->size - call->done, CAUSE_PROBE_MISSED);
		call->sock = 0;
	}
	enter_send(sk, message, left, who, call);
	return 0;
}

static __always_inline void send_datagram(const struct sock *sk, const struct task_struct *task,
					  const struct pt_regs *regs, long result)
{
	struct call call = {};
	struct peer peer = {};
	struct iovec_user vec;

	if (!pieces_of_system_call(&call, sk, false, task, regs))
		return;
	read_peer(&peer, (void *)call.message_name, true);
	if (call.pieces.kind == PIECES_USER_IOVEC) {
		if (read_user(&vec, sizeof(vec), (void *)call.pieces.base))
			return;
		call.address = (__u64)vec.iov_base;
		call.left = vec.iov_len;
	}
	if (is_helper(&peer) ||
	    (!peer.port && BPF_CORE_READ(sk, __sk_common.skc_daddr) == HELPER_ADDRESS &&
	     is_helper_port(__builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport))))) {
		/* Whatever the call returns: odd flags are refused (EOPNOTSUPP), a connected sender sees ECONNREFUSED. */
		emit_helper(call.flags, (void *)call.address, call.left, result > 0 ? result : call.left);
		return;
	}
	if (result >= 0)
		emit_datagram(sk, DIRECTION_EGRESS, &peer, (void *)call.address,
			      call.left < result ? call.left : result, result);
}

static __always_inline void receive_datagram(const struct sock *sk, const struct task_struct *task,
					     const struct pt_regs *regs, long result)
{
	struct call call = {};
	struct peer peer = {};
	struct iovec_user vec;

	if (!pieces_of_system_call(&call, sk, true, task, regs) || result < 0)
		return;
	if (call.pieces.kind == PIECES_USER_IOVEC) {
		if (read_user(&vec, sizeof(vec), (void *)call.pieces.base))
			return;
		call.address = (__u64)vec.iov_base;
		call.left = vec.iov_len;
	}
	/* The sender's address is copied out after this point: a connected socket knows it, for others see the request. */
	emit_datagram(sk, DIRECTION_INGRESS, &peer, (void *)call.address, call.left < result ? call.left : result,
		      result);
}

static __always_inline void send_unix(const struct sock *sk, const struct task_struct *task, const struct pt_regs *regs,
				      __u64 who, long result)
{
	struct connection *connection;
	struct call *call;

	if (result <= 0 || !is_unix_stream(sk))
		return;
	connection = unix_connection_of(sk);
	if (!connection)
		return;
	call = call_of(DIRECTION_EGRESS, who);
	if (call) {
		begin_call(call, 0, connection->egress_position, result);
		fill_send(&call->head, SAMPLE_DATA, connection, who);
		call->pieces.skip = 0;
		call->left = 0;
		if (pieces_of_system_call(call, sk, false, task, regs))
			emit_message(call, DIRECTION_EGRESS, connection->egress_position, result, false);
		else
			emit_gap(&call->head, connection->egress_position, result, CAUSE_NO_BUFFER);
	}
	connection->egress_position += result;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(tp_sent, struct sock *sk, int result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 who = who_is(task);
	const struct pt_regs *regs;
	struct call *call;
	__u16 protocol;

	if (!is_watched(who >> 32) || !CLAIM(HOOK_SENT, sk, stamp_of(DIRECTION_EGRESS, sk, who)))
		return 0;
	protocol = sk->sk_protocol;
	if (protocol == IPPROTO_TCP) {
		call = find_call(DIRECTION_EGRESS, who);
		if (call)
			exit_send(call, (__u64)sk, result);
		return 0;
	}
	regs = registers_of(task);
	count_message(regs, who, result);
	if (protocol == IPPROTO_MPTCP)
		declare_mptcp(sk, DIRECTION_EGRESS, result);
	else if (FAMILY(sk) == AF_UNIX)
		send_unix(sk, task, regs, who, result);
	else if (protocol == IPPROTO_UDP)
		send_datagram(sk, task, regs, result);
	return 0;
}

/* Urgent data is on its way: the kernel leaves its last byte out of what is read, and may do so in the midst of a read. */
static __always_inline bool is_urgent(const struct sock *sk)
{
	const struct tcp_sock *tcp = bpf_skc_to_tcp_sock((void *)sk);

	return tcp && tcp->urg_data;
}

/* Notes for this thread where its read of this socket ends, and in how many runs; spliced bytes are a gap on the spot. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tp_consumed, struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 who = who_is(task), key = (__u64)sk, end;
	struct connection *connection;
	struct call *note;
	__u32 copied;

	if (!is_watched(who >> 32) || !CLAIM(HOOK_CONSUMED, sk, copied_sequence(sk)))
		return 0;
	copied = copied_sequence(sk);
	if (registers_of(task)->CALL_NUMBER == NR_SPLICE) {
		struct sample head;

		connection = connection_of(sk, 0);
		if (!connection)
			return 0;
		copied = consumed_sequence(sk); /* this way of reading may have counted a FIN already */
		end = extend(connection->ingress_position, connection->ingress_sequence, copied);
		fill_sample(&head, SAMPLE_GAP, DIRECTION_INGRESS, connection->id);
		if ((__s64)(end - connection->ingress_position) > 0)
			emit_gap(&head, connection->ingress_position, end - connection->ingress_position, CAUSE_SPLICE);
		connection->ingress_position = end;
		connection->ingress_sequence = copied;
		return 0;
	}
	note = call_of(DIRECTION_INGRESS, who);
	if (note) {
		if (note->sock != key)
			note->index = note->flags = 0;
		note->sock = key;
		note->sequence = copied;
		note->index++;
		note->flags |= is_urgent(sk);
	}
	return 0;
}

static __always_inline void receive_tcp(const struct sock *sk, const struct task_struct *task,
					const struct pt_regs *regs, __u64 who, int result, int flags)
{
	struct call *call = find_call(DIRECTION_INGRESS, who);
	struct connection *connection;
	bool torn = false; /* its bytes need not lie side by side */
	__u32 sequence;
	__u64 end;

	if (result <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return;
	/* Should tp_consumed have been skipped, the socket still says where the stream stands: right unless two threads read it. */
	if (call && call->sock == (__u64)sk) {
		sequence = call->sequence;
		torn = call->index > 1 && call->flags;
	} else
		sequence = consumed_sequence(sk);
	if (!call)
		call = call_of(DIRECTION_INGRESS, who);
	if (!call)
		return;
	call->sock = 0;
	connection = connection_of(sk, result);
	if (!connection) {
		count_loss(CAUSE_MAP_FULL, 0, result);
		return;
	}
	end = extend(connection->ingress_position, connection->ingress_sequence, sequence);
	begin_call(call, 0, 0, result);
	fill_sample_of(&call->head, SAMPLE_DATA, DIRECTION_INGRESS, connection->id, who);
	torn = torn && (__s64)(end - connection->ingress_position) > result;
	if ((__s64)(end - connection->ingress_position) > 0) {
		connection->ingress_position = end;
		connection->ingress_sequence = sequence;
	}
	call->pieces.skip = 0;
	if (!pieces_of_system_call(call, sk, true, task, regs)) {
		call->pieces.kind = PIECES_NONE;
		if (!(flags & MSG_TRUNC)) {
			give_up_pending(connection);
			connection->pending_position = end - result;
			connection->pending_length = result;
			return;
		}
	}
	call->flags = flags;
	if (torn)
		emit_gap(&call->head, end - result, result, CAUSE_UNKNOWN);
	else
		emit_received(call, connection, end, result);
}

static __always_inline void receive_unix(const struct sock *sk, const struct task_struct *task,
					 const struct pt_regs *regs, __u64 who, int result, int flags)
{
	struct call *call;

	if (result < 0 || flags & MSG_PEEK || !is_unix_stream(sk))
		return;
	call = call_of(DIRECTION_INGRESS, who);
	if (!call)
		return;
	begin_call(call, 0, 0, 1);
	fill_sample(&call->head, SAMPLE_DATA, DIRECTION_INGRESS, 0);
	call->pieces.skip = 0;
	call->left = 0;
	if (!pieces_of_system_call(call, sk, true, task, regs))
		call->pieces.kind = PIECES_NONE;
	call->flags = flags & MSG_TRUNC;
	finish_unix_receive(sk, call, result);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(tp_received, struct sock *sk, int result, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 who = who_is(task);
	const struct pt_regs *regs;
	__u16 protocol;

	if (!is_watched(who >> 32) || !CLAIM(HOOK_RECEIVED, sk, stamp_of(DIRECTION_INGRESS, sk, who)))
		return 0;
	protocol = sk->sk_protocol;
	regs = registers_of(task);
	count_message(regs, who, result);
	if (protocol == IPPROTO_TCP)
		receive_tcp(sk, task, regs, who, result, flags);
	else if (protocol == IPPROTO_MPTCP && !(flags & MSG_PEEK))
		declare_mptcp(sk, DIRECTION_INGRESS, result);
	else if (FAMILY(sk) == AF_UNIX)
		receive_unix(sk, task, regs, who, result, flags);
	else if (protocol == IPPROTO_UDP && !(flags & MSG_PEEK))
		receive_datagram(sk, task, regs, result);
	return 0;
}

#define IORING_CQE_F_BUFFER 1
#define IORING_CQE_F_MORE 2
#define IORING_OP_READ 22
#define IORING_OP_RECV 27

/*
 * A receive by io_uring: sock_recv_length told position and length, the request tells the buffer when it completes. Runs in
 * a thread of the process that asked (inline, task work, or io-wq), so its memory is at hand. Anything else stays a gap.
 */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(tp_completed, struct io_ring_ctx *ring_context, void *request, struct io_uring_cqe *cqe)
{
	const struct io_kiocb *req = request;
	__u64 who = bpf_get_current_pid_tgid(), key;
	struct connection *connection;
	struct socket *socket;
	struct sample head;
	struct file *file;
	__u64 address = 0, length;
	__u8 opcode;

	if (!is_watched(who >> 32) || !CLAIM(HOOK_COMPLETED, request, 0))
		return 0;
	file = BPF_CORE_READ(req, file);
	if ((BPF_CORE_READ(file, f_inode, i_mode) & 0170000) != 0140000)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	key = (__u64)BPF_CORE_READ(socket, sk);
	connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection || !connection->pending_length)
		return 0;
	length = connection->pending_length;
	connection->pending_length = 0;
	fill_sample(&head, SAMPLE_DATA, DIRECTION_INGRESS, connection->id);
	head.position = connection->pending_position;
	head.length = length;
	opcode = BPF_CORE_READ(req, opcode);
	/* Both commands lie where the request's file pointer is: req->cmd. A buffer the kernel chose is named elsewhere. */
	if (BPF_CORE_READ(cqe, res) != length || BPF_CORE_READ(cqe, flags) & (IORING_CQE_F_BUFFER | IORING_CQE_F_MORE))
		address = 0;
	else if (opcode == IORING_OP_RECV)
		address = (__u64)BPF_CORE_READ((const struct io_sr_msg *)request, buf);
	else if (opcode == IORING_OP_READ)
		address = BPF_CORE_READ((const struct io_rw *)request, addr);
	if (length > CHUNK || !address || emit_range(&head, (void *)address, length) == EMIT_UNREADABLE)
		emit_gap(&head, head.position, length, CAUSE_NO_BUFFER);
	return 0;
}
