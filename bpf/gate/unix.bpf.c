// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate through which a service that runs already reaches unix sockets while it is replayed (Linux ≥6.7, which calls a
 * cgroup's programs for them: 859051dd165e). By the name it asks for: passed on, led to the replayer's own socket, or refused.
 * An object of its own, since nothing of the recorder needs it, and only some kernels have what it calls.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define UNIX_NAME 108
#define FAMILY_BYTES 2
#define ECONNREFUSED 111
#define MAX_NAMES 4096
#define REFUSE 0
#define GO_ON 1

struct bpf_sock_addr {
	__u32 user_family;
};

struct bpf_sock_addr_kern {
	void *uaddr;
	__u32 uaddrlen;
	__u32 pad;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *context) __ksym;
extern int bpf_sock_addr_set_sun_path(struct bpf_sock_addr_kern *address, const __u8 *name, __u32 name__sz) __ksym;

/* A path up to its NUL, or an abstract name (which begins with one); zeros behind. */
struct unix_name {
	__u8 bytes[UNIX_NAME];
};

/* Names that may be asked for -> where that leads; all zeros: to where it always did. Filled before anything is attached. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_NAMES);
	__type(key, struct unix_name);
	__type(value, struct unix_name);
} ways SEC(".maps");

/* Names that were asked for in vain -> how often. Inserted here, read at the end; the longest unasked one makes room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_NAMES);
	__type(key, struct unix_name);
	__type(value, __u64);
} refused SEC(".maps");

static __always_inline int refuse(const struct unix_name *name)
{
	__u64 one = 1, *count = bpf_map_lookup_elem(&refused, name);

	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&refused, name, &one, BPF_ANY);
	bpf_set_retval(-ECONNREFUSED);
	return REFUSE;
}

static __always_inline int decide(struct bpf_sock_addr *context)
{
	struct bpf_sock_addr_kern *address = bpf_cast_to_kern_ctx(context);
	__u32 length = address->uaddrlen;
	struct unix_name name = {}, *way;
	int i, ended = 0;

	/* No name: it disconnects, or the kernel refuses it itself. */
	if (length <= FAMILY_BYTES)
		return GO_ON;
	length -= FAMILY_BYTES;
	if (length > UNIX_NAME)
		length = UNIX_NAME;
	if (bpf_probe_read_kernel(name.bytes, length, (__u8 *)address->uaddr + FAMILY_BYTES))
		return refuse(&name);
	if (name.bytes[0]) {
		/* Callers often hand over the whole of a sockaddr_un: what follows the NUL means nothing. */
		for (i = 1; i < UNIX_NAME; i++) {
			ended |= !name.bytes[i];
			if (ended)
				name.bytes[i] = 0;
		}
	}
	way = bpf_map_lookup_elem(&ways, &name);
	if (!way)
		return refuse(&name);
	/* Only an abstract name's first byte is zero, and the second of none. */
	if (!way->bytes[1])
		return GO_ON;
	return bpf_sock_addr_set_sun_path(address, way->bytes, UNIX_NAME) ? refuse(&name) : GO_ON;
}

SEC("cgroup/connect_unix")
int gate_connect(struct bpf_sock_addr *context)
{
	return decide(context);
}

SEC("cgroup/sendmsg_unix")
int gate_send(struct bpf_sock_addr *context)
{
	return decide(context);
}

char LICENSE[] SEC("license") = "GPL";
