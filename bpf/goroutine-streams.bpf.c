// SPDX-License-Identifier: GPL-2.0-only
/*
 * Goroutines and the streams of HTTP/2: for whom a connection's own goroutine opens one (gRPC-Go's client), and which goroutine serves
 * one (gRPC-Go's server, net/http's). Of what these programs read in Go's structures, only what has stood at its place since Go 1.17
 * is read, and each is looked at whether it is what it was taken for: where not, nothing is told.
 */
#include "emit.h"
#include "registers.h"
#include <bpf/bpf_tracing.h>

#define HEADERS_FRAME 1       /* RFC 9113, 6.2 */
#define MAX_STREAM 0x7fffffff

/*
 * key: what opens a stream, by address and process. value: the goroutine that has queued it. Inserted: go_puts. Deleted:
 * go_opens; by age.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct go_object);
	__type(value, __u64);
} go_queued SEC(".maps");

/*
 * key: a goroutine that reads a connection, by id (as `address`) and process. value: the stream whose request it has read, and which it
 * hands on next. Inserted: go_takes. Deleted: go_hands; by age.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct go_object);
	__type(value, __u32);
} go_taken SEC(".maps");

struct go_stream {
	__u64 reader; /* a goroutine */
	__u32 id;
	__u32 pad0;
};

/* key: a stream that waits to be served, by address and process. Inserted: go_hands. Deleted: go_serves; by age. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct go_object);
	__type(value, struct go_stream);
} go_streams SEC(".maps");

#define CLIENT_SIDE 0         /* of gRPC-Go's `side` */

/* x/net's http2.FrameHeader. */
struct go_frame_header {
	__u8 valid;
	__u8 type;
	__u8 flags;
	__u8 pad0;
	__u32 length;
	__u32 stream;
};

static __always_inline bool is_stream(__u32 id)
{
	return id & 1 && id <= MAX_STREAM; /* those that clients open are odd */
}

static __always_inline __u32 half_word_at(__u64 address)
{
	__u32 word = 0;

	return address && !bpf_probe_read_user(&word, sizeof(word), (void *)address) ? word : 0;
}

static __always_inline void tell_stream(__u8 kind, __u64 who, __u64 goid, __u64 other, __u32 stream)
{
	struct sample sample;

	fill_sample_of(&sample, kind, DIRECTION_NONE, 0, who);
	sample.context = goid;
	sample.position = other;
	sample.length = stream;
	emit_bare(&sample);
}

/*
 * grpc/internal/transport.(*http2Client).NewStream calls controlBuffer.executeAndPut(f, item): what a goroutine puts there the
 * connection's own goroutine takes out. The item's address is the second word of its interface.
 */
SEC("uprobe")
int go_puts(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), goid;
	struct go_object key = { .address = regs->GO_FOURTH, .tgid = who >> 32 };

	ON_THREADS_STACK(regs);
	if (!key.address)
		return 0;
	goid = goroutine_at(who, regs->GO_G);
	if (goid)
		bpf_map_update_elem(&go_queued, &key, &goid, BPF_ANY);
	return 0;
}

/*
 * grpc/internal/transport.(*loopyWriter).headerHandler(header), since 1.82 clientHeaderHandler: the connection's own goroutine writes
 * it. Its stream is the first that it holds. What is found is taken out: a run of go_puts that is missing leaves a stream without
 * its owner, and never with the owner of what lay at that address before. Servers answer through it too: the writer says first which
 * side it is of.
 */
SEC("uprobe")
int go_opens(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), asked, goid, *found;
	struct go_object key = { .address = regs->GO_SECOND, .tgid = who >> 32 };
	__u32 stream;

	ON_THREADS_STACK(regs);
	found = bpf_map_lookup_elem(&go_queued, &key);
	if (!found)
		return 0;
	asked = *found;
	bpf_map_delete_elem(&go_queued, &key);
	stream = word_at(regs->GO_FIRST) == CLIENT_SIDE ? half_word_at(key.address) : 0;
	goid = goroutine_at(who, regs->GO_G);
	if (goid && is_stream(stream))
		tell_stream(SAMPLE_ON_BEHALF, who, goid, asked, stream);
	return 0;
}

static __always_inline __u32 stream_of_frame(__u64 frame)
{
	struct go_frame_header header = {};
	__u64 at = word_at(frame);

	if (!at || bpf_probe_read_user(&header, sizeof(header), (void *)at))
		return 0;
	return header.valid <= 1 && header.type == HEADERS_FRAME && is_stream(header.stream) ? header.stream : 0;
}

/*
 * grpc/internal/transport.(*http2Server).operateHeaders(frame, …), of later versions (context, frame, …): the goroutine that reads the
 * connection has read a request, and hands it on, if it is one that can be served.
 */
SEC("uprobe")
int go_takes(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct go_object key = { .address = goroutine_at(who, regs->GO_G), .tgid = who >> 32 };
	__u32 stream = stream_of_frame(regs->GO_SECOND);

	ON_THREADS_STACK(regs);
	if (!stream)
		stream = stream_of_frame(regs->GO_FOURTH);
	if (!key.address)
		return 0;
	if (stream)
		bpf_map_update_elem(&go_taken, &key, &stream, BPF_ANY);
	else
		bpf_map_delete_elem(&go_taken, &key);
	return 0;
}

/*
 * What grpc.(*Server).serveStreams has that goroutine call with each stream: gives it to a goroutine of its own, or to one of a pool
 * (NumStreamWorkers). Where in the stream its number stands is another place in each version; its address will do.
 */
SEC("uprobe")
int go_hands(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), reader = goroutine_at(who, regs->GO_G);
	struct go_object key = { .address = reader, .tgid = who >> 32 };
	struct go_stream stream = { .reader = reader };
	__u32 *taken = reader ? bpf_map_lookup_elem(&go_taken, &key) : 0;

	ON_THREADS_STACK(regs);
	if (!taken)
		return 0;
	stream.id = *taken;
	bpf_map_delete_elem(&go_taken, &key);
	key.address = regs->GO_FIRST;
	bpf_map_update_elem(&go_streams, &key, &stream, BPF_ANY);
	return 0;
}

/* grpc.(*Server).handleStream(transport, stream, …), a transport being two words: the goroutine that serves it begins to. */
SEC("uprobe")
int go_serves(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), goid;
	struct go_object key = { .address = regs->GO_FOURTH, .tgid = who >> 32 };
	struct go_stream *found = bpf_map_lookup_elem(&go_streams, &key), stream;

	ON_THREADS_STACK(regs);
	if (!found)
		return 0;
	stream = *found;
	bpf_map_delete_elem(&go_streams, &key);
	goid = goroutine_at(who, regs->GO_G);
	if (goid)
		tell_stream(SAMPLE_SERVES, who, goid, stream.reader, stream.id);
	return 0;
}

/*
 * net/http.(*http2serverConn).runHandler(writer, …), x/net/http2's likewise: the goroutine that serves a stream begins to. writer →
 * its state → the stream, which holds its connection, the receiver here, and its number. The one that began it has begun the one that
 * reads the connection too.
 */
SEC("uprobe")
int go_handles(struct pt_regs *regs)
{
	__u64 who = bpf_get_current_pid_tgid(), goid, parent;
	__u64 stream = word_at(word_at(regs->GO_SECOND));
	__u32 id;

	ON_THREADS_STACK(regs);
	if (!stream || word_at(stream) != regs->GO_FIRST)
		return 0;
	id = half_word_at(stream + sizeof(__u64));
	goid = goroutine_at(who, regs->GO_G);
	parent = goroutine_parent(who, regs->GO_G, goid);
	if (goid && parent && is_stream(id))
		tell_stream(SAMPLE_SERVES, who, goid, parent, id);
	return 0;
}
